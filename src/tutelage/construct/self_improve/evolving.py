"""Evol-Instruct: one instruction is rewritten in depth, or another is thought of in breadth, and compared with it.

Xu et al. 2023 (WizardLM), sections 3.2 and 3.3. Deviations: JSON in place of free text; in depth the input travels with
the instruction as one request; the question whether both are equal is asked at temperature 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.asking import Ended
from tutelage.completers.structured.forms import form_of
from tutelage.construct.desk import Desk
from tutelage.construct.instructions.checks import faults_of_words
from tutelage.construct.instructions.requests import Asked
from tutelage.construct.instructions.requests import Written as WrittenRequest
from tutelage.construct.prompts import render
from tutelage.construct.self_improve.elimination import copies
from tutelage.construct.self_improve.seeds import Seed
from tutelage.construct.speaker import lost
from tutelage.judging.fence import mark_for
from tutelage.recipe.sources import EvolveSource
from tutelage.recipe.sources.evolve import Operation
from tutelage.records import LEVELS, Answer, Dropped, Level, Request, Sampling, user
from tutelage.records.instructions import Order
from tutelage.seeds import derive_seed, stream
from tutelage.text.languages import NAMES

DEPTH_PROMPT, BREADTH_PROMPT, EQUAL_PROMPT = "evolve_depth", "evolve_breadth", "evolve_equal"
EVOLVED, COMPARED = "evolved", "compared"
EQUAL_TOKENS = 64
"""Longest reply to whether two requests are equal."""
MOST_WORDS = 600
"""Of an evolved request with all that it brings."""


class Evolved(BaseModel):
    """A request that came of another."""

    model_config = ConfigDict(extra="forbid")

    request: str


class Equality(BaseModel):
    """Whether two requests ask the same."""

    model_config = ConfigDict(extra="forbid")

    equal: bool


EVOLUTION, EQUALITY = form_of(Evolved), form_of(Equality)


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction as far as it has come from its seed: its words, its id, and the operations that made it."""

    seed: Seed
    text: str
    id: str
    operations: tuple[Operation, ...] = ()

    @classmethod
    def begin(cls, seed: Seed) -> "Line":
        """Return the seed itself."""
        return cls(seed, seed.request, seed.task.id)

    @property
    def level(self) -> Level | None:
        """Its level, estimated: that of the seed, one higher with each operation in depth; None: the seed has none."""
        if self.seed.level is None:
            return None
        deeper = sum(operation != "breadth" for operation in self.operations)
        return LEVELS[min(LEVELS.index(self.seed.level) + deeper, len(LEVELS) - 1)]


@dataclass(frozen=True, slots=True)
class Step:
    """A line one operation further, and the replies that this took: they may still be eliminated."""

    before: Line
    line: Line
    replies: tuple[Answer, ...]

    def asked(self, section: EvolveSource) -> Asked:
        """Return what is to be answered. An unknown level is given as the lowest: nobody is shown it."""
        order = Order(
            id=self.line.id,
            dimension=self.line.seed.dimension,
            level=self.line.level or LEVELS[0],
            language=section.language,
        )
        return Asked(order, WrittenRequest(request=self.line.text), self.replies)


def prompt_of(operation: Operation) -> str:
    """Return the name of the prompt that asks for an operation."""
    return BREADTH_PROMPT if operation == "breadth" else DEPTH_PROMPT


def evolve(
    desk: Desk, section: EvolveSource, lines: Sequence[Line], generation: int
) -> tuple[list[Step], list[Dropped], int]:
    """Return each line one operation further, what was dropped on the way, and how many replies never came.

    The operation is drawn for line and generation, all equally likely. Raises what :meth:`Desk.ask` raises.
    """
    drawn = [_operation(desk, section, line, generation) for line in lines]
    requests = [
        _request(desk, section, line, operation, generation) for line, operation in zip(lines, drawn, strict=True)
    ]
    ends = desk.ask(f"{EVOLVED}-{generation}", requests, form=EVOLUTION)
    steps: list[Step] = []
    dropped: list[Dropped] = []
    absent = 0
    for line, operation, end in zip(lines, drawn, ends, strict=True):
        if end.value is None:
            dropped.append(lost(end, EVOLVED))
            absent += end.loss is not None and end.loss.stage in ("error", "refused")
            continue
        text = end.value.request.strip()
        name = f"{desk.sampler.round}/{generation}/{line.seed.task.id}"
        step = Step(line, Line(line.seed, text, name, (*line.operations, operation)), tuple(end.answers))
        if reason := next(_faults(step, section), ""):
            dropped.append(Dropped(id=end.request.id, step=EVOLVED, reason=reason, row=end.answers[-1].to_json()))
        else:
            steps.append(step)
    return steps, dropped, absent


def compare(
    desk: Desk, section: EvolveSource, steps: Sequence[Step], generation: int
) -> tuple[list[Step], list[Dropped]]:
    """Return the steps that the model does not find equal to what was there before (rule 1), and the others.

    Raises what :meth:`Desk.ask` raises.
    """
    requests = [_comparison(section, step) for step in steps]
    kept: list[Step] = []
    dropped: list[Dropped] = []
    for step, end in zip(steps, desk.ask(f"{COMPARED}-{generation}", requests, form=EQUALITY), strict=True):
        if end.value is None:
            row = lost(end, COMPARED)
            dropped.append(row.model_copy(update={"reason": f"nobody could say whether it is new: {row.reason}"}))
        elif end.value.equal:
            dropped.append(_equal(step, end))
        else:
            kept.append(Step(step.before, step.line, (*step.replies, *end.answers)))
    return kept, dropped


def _equal(step: Step, end: Ended[Equality]) -> Dropped:
    reason = "it is equal to the request before"
    return Dropped(id=end.request.id, step=COMPARED, reason=reason, row=step.replies[-1].to_json())


def _faults(step: Step, section: EvolveSource) -> Iterator[str]:
    """Rule 4, and what no request may be; the latter is this project's."""
    if words := copies(step.line.text, mark_for([step.before.text])):
        yield f"it copies words of the question: {words!r}"
    for reason, detail in faults_of_words(step.line.text, step.asked(section).order, most=MOST_WORDS):
        yield f"{reason}: {detail}" if detail else reason


def _operation(desk: Desk, section: EvolveSource, line: Line, generation: int) -> Operation:
    draw = stream(desk.sampler.seed, section.folder, "operation", line.seed.task.id, generation)
    return draw.choice(section.operations)


def _request(desk: Desk, section: EvolveSource, line: Line, operation: Operation, generation: int) -> Request:
    prompt = render(
        prompt_of(operation),
        operation=operation,
        mark=mark_for([line.text]),
        request=line.text,
        language=NAMES[section.language],
    )
    return Request(
        id=f"{desk.sampler.round}/{generation}/{line.seed.task.id}/{operation}",
        messages=(user(prompt),),
        sampling=desk.writing,
        seed=derive_seed(desk.sampler.seed, section.folder, EVOLVED, line.seed.task.id, generation),
    )


def _comparison(section: EvolveSource, step: Step) -> Request:
    texts = [step.before.text, step.line.text]
    prompt = render(EQUAL_PROMPT, mark=mark_for(texts), first=texts[0], second=texts[1])
    sampling = Sampling(temperature=0.0, max_tokens=min(EQUAL_TOKENS, section.max_tokens))
    return Request(id=f"{step.line.id}/equal", messages=(user(prompt),), sampling=sampling)
