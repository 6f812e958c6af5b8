"""Several completers in order: what one does not answer is asked of the next, in the same call."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from tutelage.completers.endpoints.spending import CeilingReached
from tutelage.completers.preparation import failed, refuse_duplicates
from tutelage.completers.protocol import Completer, OffersSchemas, in_groups, telling
from tutelage.errors import CompletionError
from tutelage.events import Emit, Event, silent
from tutelage.records import Answer, AnswerSchema, Engine, Request


@dataclass(frozen=True, slots=True)
class Member:
    """One of those who are asked: its name in lineage, and the completer."""

    name: str
    completer: Completer


@dataclass(slots=True)
class _Call:
    """What has happened in one call: how each open request has failed so far, by member, and who is out of it."""

    failures: dict[str, list[tuple[str, Answer]]] = field(default_factory=dict)
    unusable: dict[int, CompletionError] = field(default_factory=dict)
    ceiling: CeilingReached | None = None
    came: int = 0


class FallbackCompleter:
    """Asks the first of ``members``, and the next for what it does not answer.

    Whoever ends the call as a whole (:class:`CompletionError`: down, key, account, model or address wrong, wants to be
    waited for too long) is asked nothing more in this call: all that is open goes to the next, and a note says so. A
    request alone that one refuses for good (too long, filtered), or gives up on after its tries, is asked of the next
    at once, while the one before is still answering others; it fails when all have failed it, and its failure names
    each. That may pass if it may pass at one of them, or if one could not be asked. What both took for it is its cost.

    Each answer says who gave it (``by``). A ceiling that leaves no room ends the call, whoever meets it. When all are
    out and not everything was answered, one :class:`CompletionError` names each with its reason. The next call begins
    with the first again.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._emit: Emit = silent

    @property
    def engine(self) -> Engine:
        """All of them, in order."""
        engines = [member.completer.engine for member in self._members]
        return Engine(model=", ".join(e.model for e in engines), engine=", ".join(e.engine for e in engines))

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """What the first of them that was asked and takes no such schema said to it."""
        offering = (member.completer for member in self._members if isinstance(member.completer, OffersSchemas))
        return next(filter(None, (one.schema_refusal(schema) for one in offering)), "")

    def tell(self, emit: Emit) -> None:
        """Say to ``emit`` whenever another is asked, and what each of them has to say."""
        self._emit = emit
        for member in self._members:
            telling(member.completer, emit)

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as they arrive."""
        for group in self.groups(requests):
            yield from group

    def groups(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield lists of the answers that have arrived since the last one."""
        refuse_duplicates(requests)
        call = _Call()
        yield from self._asked(requests, 0, call)
        if call.ceiling is not None:
            raise call.ceiling
        if len(call.unusable) == len(self._members) and call.came < len(requests):
            raise self._nobody(call)

    def _asked(self, requests: Sequence[Request], place: int, call: _Call) -> Iterator[list[Answer]]:
        """Ask the member at ``place``, and those after it for what it leaves."""
        while place in call.unusable:
            place += 1
        if place == len(self._members):
            yield [self._failure(request, call) for request in requests if request.id in call.failures]
            return
        member, still = self._members[place], {request.id: request for request in requests}
        try:
            for group in in_groups(member.completer, requests):
                came = [answer for answer in group if answer.finish != "error"]
                call.came += len(came)
                yield [self._given(answer, member.name, call) for answer in came]
                lost = [(still.pop(answer.request_id), answer) for answer in group if answer.finish == "error"]
                for answer in came:
                    del still[answer.request_id]
                for request, answer in lost:
                    call.failures.setdefault(request.id, []).append((member.name, answer))
                if lost and call.ceiling is None:
                    yield from self._asked([request for request, _ in lost], place + 1, call)
        except CeilingReached as fault:
            call.ceiling = fault
        except CompletionError as fault:
            call.unusable[place] = fault
            self._say(place, call)
            if call.ceiling is None:
                yield from self._asked(list(still.values()), place + 1, call)

    def _given(self, answer: Answer, name: str, call: _Call) -> Answer:
        """An answer with its author, and with what those took who failed before."""
        before = [failure for _, failure in call.failures.pop(answer.request_id, ())]
        return answer.model_copy(update={"by": name, "money": _money([*before, answer])})

    def _failure(self, request: Request, call: _Call) -> Answer:
        """The one failure of a request that nobody answered."""
        told = call.failures.pop(request.id)
        by_reason: dict[str, list[str]] = {}
        for name, failure in told:
            by_reason.setdefault(failure.error, []).append(name)
        out = [self._members[place].name for place in call.unusable]
        parts = [f"{' and '.join(names)}: {reason}" for reason, names in by_reason.items()]
        parts += [f"{name} could not be asked" for name in out if all(name != other for other, _ in told)]
        transient = bool(out) or any(failure.transient for _, failure in told)
        answer = failed(request, "; ".join(parts), transient=transient)
        return answer.model_copy(update={"money": _money([failure for _, failure in told])})

    def _say(self, place: int, call: _Call) -> None:
        after = [member.name for at, member in enumerate(self._members) if at > place and at not in call.unusable]
        then = f"what it leaves is asked of {after[0]}" if after else "nobody comes after it"
        text = (
            f"{self._members[place].name} is asked nothing more in this call: {_reason(call.unusable[place])}; {then}"
        )
        self._emit(Event("note", data={"text": text}))

    def _nobody(self, call: _Call) -> CompletionError:
        if len(self._members) == 1:
            return call.unusable[0]
        reasons = [f"{member.name}: {_reason(call.unusable[at])}" for at, member in enumerate(self._members)]
        return CompletionError(
            f"none of the {len(reasons)} endpoints can be used",
            received="; ".join(reasons),
            remedy="mend one of them, or name another under teacher.fallback, and give the same command again: what "
            "came is kept, and only the rest is asked for",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close them all, whatever one of them does."""
        with ExitStack() as stack:
            for member in self._members:
                stack.push(member.completer.__exit__)


def _reason(fault: CompletionError) -> str:
    problem = fault.problem
    return f"{problem.what} ({problem.received})" if problem.received else problem.what


def _money(answers: Sequence[Answer]) -> float | None:
    """The known part of what several tries of one request cost."""
    known = [answer.money for answer in answers if answer.money is not None]
    return sum(known) if known else None
