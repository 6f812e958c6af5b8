"""The rows of a round that come from other sources than the items of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.constitution.source import constitution_rows
from tutelage.construct.documents.source import document_rows
from tutelage.construct.instructions.source import instruction_rows
from tutelage.construct.reflection.source import reflection_rows
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.back_translation import back_translation_rows
from tutelage.construct.self_improve.evolve import evolve_rows
from tutelage.construct.self_improve.magpie import magpie_rows
from tutelage.construct.self_improve.self_instruct import self_instruct_rows
from tutelage.construct.self_improve.self_rewarding import self_rewarding_pairs
from tutelage.construct.self_improve.star import star_rows
from tutelage.construct.templates.source import template_rows
from tutelage.recipe.sources import (
    BackTranslationSource,
    ConstitutionSource,
    DocumentsSource,
    EvolveSource,
    InstructionsSource,
    MagpieSource,
    ReflectionSource,
    SelfInstructSource,
    SelfRewardingSource,
    Source,
    StarSource,
    TemplatesSource,
)
from tutelage.records import Demonstration, Example, Level, Preference

Made = tuple[list[Example], list[Preference]]
SeededSource = SelfInstructSource | EvolveSource | SelfRewardingSource | BackTranslationSource


@dataclass(frozen=True, slots=True)
class Means:
    """What a round has for its sources: the student, the teacher (None: nobody teaches), who judges (None: nobody), the
    plan in prompts by task and level, the experts' demonstrations, the seed of the run, and what paths are relative to.
    ``teacher`` is asked without demonstrations."""

    student: Asker
    teacher: Asker | None
    judge: Asker | None
    prompts: Mapping[tuple[str, Level], int]
    demonstrations: Sequence[Demonstration]
    seed: int
    base: Path

    def writer(self, source: Source) -> Asker:
        """Return who writes the rows of ``source``."""
        writer = self.teacher if source.taught else self.student
        assert writer is not None, "a recipe whose teacher writes has one"
        return writer


def source_rows(sources: Sequence[Source], sampler: Sampler, means: Means) -> Made:
    """Return the rows of a round from all ``sources``, in their order, and the preferences that came of them; each
    writes into a folder of its name.

    Raises what the sources raise.
    """
    rows: list[Example] = []
    pairs: list[Preference] = []
    for source in sources:
        made, told = _from(source, sampler, means)
        rows += made
        pairs += told
    return rows, pairs


def _from(source: Source, sampler: Sampler, means: Means) -> Made:
    """The rows of one source, and its preferences."""
    seed, base = means.seed, means.base
    match source:
        case DocumentsSource():
            return document_rows(source, sampler, teacher=means.writer(source), seed=seed, base=base), []
        case InstructionsSource():
            return instruction_rows(
                source,
                sampler,
                teacher=means.writer(source),
                judge=means.judge,
                plan=_by_cell(means.prompts, sampler),
                demonstrations=means.demonstrations,
                base=base,
            ), []
        case ConstitutionSource():
            return constitution_rows(
                source, sampler, student=means.student, teacher=means.teacher, seed=seed, base=base
            )
        case ReflectionSource():
            return reflection_rows(source, sampler, student=means.student, teacher=means.teacher, seed=seed, base=base)
        case TemplatesSource():
            return template_rows(source, sampler, seed=seed, base=base), []
        case StarSource():
            return star_rows(source, sampler, student=means.student, seed=seed, base=base), []
        case MagpieSource():
            return magpie_rows(source, sampler, writer=means.writer(source), judge=means.judge), []
        case _:
            return _from_experts(source, sampler, means)


def _from_experts(source: SeededSource, sampler: Sampler, means: Means) -> Made:
    """The rows of a source that begins with what experts wrote."""
    writer, experts, base = means.writer(source), means.demonstrations, means.base
    match source:
        case SelfInstructSource():
            return self_instruct_rows(source, sampler, writer=writer, demonstrations=experts, base=base), []
        case EvolveSource():
            return evolve_rows(source, sampler, writer=writer, demonstrations=experts, base=base), []
        case SelfRewardingSource():
            return self_rewarding_pairs(source, sampler, writer=writer, demonstrations=experts, base=base)
        case BackTranslationSource():
            return back_translation_rows(
                source, sampler, writer=writer, demonstrations=experts, seed=means.seed, base=base
            ), []


def _by_cell(prompts: Mapping[tuple[str, Level], int], sampler: Sampler) -> dict[tuple[str, Level], int]:
    """The plan's prompts by dimension and level."""
    found: dict[tuple[str, Level], int] = {}
    for (name, level), number in prompts.items():
        cell = (sampler.tasks[name].dimension, level)
        found[cell] = found.get(cell, 0) + number
    return found
