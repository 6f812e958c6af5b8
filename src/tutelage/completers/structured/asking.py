"""Structured output: ask, find the JSON, repair it, validate it, ask again with what was wrong; count every end.

The schema travels with the request: our own decoder holds the model to it, and so do endpoints that offer it. Other
engines and scripts do not read it, and a server may refuse it, so the prompt asks for the form too
(:attr:`Form.words`), which also tells a model that is held what it is to write.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tutelage.completers.protocol import Completer, say_refusal
from tutelage.completers.replay import OpenCompleter, Spent, answer_all
from tutelage.completers.structured.forms import Form, NotOfForm
from tutelage.completers.structured.json_text import find_objects, has_whole, is_cut
from tutelage.events import Emit, Event, silent
from tutelage.files import write_atomic
from tutelage.records import Answer, Conversation, Dropped, Message, Request, TextPart, assistant, content_id, user
from tutelage.records.jsonl import RecordLog, write_records
from tutelage.records.structured import LOSSES, LOST_AS, Loss, LossStage, StructuredYield
from tutelage.seeds import derive_seed

V = TypeVar("V")
RETRIES = 2
_MOST_WORDS = 1500

Judge = Callable[[Request, V], Loss | None]
"""What may be wrong with a value of the right form, such as a quote that is nowhere; None: nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """How it is asked: ``folder`` gets ``<label>.jsonl`` (every answer, appended before it counts), ``timing.jsonl``,
    ``<label>_yield.json`` and ``<label>_lost.jsonl``; ``again`` as in :func:`answer_all`."""

    folder: Path
    label: str
    chunk: int
    retries: int = RETRIES
    again: bool = False
    emit: Emit = silent

    def labels(self) -> list[str]:
        """The labels of the timing log, one for the first asking and each further one."""
        return [self.label, *(f"{self.label} again {number}" for number in range(1, self.retries + 1))]


@dataclass(slots=True)
class Ended(Generic[V]):
    """How a request ended: a value or a loss, after one answer or more. ``value`` may stand beside a loss that is
    ``rejected``: the last value that was."""

    request: Request
    answers: list[Answer]
    value: V | None = None
    loss: Loss | None = None
    repaired: bool = False


def ask_structured(
    open_completer: OpenCompleter,
    requests: Sequence[Request],
    *,
    form: Form[V],
    way: Way,
    judge: Judge[V] | None = None,
) -> tuple[list[Ended[V]], StructuredYield]:
    """Return how each of ``requests`` ended, in their order, and the counts, which are also written and told.

    What has no value is asked again at most ``way.retries`` times, with what was wrong with it and another seed; not
    where the endpoint did not answer or refused. Every try stands in the log under an id of its own. What is logged is
    read anew each time and never asked twice: a try counts by the answer that it follows, not by the words in which
    this version complains of it, so another parser reads the same answers again.

    Raises what :func:`answer_all` raises.
    """
    opened: list[Completer] = []

    def opening() -> Completer:
        opened.append(open_completer())
        return opened[-1]

    log, timing = RecordLog(way.folder / f"{way.label}.jsonl", Answer), RecordLog(way.folder / "timing.jsonl", Spent)
    ends = [Ended[V](request, []) for request in requests]
    keys: dict[str, str] = {}
    told = False
    waiting = list(zip(ends, (_with_schema(request, form) for request in requests), strict=True))
    for number, label in enumerate(way.labels()):
        if number:
            waiting = [(end, _again(end, request, number, keys)) for end, request in waiting if _may_try(end)]
        answers = answer_all(
            opening,
            [request for _, request in waiting],
            log=log,
            chunk=way.chunk,
            emit=way.emit,
            label=label,
            timing=timing,
            again=way.again,
            keys=keys,
        )
        for (end, _), answer in zip(waiting, answers, strict=True):
            _read(end, answer, form, judge)
        told = told or any(say_refusal(one, form.schema, label=way.label, emit=way.emit) for one in opened)
    counts = _count(ends, way)
    write_atomic(way.folder / f"{way.label}_yield.json", counts.model_dump_json(indent=1) + "\n")
    write_records(way.folder / f"{way.label}_lost.jsonl", [_dropped(end) for end in ends if end.loss is not None])
    way.emit(Event("note", data={"text": counts.words, "yield": counts.model_dump(mode="json")}))
    return ends, counts


@dataclass(frozen=True, slots=True)
class Reading(Generic[V]):
    """What an answer holds: a value, perhaps after a repair, or why there is none."""

    value: V | None = None
    loss: Loss | None = None
    repaired: bool = False


def read_answer(answer: Answer, form: Form[V]) -> Reading[V]:
    """Return the value in ``answer``, or the stage at which it is lost."""
    if answer.finish == "error":
        return Reading(loss=_loss("error" if answer.transient else "refused", answer.error))
    if not answer.text.strip():
        return Reading(loss=_loss("cut" if answer.finish == "length" else "empty", ""))
    first: NotOfForm | None = None
    for found in find_objects(answer.text, whole=answer.finish != "length"):
        try:
            return Reading(form.read(found.value), repaired=found.repaired)
        except NotOfForm as fault:
            first = first or fault
    if (answer.finish == "length" or is_cut(answer.text)) and not has_whole(answer.text):
        return Reading(loss=_loss("cut", f"it ends with {answer.text[-40:]!r}"))
    if first is not None:
        return Reading(loss=_loss("invalid", str(first)))
    return Reading(loss=_loss("no_json", f"it begins with {answer.text[:60]!r}"))


def _loss(stage: LossStage, detail: str) -> Loss:
    return Loss(stage=stage, reason=LOST_AS[stage], detail=detail)


def _read(end: Ended[V], answer: Answer, form: Form[V], judge: Judge[V] | None) -> None:
    end.answers.append(answer)
    reading = read_answer(answer, form)
    end.value, end.loss, end.repaired = reading.value, reading.loss, reading.repaired
    if reading.value is not None and judge is not None:
        end.loss = judge(end.request, reading.value)


def _may_try(end: Ended[V]) -> bool:
    return end.loss is not None and end.loss.stage not in ("error", "refused")


def _with_schema(request: Request, form: Form[V]) -> Request:
    return request.model_copy(update={"answer_schema": form.schema})


def _again(end: Ended[V], before: Request, number: int, keys: dict[str, str]) -> Request:
    """The request that says what was wrong; ``keys`` gets by what its answer is known in the log."""
    assert end.loss is not None
    last = end.answers[-1]
    request = before.model_copy(
        update={
            "id": f"{end.request.id}/again/{number}",
            "messages": _complaining(end.request.messages, last, end.loss),
            "seed": derive_seed(end.request.seed, "again", number),
        }
    )
    keys[request.id] = content_id("again", number, last.request, last.text)
    return request


def _complaining(messages: Conversation, answer: Answer, loss: Loss) -> Conversation:
    """The conversation with the answer and what is wrong with it; of a cut or empty answer only the latter."""
    if loss.stage in ("cut", "empty"):
        what = "Be brief: an earlier answer was cut before its JSON ended." if loss.stage == "cut" else "Do answer."
        last = messages[-1]
        hint = TextPart(kind="text", text=f"\n\n{what}")
        return (*messages[:-1], Message(role=last.role, content=(*last.content, hint)))
    wrong = {"no_json": "There was no JSON object in it.", "invalid": f"It is not of the form: {loss.detail}."}
    said = wrong.get(loss.stage, f"{loss.reason}{f': {loss.detail}' if loss.detail else ''}.")
    complaint = f"That answer cannot be used. {said[:_MOST_WORDS]}\n\nAnswer again, with the JSON object alone."
    return (*messages, assistant(answer.text), user(complaint))


def _count(ends: Sequence[Ended[V]], way: Way) -> StructuredYield:
    first = [end for end in ends if end.loss is None and len(end.answers) == 1]
    later = [end for end in ends if end.loss is None and len(end.answers) > 1]
    lost = Counter(end.loss.stage for end in ends if end.loss is not None)
    return StructuredYield(
        label=way.label,
        asked=len(ends),
        as_it_came=sum(not end.repaired for end in first),
        repaired=sum(end.repaired for end in first),
        after_retry=tuple(sum(len(end.answers) == 1 + k for end in later) for k in range(1, way.retries + 1)),
        repaired_later=sum(end.repaired for end in later),
        lost={stage: lost[stage] for stage in LOSSES if lost[stage]},
        tries=sum(len(end.answers) for end in ends),
    )


def _dropped(end: Ended[V]) -> Dropped:
    assert end.loss is not None
    reason = f"{end.loss.reason}: {end.loss.detail}" if end.loss.detail else end.loss.reason
    row = json.dumps({"tries": len(end.answers), "last": end.answers[-1].text}, ensure_ascii=False)
    return Dropped(id=end.request.id, step=end.loss.stage, reason=reason, row=row)
