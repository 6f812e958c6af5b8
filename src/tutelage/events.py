"""Numbers leave the library as events; nothing below the command line prints.

An event says what happened (``kind``), where (``stage``, ``round``) and its numbers (``data``). Whoever runs a stage
passes an :data:`Emit`; :func:`silent` is the one that listens to nothing.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import JsonValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Kinds: ``stage_started``, ``stage_finished``, ``stage_skipped``, ``progress`` (data: ``label``, ``done``,
    ``total``, ``unit``; of answers ``tokens``, ``rate`` a second, ``eta_s``, ``yield``, the share that came, and
    ``money``), ``step`` (one optimizer step), ``look`` (one look of early stopping, with its ``text``), ``note`` (data:
    ``text``), ``plan``, ``verdict``, ``scores``.
    """

    kind: str
    stage: str = ""
    round: int | None = None
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    time_s: float = field(default_factory=time.time)

    def to_json(self) -> str:
        """Return one line of JSON."""
        row: dict[str, JsonValue] = {"time_s": round(self.time_s, 3), "kind": self.kind, "stage": self.stage}
        if self.round is not None:
            row["round"] = self.round
        return json.dumps({**row, **self.data}, ensure_ascii=False)


Emit = Callable[[Event], None]


def say(notes: Iterable[str], emit: Emit) -> None:
    """Tell each of ``notes`` that says something."""
    for note in filter(None, notes):
        emit(Event("note", data={"text": note}))


def silent(event: Event) -> None:
    """Listen to nothing."""


def to_all(*listeners: Emit) -> Emit:
    """Return an emitter that passes every event to every one of ``listeners``, in order."""

    def emit(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return emit


def located(emit: Emit, *, stage: str, round: int | None = None) -> Emit:
    """Return an emitter that fills in ``stage`` and ``round`` where an event does not say them."""

    def emit_here(event: Event) -> None:
        emit(
            Event(
                kind=event.kind,
                stage=event.stage or stage,
                round=round if event.round is None else event.round,
                data=event.data,
                time_s=event.time_s,
            )
        )

    return emit_here


def progress(emit: Emit, things: Iterable[T], *, label: str, total: int, unit: str = "items") -> Iterator[T]:
    """Yield ``things`` and emit a ``progress`` event before the first and after each of them."""
    emit(Event("progress", data={"label": label, "done": 0, "total": total, "unit": unit}))
    for done, thing in enumerate(things, start=1):
        yield thing
        emit(Event("progress", data={"label": label, "done": done, "total": total, "unit": unit}))
