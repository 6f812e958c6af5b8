"""How long to wait before an endpoint is asked again: what its headers say, else a random pause that grows.

Waits are lengths of time, measured by a monotonic clock. Only a date in ``Retry-After`` and a reset given as a moment
need the wall clock, and there the server's own ``Date`` is taken where it sends one: a clock that is wrong here, or
jumps, changes no wait.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOMENT = 1e9  # a reset above this is a moment since 1970, not a number of seconds
_MOMENT_MS = 1e12


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long one request is tried: ``1 + retries`` times, waiting at most ``total_s`` between them.

    A connection must stand within ``connect_s`` seconds, and the whole answer be there ``answer_s`` seconds after that.
    The pause before try n is drawn evenly between 0 and ``min(longest_s, base_s * 2**(n - 1))``: exponential backoff
    with full jitter (Brooker 2015, "Exponential Backoff and Jitter").
    """

    retries: int = 6
    base_s: float = 0.5
    longest_s: float = 30.0
    total_s: float = 600.0
    connect_s: float = 10.0
    answer_s: float = 120.0

    def pause(self, tries: int) -> float:
        """Return the pause after ``tries`` tries."""
        return random.uniform(0, min(self.longest_s, self.base_s * 2.0 ** min(tries - 1, 30)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait (seconds, or a date), None where it says nothing."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    if (seconds := _number(said)) is not None:
        return max(0.0, seconds)
    date = _date(said)
    return None if date is None else max(0.0, date - _now(headers))


def exhausted_for(headers: Mapping[str, str], tokens: int) -> float:
    """Return the seconds until the rate limit of ``x-ratelimit-*`` lets the next request of ``tokens`` tokens through.

    0 where it lets it through now, or where nothing is said.
    """
    waits = [0.0]
    for what, needed in (("-requests", 1), ("-tokens", tokens), ("", 1)):
        left = _number(headers.get(f"x-ratelimit-remaining{what}"))
        if left is not None and left < needed:
            waits.append(_reset(headers.get(f"x-ratelimit-reset{what}", ""), headers))
    return max(waits)


def _reset(said: str, headers: Mapping[str, str]) -> float:
    """Seconds until a reset: ``6m0s``, ``20ms``, ``1.5``, or a moment in seconds or milliseconds since 1970."""
    said = said.strip()
    if (value := _number(said)) is not None:
        if value > _MOMENT_MS:
            value /= 1000
        return max(0.0, value - _now(headers) if value > _MOMENT else value)
    parts = _PARTS.findall(said)
    if "".join(number + unit for number, unit in parts) != said:
        return 0.0
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _number(said: str | None) -> float | None:
    try:
        value = float(said or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _date(said: str) -> float | None:
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _now(headers: Mapping[str, str]) -> float:
    """The server's clock where it sends it."""
    date = _date(headers.get("date", ""))
    return datetime.now(UTC).timestamp() if date is None else date
