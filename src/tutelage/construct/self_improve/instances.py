"""Self-Instruct, its second half: inputs and outputs of new instructions; for classification the label comes first.

Wang et al. 2023, section 2.2: asked for an input first, a model mostly thinks of inputs of one label. Seeds of the same
kind are shown. The paper's filters decide first, then whether the form of an output is right, which is this project's
addition, then the judge of the recipe, if it has one for what no program can check.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.desk import Desk
from tutelage.construct.instructions.answers import passes
from tutelage.construct.instructions.form import form_verdict
from tutelage.construct.judged import Heard
from tutelage.construct.prompts import render
from tutelage.construct.self_improve.bootstrap import Told
from tutelage.construct.self_improve.filters import sift_instances
from tutelage.construct.self_improve.seeds import Seed, drawn_seeds, request_of
from tutelage.construct.speaker import lost
from tutelage.recipe.sources import SelfInstructSource
from tutelage.records import LEVELS, Answer, Dropped, Item, Request, Sampling, Verdict, user
from tutelage.records.instructions import Order
from tutelage.records.seed_tasks import Instance
from tutelage.records.structured import Loss
from tutelage.text.languages import NAMES

INPUT_FIRST, OUTPUT_FIRST = "input_first", "output_first"
ASKED, STEP = "instance requests", "instances"


class Made(BaseModel):
    """An input, and what comes out."""

    model_config = ConfigDict(extra="forbid")

    input: str = ""
    output: str


class Labeled(BaseModel):
    """A label, and an input that has it."""

    model_config = ConfigDict(extra="forbid")

    label: str
    input: str = ""


class InputsFirst(BaseModel):
    """Instances of a task."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Made]

    @property
    def made(self) -> tuple[Instance, ...]:
        """The instances."""
        return tuple(Instance(input=one.input, output=one.output) for one in self.instances)


class LabelsFirst(BaseModel):
    """Instances of a classification task."""

    model_config = ConfigDict(extra="forbid")

    instances: list[Labeled]

    @property
    def made(self) -> tuple[Instance, ...]:
        """The instances, the label as output."""
        return tuple(Instance(input=one.input, output=one.label) for one in self.instances)


BY_INPUT, BY_LABEL = form_of(InputsFirst), form_of(LabelsFirst)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for one instruction, how (``INPUT_FIRST`` or ``OUTPUT_FIRST``), and by which replies."""

    told: Told
    how: str
    instances: tuple[Instance, ...]
    replies: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """An instance that was kept, with the verdict on its output; ``first``: of those of its instruction."""

    written: Written
    instance: Instance
    verdict: Verdict
    first: bool

    @property
    def request(self) -> str:
        """What the user says."""
        return request_of(self.written.told.pooled.instruction, self.instance.input)


def write_instances(
    desk: Desk, section: SelfInstructSource, told: Sequence[Told], seeds: Sequence[Seed]
) -> tuple[list[Written], list[Dropped]]:
    """Return what was written for each instruction, in their order, and the instructions for which nothing came.

    Raises what :meth:`Desk.ask` raises.
    """
    others = [one for one in told if not one.classification]
    labeled = [one for one in told if one.classification]
    found: dict[str, Written] = {}
    dropped: list[Dropped] = []
    requests = [_request(desk, section, one, INPUT_FIRST, seeds) for one in others]
    for one, end in zip(others, desk.ask(INPUT_FIRST, requests, form=BY_INPUT, examine=_holds_some), strict=True):
        if end.value is None or end.loss is not None:
            dropped.append(lost(end, ASKED))
        else:
            found[one.pooled.id] = Written(one, INPUT_FIRST, end.value.made, (*one.replies, *end.answers))
    requests = [_request(desk, section, one, OUTPUT_FIRST, seeds) for one in labeled]
    for one, labels in zip(labeled, desk.ask(OUTPUT_FIRST, requests, form=BY_LABEL, examine=_holds_some), strict=True):
        if labels.value is None or labels.loss is not None:
            dropped.append(lost(labels, ASKED))
        else:
            found[one.pooled.id] = Written(one, OUTPUT_FIRST, labels.value.made, (*one.replies, *labels.answers))
    return [found[one.pooled.id] for one in told if one.pooled.id in found], dropped


def _holds_some(_: Request, value: InputsFirst | LabelsFirst) -> Loss | None:
    return None if value.instances else Loss(stage="rejected", reason="there is no instance in it")


def _request(desk: Desk, section: SelfInstructSource, one: Told, how: str, seeds: Sequence[Seed]) -> Request:
    """Seeds that do not say what they are count as no classification."""
    wanted = (True,) if how == OUTPUT_FIRST else (False, None)
    fit = [seed for seed in seeds if seed.task.instances and seed.task.is_classification in wanted]
    shown = drawn_seeds(fit, section.examples, section.folder, how, one.pooled.id, seed=desk.sampler.seed)
    examples = [
        {"task": " ".join(seed.task.instruction.split()), "made": _as_asked(seed.task.instances[0], how)}
        for seed in shown
    ]
    prompt = render(
        f"self_instruct_{how}",
        examples=examples,
        task=one.pooled.instruction,
        number=str(section.instances),
        language=NAMES[section.language],
    )
    sampling = Sampling(temperature=0.0, max_tokens=section.max_tokens)
    return Request(id=f"{one.pooled.id}/{how}", messages=(user(prompt),), sampling=sampling)


def _as_asked(one: Instance, how: str) -> str:
    """An expert's instance as the reply that gives it."""
    made = {"label": one.output, "input": one.input} if how == OUTPUT_FIRST else one.model_dump()
    return json.dumps({"instances": [made]}, ensure_ascii=False)


def keep_instances(
    desk: Desk, section: SelfInstructSource, written: Sequence[Written]
) -> tuple[list[Passed], list[Dropped]]:
    """Return the instances that pass the filters, the form and the judge, and the others with the reason.

    Raises what :meth:`Bench.score` raises.
    """
    left: list[tuple[Written, Instance]] = []
    heard: list[Heard] = []
    dropped: list[Dropped] = []
    for one in written:
        for place, (instance, reason) in enumerate(sift_instances(one.instances, section.instances)):
            name = f"{one.told.pooled.id}/{place}"
            if reason:
                dropped.append(Dropped(id=name, step=STEP, reason=reason, row=instance.to_json()))
            else:
                left.append((one, instance))
                heard.append(_heard(section, one, instance, name))
    verdicts, failed = _decided(desk, heard)
    kept: list[Passed] = []
    for (one, instance), verdict in zip(left, verdicts, strict=True):
        if verdict is not None:
            first = not kept or kept[-1].written is not one
            kept.append(Passed(one, instance, verdict, first))
    return kept, [*dropped, *failed]


def _decided(desk: Desk, heard: Sequence[Heard]) -> tuple[list[Verdict | None], list[Dropped]]:
    """The verdict on each output that may be learned, None on others, and these with their reason."""
    bench, found = desk.bench, list(heard)
    if bench is not None:
        verdicts, judging = bench.score(STEP, heard)
        found = [replace(one, verdict=verdict) for one, verdict in zip(heard, verdicts, strict=True)]
        desk.judging = desk.judging.plus(judging)
    failed: list[Dropped] = []
    decided: list[Verdict | None] = []
    for one in found:
        decided.append(one.verdict if passes(one, bench) else None)
        if decided[-1] is None:
            failed.append(Dropped(id=one.item.id, step=STEP, reason=_why(one.verdict), row=one.answer.to_json()))
    return decided, failed


def _why(verdict: Verdict) -> str:
    if verdict.judge is None:
        return f"the output is not right in form: {verdict.reason}"
    if verdict.score is None:
        return f"the judge scored nothing: {verdict.reason}"
    return "the output was not good enough for the judge"


def _heard(section: SelfInstructSource, one: Written, instance: Instance, name: str) -> Heard:
    """An output with what a program says of its form. It has no level; a judge is shown none."""
    request = request_of(one.told.pooled.instruction, instance.input)
    order = Order(id=name, dimension=section.dimension, level=LEVELS[0], language=section.language)
    item = Item(
        id=name,
        task=section.kind,
        dimension=section.dimension,
        level=LEVELS[0],
        split="train",
        messages=(user(request),),
        group=one.told.pooled.id,
    )
    answer = Answer(request_id=name, text=instance.output)
    return Heard(item, answer, form_verdict(answer, order, request=request, may_echo=bool(instance.input)))
