"""Reflecting on the instruction, which gives another one with its answer, then on the response to that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.asking import Ended
from tutelage.completers.structured.forms import form_of
from tutelage.construct.approval import FALLBACK, Written, form_of_answer
from tutelage.construct.given import Given
from tutelage.construct.instructions.checks import faults_of_words
from tutelage.construct.instructions.form import told_language
from tutelage.construct.prompts import render, version
from tutelage.construct.reflection.criteria import OF_INSTRUCTIONS, OF_RESPONSES, listed
from tutelage.construct.reflection.rows import Case
from tutelage.construct.speaker import Speaker, lost
from tutelage.construct.traces import of_revising, of_rewriting
from tutelage.judging.fence import mark_for
from tutelage.recipe.sources.reflection import Part
from tutelage.records import Answer, Dropped, Request, Sampling, user
from tutelage.records.instructions import Order
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.languages import NAMES

W = TypeVar("W", "Rewritten", "Improved")
LONG = "the request is too long"
PROMPTS: Mapping[Part, str] = {"instruction": "reflection_instruction", "response": "reflection_response"}
NAMED = {"system": "What the assistant was told before", "user": "The request", "assistant": "The answer"}


class Rewritten(BaseModel):
    """What was thought of an instruction, a better one, and an answer to it."""

    model_config = ConfigDict(extra="forbid")

    reflection: str
    instruction: str
    answer: str


class Improved(BaseModel):
    """What was thought of an answer, and a better one."""

    model_config = ConfigDict(extra="forbid")

    reflection: str
    answer: str


@dataclass(frozen=True, slots=True)
class Examiner:
    """Says what is wrong with what was written in place of a row; None: nothing."""

    cases: Mapping[str, Case]

    def __call__(self, request: Request, value: Rewritten | Improved) -> Loss | None:
        case = self.cases[request.id]
        asked = case.given.item.prompt
        if isinstance(value, Rewritten) and (fault := instruction_fault(value.instruction, asked)):
            return Loss(stage="rejected", reason=fault[0], detail=fault[1][:300])
        given = _with(case.given, value.instruction) if isinstance(value, Rewritten) else case.given
        fault = answer_fault(value.answer, given, known=f"{asked}\n{case.row.target.text}")
        return Loss(stage="rejected", reason=fault[0], detail=fault[1][:300]) if fault else None


def instruction_fault(instruction: str, before: str) -> tuple[str, str] | None:
    """Return what is wrong with an instruction written in place of ``before``; None: nothing, or what was wrong with
    that too. It may be as long as it likes."""
    language = told_language(before) or told_language(instruction)
    order = Order(id="", dimension="", level="basic", language=language if language in NAMES else FALLBACK)
    there = {reason for reason, _ in faults_of_words(before, order)}
    for reason, detail in faults_of_words(instruction, order):
        if reason not in there and reason != LONG:
            return reason, detail
    words = of_rewriting(instruction, before)
    return ("the request speaks of another one", repr(words)) if words else None


def answer_fault(answer: str, given: Given, *, known: str) -> tuple[str, str] | None:
    """Return what is wrong with an answer to ``given``; the words of ``known`` are no trace of its making."""
    form = form_of_answer(Written(given, Answer(request_id="", text=answer)))
    if form.score == 0:
        return "the answer is not right in form", form.reason
    words = of_revising(answer, known)
    return ("the answer speaks of being revised", repr(words)) if words else None


def reflect(
    part: Part, speaker: Speaker, cases: Sequence[Case], *, drawn: Sampling, seed: int
) -> tuple[list[Case], list[Dropped]]:
    """Return the cases with what was written in place of their instruction and answer, or of their answer alone, and
    those of which nothing usable came.

    Raises what :meth:`Speaker.ask` raises.
    """
    requests = [
        Request(
            id=f"{case.row.id}/{part}",
            messages=(user(_question(part, case)),),
            sampling=drawn,
            seed=derive_seed(seed, part, case.row.id),
        )
        for case in cases
    ]
    known = {request.id: case for request, case in zip(requests, cases, strict=True)}
    examiner = Examiner(known)
    if part == "instruction":
        return _read(part, cases, speaker.ask(part, requests, form=form_of(Rewritten), examine=examiner))
    return _read(part, cases, speaker.ask(part, requests, form=form_of(Improved), examine=examiner))


def _read(part: Part, cases: Sequence[Case], ends: Sequence[Ended[W]]) -> tuple[list[Case], list[Dropped]]:
    kept: list[Case] = []
    dropped: list[Dropped] = []
    for case, end in zip(cases, ends, strict=True):
        if end.loss is not None or end.value is None:
            dropped.append(lost(end, part))
        else:
            kept.append(_after(case, end.value, end.answers, part))
    return kept, dropped


def _after(case: Case, value: Rewritten | Improved, replies: Sequence[Answer], part: Part) -> Case:
    last = replies[-1]
    return replace(
        case,
        given=_with(case.given, value.instruction) if isinstance(value, Rewritten) else case.given,
        answer=last.model_copy(update={"text": value.answer.strip()}),
        prompts=(*case.prompts, version(PROMPTS[part])),
        parents=(*case.parents, last.request_id),
        replies=(*case.replies, *replies),
    )


def _with(given: Given, instruction: str) -> Given:
    """The prompt with another last turn of the user."""
    messages = (*given.item.messages[:-1], user(instruction.strip()))
    return replace(given, item=given.item.model_copy(update={"messages": messages}))


def _question(part: Part, case: Case) -> str:
    turns = [(message.role, message.text) for message in case.given.item.messages]
    turns.append(("assistant", case.answer.text))
    parts = [{"name": NAMED[role], "text": text} for role, text in turns]
    criteria = OF_INSTRUCTIONS if part == "instruction" else OF_RESPONSES
    mark = mark_for([text for _, text in turns])
    return render(PROMPTS[part], mark=mark, parts=parts, criteria=listed(criteria))
