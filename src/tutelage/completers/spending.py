"""What asking an endpoint costs: counted at its worst before a request is sent, and as it was when the answer is there.

What was spent stands in a log of its own beside the answers (``Paid``, a line a request), written before an answer is
given on. Answers that never came whole, and tries that failed after they were sent, may have been paid too: they are
counted at their worst, and the answer log could not tell of them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tutelage.records import Record
from tutelage.records.jsonl import RecordLog

MILLION = 1_000_000


class Paid(Record):
    """What one request cost, over all its tries. ``assumed`` of its tokens are the most it can have been.

    ``seconds`` is the time that asking took since the line before; requests are in flight together. ``purpose`` is
    what it was asked for, where that is not teaching: it counts under another ceiling.
    """

    request: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    assumed: int = 0
    tries: int = 0
    seconds: float = 0.0
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a prompt and of its completion."""

    prompt: int = 0
    completion: int = 0

    @property
    def all(self) -> int:
        """Both together."""
        return self.prompt + self.completion

    def plus(self, other: "Tokens") -> "Tokens":
        """Return the sum."""
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)

    def minus(self, other: "Tokens") -> "Tokens":
        """Return the difference."""
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)


NOTHING = Tokens()


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a million tokens of prompts and of completions cost."""

    prompt: float
    completion: float

    def money(self, tokens: Tokens) -> float:
        """Return what ``tokens`` cost."""
        return (tokens.prompt * self.prompt + tokens.completion * self.completion) / MILLION


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent in all; None: as much as it takes. ``money`` needs a tariff."""

    money: float | None = None
    tokens: int | None = None
    hours: float | None = None


class Purse:
    """What was spent, what is in flight at its worst, and whether the next request still fits under the limits.

    ``log`` holds what was spent before, in whichever process; without one nothing is known of it. Between
    :meth:`begin` and :meth:`pause` time counts. The counts are changed by one thread, the log is written by another.
    ``place`` is the key of the recipe that sets the limits.
    """

    place = "construct.distill.teacher.ceiling"

    def __init__(
        self,
        tariff: Tariff | None = None,
        limits: Limits | None = None,
        *,
        log: RecordLog[Paid] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tariff, self.limits = tariff, limits or Limits()
        self._log, self._clock = log, clock
        self.spent, self.reserved = Tokens(), Tokens()
        self._seconds = 0.0
        self._began: float | None = None
        self._written = clock()
        for line in log.load() if log is not None else ():
            self.spent = self.spent.plus(Tokens(line.prompt_tokens, line.completion_tokens))
            self._seconds += line.seconds

    def begin(self) -> None:
        """Let time count from now on."""
        self._began = self._written = self._clock()

    def pause(self) -> None:
        """Let time count no longer."""
        self._seconds, self._began = self.seconds, None

    @property
    def seconds(self) -> float:
        """The time that asking took, in whichever process."""
        return self._seconds + (self._clock() - self._began if self._began is not None else 0.0)

    @property
    def money(self) -> float | None:
        """What was spent; None without a tariff."""
        return None if self.tariff is None else self.tariff.money(self.spent)

    @property
    def time_left(self) -> float:
        """Seconds until the limit of hours."""
        hours = self.limits.hours
        return float("inf") if hours is None else hours * 3600 - self.seconds

    def passed_by(self, worst: Tokens) -> str:
        """Return which limit a request of ``worst`` could pass, with all that is in flight; empty where it fits."""
        in_all = self.spent.plus(self.reserved).plus(worst)
        if self.limits.tokens is not None and in_all.all > self.limits.tokens:
            return f"{self.limits.tokens:,} tokens"
        if self.limits.money is not None and self.tariff is not None and self.tariff.money(in_all) > self.limits.money:
            return f"{self.limits.money:,.2f} in money"
        return f"{self.limits.hours:g} hours" if self.time_left <= 0 else ""

    def reserve(self, worst: Tokens) -> None:
        """Count a request that is sent now."""
        self.reserved = self.reserved.plus(worst)

    def settle(self, worst: Tokens, cost: Tokens) -> None:
        """Put what a request cost in the place of what it could have cost at worst."""
        self.reserved = self.reserved.minus(worst)
        self.spent = self.spent.plus(cost)

    @property
    def words(self) -> str:
        """What was spent, in words."""
        money = f"{self.money:,.4g} in money, " if self.money is not None else ""
        return f"{money}{self.spent.all:,} tokens, {self.seconds / 3600:.2g} hours"

    def write(self, lines: Sequence[Paid]) -> None:
        """Log what requests cost, durably, and the time since the last line."""
        now = self._clock()
        if self._log is None or not lines:
            return
        seconds, self._written = round(now - self._written, 3), now
        self._log.append(lines[0].model_copy(update={"seconds": seconds}), *lines[1:])
