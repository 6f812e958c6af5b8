"""The contract of whatever answers: student, teacher and judge alike."""

from collections.abc import Iterator, Sequence
from typing import Protocol, Self, runtime_checkable

from tutelage.events import Emit, Event
from tutelage.records import Answer, AnswerSchema, Engine, Request


@runtime_checkable
class Completer(Protocol):
    """Requests in, answers out as they finish, in any order, exactly one a request.

    A completer is a context manager: leaving it frees its memory, threads and connections. Equal requests in equal
    calls give equal answers where the engine is deterministic; callers that must be able to replay send fixed chunks.
    A request that cannot be answered comes back with ``finish="error"`` and the reason, marked ``transient`` if it may
    be answered another time; an engine that cannot answer anything raises :class:`tutelage.errors.CompletionError`.
    """

    @property
    def engine(self) -> Engine:
        """Who answers: goes into the identity of every score."""
        ...

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as they finish."""
        ...

    def __enter__(self) -> Self:
        """Return the completer itself."""
        ...

    def __exit__(self, *exc_info: object) -> None:
        """Free what the completer holds."""
        ...


@runtime_checkable
class InGroups(Protocol):
    """A completer whose answers arrive many at a time, so that they can be logged in one durable write."""

    def groups(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield what has arrived since the last group, as :meth:`Completer.complete` yields it one by one."""
        ...


@runtime_checkable
class OffersSchemas(Protocol):
    """A completer that holds answers to their schema, or passes it on to a server, either of which may fail."""

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """Why answers that were asked for with ``schema`` are not held to it; empty if they are. Of a server: what it
        said to the first schema that it refused, after which none is sent."""
        ...


@runtime_checkable
class Tells(Protocol):
    """A completer that has something to say while it answers, beside its answers."""

    def tell(self, emit: Emit) -> None:
        """Say it to ``emit`` from now on."""
        ...


def telling(completer: Completer, emit: Emit) -> Completer:
    """Return ``completer``, which says to ``emit`` what it has to say, if anything."""
    if isinstance(completer, Tells):
        completer.tell(emit)
    return completer


def say_refusal(completer: Completer, schema: AnswerSchema, *, label: str, emit: Emit) -> bool:
    """Say it if answers of ``completer`` are not held to ``schema``; return whether it was said."""
    why = completer.schema_refusal(schema) if isinstance(completer, OffersSchemas) else ""
    if why:
        text = f"{label}: answers are not held to the schema, JSON is asked for in words alone ({why})"
        emit(Event("note", data={"text": text}))
    return bool(why)


def in_groups(completer: Completer, requests: Sequence[Request]) -> Iterator[list[Answer]]:
    """Yield the answers of ``completer`` in groups that have arrived together, of one where it knows none."""
    if isinstance(completer, InGroups):
        return completer.groups(requests)
    return ([answer] for answer in completer.complete(requests))
