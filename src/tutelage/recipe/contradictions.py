"""Settings that would be ignored beside others: refused where somebody has written them, with the reason.

A default that does not apply is no contradiction. The ``recipe.json`` of a run, which holds every default as if it had
been written, is therefore not asked, and ``tutelage recipe show`` leaves such defaults out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tutelage.recipe.base import Section
from tutelage.recipe.construct import DistillSection
from tutelage.recipe.curate import ContaminationStep, PiiStep
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.objectives import KdObjective, SumObjective
from tutelage.recipe.sources import (
    BackTranslationSource,
    BootstrapSource,
    ConstitutionSource,
    DocumentsSource,
    EvolveSource,
    InstructionsSource,
    MagpieSource,
    ReflectionSource,
    Source,
    TemplatesSource,
)
from tutelage.recipe.vllm import ONLY_JOINED, ONLY_STARTED, VllmEngine

if TYPE_CHECKING:
    from tutelage.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting that applies to nothing: its place in the recipe, why, and whether it is more than a default."""

    place: tuple[str | int, ...]
    why: str
    written: bool

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}: {self.why}"


def idle_settings(recipe: "Recipe") -> list[Idle]:
    """Return every setting of ``recipe`` that would be ignored."""
    if recipe.tune.data is not None:
        return [*_of_a_loop(recipe, "the recipe brings its own rows (tune.data)"), *_of_tune(recipe)]
    if recipe.tune.objective.rows == "prompts":
        why = "the model learns from its own answers (tune.objective)"
        return [*_of_a_loop(recipe, why), *_of_tune(recipe), *_of_asked_tasks(recipe)]
    return [*_of_tune(recipe), *_of_tasks(recipe), *_of_construct(recipe), *_of_curate(recipe), *_of_vllm(recipe)]


def _of_a_loop(recipe: "Recipe", why: str) -> Iterator[Idle]:
    """What only a run reads, in a recipe for ``tutelage tune`` alone."""
    for key in ("rounds", "construct", "curate", "reflect", "controls"):
        yield _idle(recipe, key, f"{why}, and no loop is there to read it")


def _of_asked_tasks(recipe: "Recipe") -> Iterator[Idle]:
    """What the loop alone reads of tasks whose prompts the model answers while it is tuned."""
    for index, task in enumerate(recipe.tasks):
        yield _idle(task, "weight", "every task gives as many prompts a level: objective.prompts", "tasks", index)
        yield _idle(task, "answer_tokens", "answers are as long as objective.max_tokens allows", "tasks", index)
        yield _idle(task, "sample_from", "there are no rounds", "tasks", index)


def _idle(section: Section, key: str, why: str, *place: str | int) -> Idle:
    return Idle((*place, key), why, key in section.model_fields_set)


def _of_tune(recipe: "Recipe") -> Iterator[Idle]:
    objective, place = recipe.tune.objective, ("tune", "objective")
    found: list[tuple[Section, tuple[str | int, ...]]] = [(objective, place)]
    if isinstance(objective, SumObjective):
        found = [(part.objective, (*place, "parts", at, "objective")) for at, part in enumerate(objective.parts)]
    for section, at in found:
        if isinstance(section, KdObjective) and section.divergence != "jsd":
            yield _idle(section, "beta", f"it belongs to jsd, and the divergence is {section.divergence}", *at)
        if isinstance(section, KdObjective) and not section.on_policy:
            for key in ("answer_tokens", "answer_temperature"):
                yield _idle(section, key, "the student writes no answers, on_policy is 0", *at)
        if isinstance(section, GrpoObjective) and section.updates == 1:
            for key in ("clip_low", "clip_high"):
                why = "nothing is clipped in the first step on new answers, and there is no second, updates is 1"
                yield _idle(section, key, why, *at)


def _of_tasks(recipe: "Recipe") -> Iterator[Idle]:
    most, last = recipe.construct.max_tokens, recipe.rounds
    for index, task in enumerate(recipe.tasks):
        if task.sample_from > last:
            yield _idle(task, "sample_from", f"there is no such round, the last is {last}", "tasks", index)
        if task.answer_tokens is not None and task.answer_tokens > most:
            why = f"answers are never longer than construct.max_tokens, which is {most}"
            yield _idle(task, "answer_tokens", why, "tasks", index)


def _of_construct(recipe: "Recipe") -> Iterator[Idle]:
    section, lessons = recipe.construct, recipe.construct.self_improve
    if not section.verify:
        for key in ("decompose", "mend", "references"):
            if getattr(section, key):
                yield _idle(section, key, "it rests on the check, and construct.verify is false", "construct")
    if lessons is not None and lessons.drafts and not (section.mend and section.verify):
        why = f"drafts are there to be mended, and construct.{'mend' if section.verify else 'verify'} is false"
        yield _idle(lessons, "drafts", why, "construct", "self_improve")
    if lessons is not None and not lessons.revisions:
        yield _idle(lessons, "critic", "nothing is revised, revisions is 0", "construct", "self_improve")
    for index, source in enumerate(section.sources):
        yield from _of_source(source, recipe, "construct", "sources", index)
    yield from _of_judge(recipe)
    yield from _of_top_logprobs(section.distill)


def _of_top_logprobs(distill: DistillSection | None) -> Iterator[Idle]:
    if distill is None or distill.top_logprobs is None:
        return
    if distill.rationales is not None:
        why = (
            "it would be of the JSON that holds reasons and answer (rationales), whose tokens are not those of the row"
        )
        yield _idle(distill, "top_logprobs", why, "construct", "distill")
    elif not isinstance(distill.teacher, EndpointTeacher):
        why = "an endpoint is asked for it; a model on this machine reads the rows itself: tune.objective: {kind: kd}"
        yield _idle(distill, "top_logprobs", why, "construct", "distill")


def _of_source(source: Source, recipe: "Recipe", *place: str | int) -> Iterator[Idle]:
    section = recipe.construct
    match source:
        case DocumentsSource():
            yield from _of_documents(source, *place)
        case InstructionsSource() if section.expert is None:
            yield _idle(source, "seeds", "there are no demonstrations, construct.expert is null", *place)
        case BootstrapSource() if source.steps == 1:
            yield _idle(source, "generated", "nothing was generated before the only step, steps is 1", *place)
        case EvolveSource() if source.seeds is None:
            why = "demonstrations keep their own, and no file of seeds is named"
            yield _idle(source, "dimension", why, *place)
        case BackTranslationSource() if not source.examples:
            yield _idle(source, "seeds", "no seed is shown, examples is 0", *place)
        case ConstitutionSource() if source.principles is not None:
            yield _idle(source, "domain", "the principles are those of a file (principles)", *place)
        case TemplatesSource():
            yield from _of_templates(source, *place)
        case ReflectionSource() if section.judge is None or not section.judge.unchecked:
            why = "no judge scores rows that no program can check (construct.judge)"
            yield _idle(source, "originals", why, *place)


def _of_documents(source: DocumentsSource, *place: str | int) -> Iterator[Idle]:
    if source.form == "closed_book" and source.unanswerable:
        yield _idle(source, "unanswerable", "a row of closed_book has no passage that could lack the answer", *place)
    if not source.unanswerable:
        yield _idle(source, "abstention", "no row abstains, unanswerable is 0", *place)


def _of_templates(source: TemplatesSource, *place: str | int) -> Iterator[Idle]:
    if not source.shots:
        yield _idle(source, "shot_share", "no row stands before a question, shots is 0", *place)
    if source.label is None:
        for key in ("labels", "balance"):
            yield _idle(source, key, "the data set has no label, label is null", *place)


def _of_vllm(recipe: "Recipe") -> Iterator[Idle]:
    engine = recipe.engines.sampling
    if not isinstance(engine, VllmEngine):
        return
    joined, where = bool(engine.base_url), ("engines", "sampling")
    why = "the server at base_url is there already" if joined else "it is for a server at base_url, and the run starts"
    for key in ONLY_STARTED if joined else ONLY_JOINED:
        yield _idle(engine, key, why if joined else f"{why} its own", *where)


def _of_judge(recipe: "Recipe") -> Iterator[Idle]:
    section = recipe.construct
    judge, place = section.judge, ("construct", "judge")
    if judge is None:
        return
    if not section.verify:
        yield _idle(section, "judge", "every answer with words is kept, construct.verify is false", "construct")
    if not judge.unchecked:
        yield _idle(judge, "threshold", "it is for answers that no program can check, and unchecked is false", *place)
    if judge.best_of is None:
        yield _idle(judge, "candidates", "nothing is compared, best_of is null", *place)
    if not judge.unchecked and judge.best_of == "pairwise":
        for key in ("scale", "combine"):
            yield _idle(judge, key, "pairs get no scores, and no answer is judged alone", *place)
    distill, lessons = section.distill, section.self_improve
    several = (distill is not None and distill.samples > 1) or (
        lessons is not None and max(lessons.samples, lessons.revisions) > 1
    )
    several = several or any(
        isinstance(one, InstructionsSource | EvolveSource | MagpieSource) and one.samples > 1 for one in section.sources
    )
    if judge.best_of is not None and not several:
        yield _idle(judge, "best_of", "no prompt gets more than one answer (samples)", *place)


def _of_curate(recipe: "Recipe") -> Iterator[Idle]:
    for index, step in enumerate(recipe.curate.steps):
        if isinstance(step, ContaminationStep) and step.short_ngram > step.ngram:
            why = f"it is for items of fewer words than ngram, which is {step.ngram}"
            yield _idle(step, "short_ngram", why, "curate", "steps", index)
        if isinstance(step, PiiStep) and "phone" not in step.find:
            yield _idle(step, "regions", "it is for phone numbers, and find has none", "curate", "steps", index)
