"""What asking an endpoint costs: counted at its worst before a request is sent, and as it was when the answer is there.

What was spent stands in a log of its own beside the answers (``Paid``, a line a request), written before an answer is
given on. Answers that never came whole, and tries that failed after they were sent, may have been paid too: they are
counted at their worst, and the answer log could not tell of them.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tutelage.errors import CompletionError
from tutelage.records import Record
from tutelage.records.jsonl import RecordLog

MILLION = 1_000_000


class Paid(Record):
    """What one request cost at one endpoint, over all its tries. ``assumed`` of its tokens are the most it can have
    been; ``to`` is who was paid.

    ``seconds`` is the time that asking took since the line before; requests are in flight together. ``purpose`` is
    what it was asked for, where that is not teaching: it counts under another ceiling.
    """

    request: str
    to: str = ""
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
    """What may be spent in all; None: as much as it takes. ``money`` needs a tariff. ``place`` is their key."""

    money: float | None = None
    tokens: int | None = None
    hours: float | None = None
    place: str = "construct.distill.teacher.ceiling"


class CeilingReached(CompletionError):
    """What may be spent leaves no room for another request."""


class _Account:
    """What endpoints under the same limits share: limits, log, time, and a lock, for each is asked in its thread."""

    def __init__(self, limits: Limits, log: RecordLog[Paid] | None, clock: Callable[[], float]) -> None:
        self.limits, self.log, self.clock = limits, log, clock
        self.lock = threading.RLock()
        self.purses: list[Purse] = []
        self.before: dict[str, Tokens] = {}
        self.seconds = 0.0
        self.began: float | None = None
        self.counting = 0
        self.written = clock()
        for line in log.load() if log is not None else ():
            there = self.before.get(line.to, NOTHING)
            self.before[line.to] = there.plus(Tokens(line.prompt_tokens, line.completion_tokens))
            self.seconds += line.seconds

    @property
    def tokens(self) -> int:
        """Everything that was spent, wherever."""
        known = sum(purse.spent.all for purse in self.purses)
        return known + sum(tokens.all for tokens in self.before.values())

    @property
    def money(self) -> float | None:
        """Everything that was spent where a price is known; None where none is."""
        known = [purse.tariff.money(purse.spent) for purse in self.purses if purse.tariff is not None]
        return sum(known) if known else None


class Purse:
    """What was spent at one endpoint, what is in flight at its worst, and whether the next request still fits.

    ``log`` holds what was spent before, in whichever process; without one nothing is known of it. ``to`` says who is
    paid; lines that do not say it were paid to the first. :meth:`beside` gives the purse of another endpoint: the
    limits hold for all of them together, each at its own ``tariff``. Between :meth:`begin` and :meth:`pause` time
    counts, once however many are asked. Each counts in a thread of its own, the log is written by another.
    """

    spent: Tokens
    reserved: Tokens

    def __init__(
        self,
        tariff: Tariff | None = None,
        limits: Limits | None = None,
        *,
        log: RecordLog[Paid] | None = None,
        to: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._join(_Account(limits or Limits(), log, clock), tariff, to)
        self.spent = self.spent.plus(self._account.before.pop("", NOTHING))

    def _join(self, account: _Account, tariff: Tariff | None, to: str) -> None:
        self._account, self.tariff, self.to = account, tariff, to
        self.spent, self.reserved = account.before.pop(to, NOTHING), NOTHING
        account.purses.append(self)

    def beside(self, tariff: Tariff | None, *, to: str) -> "Purse":
        """Return the purse of another endpoint under the same limits."""
        other = Purse.__new__(Purse)
        other._join(self._account, tariff, to)
        return other

    @property
    def place(self) -> str:
        """Where in a recipe the limits stand."""
        return self._account.limits.place

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Who was paid before and has no purse now: what that was in money, nobody can say."""
        return tuple(self._account.before)

    def begin(self) -> None:
        """Let time count from now on."""
        account = self._account
        with account.lock:
            if not account.counting:
                account.began = account.written = account.clock()
            account.counting += 1

    def pause(self) -> None:
        """Let time count no longer, unless another endpoint is asked."""
        account = self._account
        with account.lock:
            account.counting -= 1
            if not account.counting:
                account.seconds, account.began = self.seconds, None

    @property
    def seconds(self) -> float:
        """The time that asking took, in whichever process."""
        account = self._account
        with account.lock:
            return account.seconds + (account.clock() - account.began if account.began is not None else 0.0)

    @property
    def time_left(self) -> float:
        """Seconds until the limit of hours."""
        hours = self._account.limits.hours
        return float("inf") if hours is None else hours * 3600 - self.seconds

    @property
    def in_flight(self) -> bool:
        """Whether anything is in flight, at whichever endpoint."""
        with self._account.lock:
            return any(purse.reserved != NOTHING for purse in self._account.purses)

    def passed_by(self, worst: Tokens) -> str:
        """Return which limit a request of ``worst`` could pass, with all that is in flight; empty where it fits."""
        limits = self._account.limits
        with self._account.lock:
            purses = self._account.purses
            tokens = self._account.tokens + sum(purse.reserved.all for purse in purses) + worst.all
            money = sum(purse.tariff.money(purse.reserved) for purse in purses if purse.tariff is not None)
            money += (self._account.money or 0.0) + (self.tariff.money(worst) if self.tariff is not None else 0.0)
        if limits.tokens is not None and tokens > limits.tokens:
            return f"{limits.tokens:,} tokens"
        if limits.money is not None and money > limits.money:
            return f"{limits.money:,.2f} in money"
        return f"{limits.hours:g} hours" if self.time_left <= 0 else ""

    def reserve(self, worst: Tokens) -> bool:
        """Count a request that is sent now, if it fits."""
        with self._account.lock:
            if self.passed_by(worst):
                return False
            self.reserved = self.reserved.plus(worst)
            return True

    def settle(self, worst: Tokens, cost: Tokens) -> None:
        """Put what a request cost in the place of what it could have cost at worst."""
        with self._account.lock:
            self.reserved = self.reserved.minus(worst)
            self.spent = self.spent.plus(cost)

    @property
    def words(self) -> str:
        """What was spent in all, in words."""
        with self._account.lock:
            tokens, spent = self._account.tokens, self._account.money
        money = f"{spent:,.4g} in money, " if spent is not None else ""
        return f"{money}{tokens:,} tokens, {self.seconds / 3600:.2g} hours"

    def write(self, lines: Sequence[Paid]) -> None:
        """Log what requests cost, durably, and the time since the last line."""
        account = self._account
        with account.lock:
            now = account.clock()
            if account.log is None or not lines:
                return
            seconds, account.written = round(now - account.written, 3), now
        told = [line.model_copy(update={"to": self.to}) for line in lines]
        account.log.append(told[0].model_copy(update={"seconds": seconds}), *told[1:])
