"""Who may be sent now: the adaptive number in flight, the pauses that the endpoint asks for, the limits of spending."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tutelage.completers.endpoints.spending import Tokens

FIRST = 8
"""Requests in flight before anything is known of an endpoint, or ``most`` where that is less."""
TOLERATED = 0.25
"""Share of exchanges that may be turned away before fewer are sent: single faults are no sign of too many."""
FEWEST_SEEN = 10
ELSEWHERE_S = 0.05
"""Seconds until room is looked for again that what is in flight at another endpoint may give back."""


class Budget(Protocol):
    """What is needed of a purse."""

    @property
    def time_left(self) -> float:
        """Seconds until it must end."""
        ...

    def passed_by(self, worst: Tokens) -> str:
        """Which limit a request could pass; empty where it fits."""
        ...

    @property
    def in_flight(self) -> bool:
        """Whether anything is, here or at another endpoint under the same limits."""
        ...

    def reserve(self, worst: Tokens) -> bool:
        """Count a request that is sent, if it fits; another endpoint may have taken the room a moment ago."""
        ...

    def settle(self, worst: Tokens, cost: Tokens) -> None:
        """Count what it cost."""
        ...


class Stopped(Exception):
    """Nothing more is sent in this call; the reason stands in :attr:`Gate.stopped`."""


class Gate:
    """Lets requests through in the order of their coming; lives in one event loop and holds no lock.

    The number in flight doubles until the endpoint turns requests away, then grows by one a round (as many exchanges as
    are in flight). When more than a quarter of a round are turned away (429, 503, time-outs), it is multiplied by the
    share that was not, at least by a half: the reaction to the share of signals rather than to the first (Alizadeh et
    al. 2010, "Data Center TCP"), because an endpoint that fails now and then at random is not overloaded.

    What does not fit under the limits of ``purse`` waits until those in flight have come back; if it does not fit then,
    :attr:`stopped` is the error that ``ceiling`` makes of it, and all that wait get :class:`Stopped`. ``limit`` is the
    number in flight to go on with, ``growing`` whether it still doubles.
    """

    def __init__(
        self,
        most: int,
        purse: Budget,
        *,
        ceiling: Callable[[str], Exception],
        limit: float | None = None,
        growing: bool = True,
    ) -> None:
        self.most, self.limit = most, min(most, limit or FIRST)
        self.growing = growing
        self.in_flight, self.most_in_flight = 0, 0
        self.stopped: Exception | None = None
        self._purse, self._ceiling = purse, ceiling
        self._waiting: deque[tuple[asyncio.Future[None], Tokens]] = deque()
        self._asleep: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed_until = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._seen = self._turned_away = 0

    async def enter(self, worst: Tokens) -> None:
        """Wait until a request may be sent, and count it as in flight. Raises :class:`Stopped`."""
        if self.stopped is not None:
            raise Stopped
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((future, worst))
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave(worst, Tokens(), turned_away=False)  # let in and cancelled before it went
            raise

    def leave(self, worst: Tokens, cost: Tokens, *, turned_away: bool) -> None:
        """Count an exchange that has ended, and what it cost."""
        self.in_flight -= 1
        self._purse.settle(worst, cost)
        self._seen += 1
        self._turned_away += turned_away
        if self._seen >= max(FEWEST_SEEN, self.limit):
            self._adapt(self._turned_away / self._seen)
        self._admit()

    def _adapt(self, share: float) -> None:
        if share > TOLERATED:
            self.limit = max(1.0, self.limit * max(0.5, 1 - share))
            self.growing = False
        else:
            self.limit = min(float(self.most), self.limit * 2 if self.growing else self.limit + 1)
        self._seen = self._turned_away = 0

    def close_for(self, seconds: float) -> None:
        """Send nothing for ``seconds`` from now."""
        self._closed_until = max(self._closed_until, self._loop.time() + seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait before another try. Raises :class:`Stopped` as soon as nothing more is sent."""
        if self.stopped is not None:
            raise Stopped
        future: asyncio.Future[None] = self._loop.create_future()
        alarm = self._loop.call_later(seconds, _wake, future)
        self._asleep.add(future)
        try:
            await future
        finally:
            alarm.cancel()
            self._asleep.discard(future)

    def stop(self, reason: Exception) -> None:
        """Send nothing more; what is in flight may come back."""
        if self.stopped is None:
            self.stopped = reason
        for future in [*self._asleep, *(future for future, _ in self._waiting)]:
            if not future.done():
                future.set_exception(Stopped())
        self._waiting.clear()

    def _admit(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            future, worst = self._waiting[0]
            if future.done():
                self._waiting.popleft()
                continue
            if passed := self._purse.passed_by(worst):
                if not self._purse.in_flight:
                    self.stop(self._ceiling(passed))
                elif not self.in_flight:
                    self._wake_in(ELSEWHERE_S)
                return
            if (closed := self._closed_until - self._loop.time()) > 0:
                self._wake_in(min(closed, self._purse.time_left))
                return
            if not self._purse.reserve(worst):
                self._wake_in(ELSEWHERE_S)
                return
            self._waiting.popleft()
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            future.set_result(None)

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(max(0.0, seconds) + 1e-3, self._admit)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
