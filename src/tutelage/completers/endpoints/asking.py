"""Asking an endpoint for many answers at once: tries, pauses, and when to give up on one request or on the endpoint."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from tutelage.completers.endpoints.exchange import Asked, Exchange, Reply
from tutelage.completers.endpoints.gate import Gate, Stopped
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.spending import NOTHING, CeilingReached, Paid, Purse, Tokens
from tutelage.completers.preparation import failed
from tutelage.errors import CompletionError
from tutelage.records import Answer, Request

UNREACHED = 3
"""Requests that found no connection, before any answer came, after which nobody is there."""
FORBIDDEN = 3
LOST_IN_A_ROW = 20
"""Requests given up one after another, with no answer between them, after which the endpoint is taken to be down."""
REFUSED_IN_A_ROW = 20
"""Requests refused for good, before any answer came, after which the endpoint takes none."""
ROOM = 4
"""Requests begun and not yet taken by the caller, for each that may be in flight: who reads slowly slows the asking."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: its answer (None: nothing more was asked, it stays open) and what it cost."""

    answer: Answer | None
    paid: Paid


@dataclass(slots=True)
class Standing:
    """What earlier calls have shown of an endpoint: how many it takes at once, whether it has ever answered, how many
    requests in a row it did not. A call may be of one request alone."""

    limit: float | None = None
    growing: bool = True
    answered: bool = False
    lost: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Bill:
    cost: Tokens = NOTHING
    assumed: int = 0
    tries: int = 0

    def add(self, reply: Reply) -> None:
        self.cost, self.assumed, self.tries = self.cost.plus(reply.cost), self.assumed + reply.assumed, self.tries + 1

    def paid(self, request: Request) -> Paid:
        return Paid(
            request=request.id,
            prompt_tokens=self.cost.prompt,
            completion_tokens=self.cost.completion,
            assumed=self.assumed,
            tries=self.tries,
        )


class Job:
    """One call: hands out requests, tries each, and puts how it ended into ``ended``; last comes None.

    Lives in the event loop of its exchange. ``most`` requests are in flight at once, and as many more wait for their
    next try. ``stopped`` is, at the end, why not all requests were asked.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        exchange: Exchange,
        purse: Purse,
        patience: Patience,
        *,
        most: int,
        standing: Standing,
        outage: Callable[[str, str], CompletionError],
    ) -> None:
        self.ended: SimpleQueue[Outcome | None] = SimpleQueue()
        self.gate = Gate(most, purse, limit=standing.limit, growing=standing.growing, ceiling=self._ceiling)
        self._room = asyncio.Semaphore(ROOM * most)
        self._waiting: Iterator[Request] = iter(requests)
        self._count, self._workers = len(requests), min(len(requests), 2 * most)
        self._exchange, self._purse, self._patience, self._outage = exchange, purse, patience, outage
        self._standing = standing
        self._came = self._unreached = self._forbidden = self._media = 0

    def start(self) -> None:
        """Begin to ask."""
        self._purse.begin()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Break off what is in flight."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        """Ask everything. Whatever happens, None is the last that is put."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        except ExceptionGroup as faults:  # a bug of ours: nothing that an endpoint does is one
            self.gate.stop(faults.exceptions[0])
        finally:
            self._purse.pause()
            self._standing.limit, self._standing.growing = self.gate.limit, self.gate.growing
            self.ended.put(None)

    def taken(self, count: int) -> None:
        """Note that the caller has taken ``count`` outcomes."""
        for _ in range(count):
            self._room.release()

    async def _work(self) -> None:
        while self.gate.stopped is None:
            await self._room.acquire()
            request = next(self._waiting, None)
            if request is None:
                self._room.release()
                return
            await self._ask(request)

    async def _ask(self, request: Request) -> None:
        try:
            asked = await self._exchange.prepare(request)
        except CompletionError as fault:
            self.ended.put(Outcome(failed(request, str(fault)), Paid(request=request.id)))
            return
        self._media = max(self._media, asked.media)
        bill = _Bill()
        try:
            answer = await self._tried(asked, bill)
        except Stopped:
            self.ended.put(Outcome(None, bill.paid(request)))
            return
        except asyncio.CancelledError:
            self.ended.put(Outcome(None, bill.paid(request)))
            raise
        money = None if self._purse.tariff is None else self._purse.tariff.money(bill.cost)
        self.ended.put(Outcome(answer.model_copy(update={"money": money}), bill.paid(request)))

    async def _tried(self, asked: Asked, bill: _Bill) -> Answer:
        """Try until there is an answer or no more sense in it. Raises :class:`Stopped`."""
        waited, patience = 0.0, self._patience
        while True:
            reply = await self._exchanged(asked, bill)
            if reply.answer is not None:
                self._came += 1
                self._standing.answered, self._standing.lost, self._forbidden = True, 0, 0
                return reply.answer
            if reply.kind == "plainer":
                continue  # at once, without the field that is refused, which is not sent again
            if reply.kind != "again":
                return self._refusal(asked.request, reply)
            wait = max(patience.pause(bill.tries), reply.wait or 0.0)
            if bill.tries > patience.retries or waited + wait > patience.total_s:
                return self._given_up(asked.request, reply, bill.tries, waited)
            waited += wait
            await self.gate.sleep(wait)

    async def _exchanged(self, asked: Asked, bill: _Bill) -> Reply:
        """Send once, when it may be sent; the endpoint's pauses hold for all requests."""
        await self.gate.enter(asked.worst)
        reply = Reply("again", "the call was ended", cost=asked.worst, assumed=asked.worst.all)
        try:
            reply = await self._exchange.post(asked)
            self._obey(reply)  # before the next one is let in
        finally:
            bill.add(reply)
            self.gate.leave(asked.worst, reply.cost, turned_away=reply.turned_away)
        return reply

    def _obey(self, reply: Reply) -> None:
        """Send nothing for as long as the endpoint asks, or nothing more if it takes nothing."""
        if reply.kind == "broken":
            self.gate.stop(self._outage(_what(reply.status), reply.reason))
            return
        closed = max(reply.exhausted, (reply.wait or 0.0) if reply.turned_away else 0.0)
        if closed > self._patience.total_s:
            said = f"{closed:,.0f} s; patience_s is {self._patience.total_s:,.0f}"
            self.gate.stop(self._outage("the endpoint asks to wait longer than this run would", said))
        elif closed:
            self.gate.close_for(closed)

    def _refusal(self, request: Request, reply: Reply) -> Answer:
        """The answer of a request that the endpoint refuses, and whether it would refuse all."""
        if reply.kind == "broken":
            raise Stopped
        if reply.status == 403:
            self._forbidden += 1
            if not self._standing.answered or self._forbidden >= FORBIDDEN:
                self.gate.stop(self._outage("the endpoint rejects the key", reply.reason))
                raise Stopped
            return failed(request, reply.reason)
        self._standing.refused += 1
        if not self._standing.answered and self._standing.refused >= REFUSED_IN_A_ROW:
            self._standing.refused = 0
            self.gate.stop(self._outage("the endpoint refuses every request", reply.reason))
        return failed(request, reply.reason)

    def _given_up(self, request: Request, reply: Reply, tries: int, waited: float) -> Answer:
        """The answer of a request that was tried often enough, and whether the endpoint is down."""
        self._standing.lost += 1
        self._unreached += reply.unreached
        if not self._came and self._unreached >= min(UNREACHED, self._count):
            self.gate.stop(self._outage("the endpoint cannot be reached", reply.reason))
        elif self._standing.lost >= LOST_IN_A_ROW:
            said = f"{self._standing.lost} requests in a row given up; the last: {reply.reason}"
            self._standing.lost = 0
            self.gate.stop(self._outage("the endpoint no longer answers", said))
        reason = reply.reason + (f" (tried {tries} times, {waited:.0f} s of waiting)" if tries > 1 else "")
        return failed(request, reason, transient=True)

    def _ceiling(self, passed: str) -> CeilingReached:
        seen = f", images and recordings counted as up to {self._media:,} tokens a request" if self._media else ""
        or_less = " (or give image_tokens, where an image is fewer)" if self._media else ""
        return CeilingReached(
            f"the ceiling of {passed} leaves no room for another request",
            where=self._purse.place,
            received=f"spent so far: {self._purse.words}{seen}",
            remedy=f"raise it{or_less} and give the same command again: what came is kept, only the rest is asked for",
        )


def _what(status: int) -> str:
    if status == 401:
        return "the endpoint rejects the key"
    if status == 402 or status == 429:
        return "the endpoint wants to be paid first"
    if 300 <= status < 400:
        return "the address leads elsewhere"
    return "the model or address is unknown"
