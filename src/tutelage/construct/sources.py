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
)
from tutelage.records import Demonstration, Example, Level, Preference


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


def source_rows(sources: Sequence[Source], sampler: Sampler, means: Means) -> tuple[list[Example], list[Preference]]:
    """Return the rows of a round from all ``sources``, in their order, and the preferences that came of them; each
    writes into a folder of its name.

    Raises what the sources raise.
    """
    rows: list[Example] = []
    pairs: list[Preference] = []
    for source in sources:
        writer = means.teacher if source.taught else means.student
        assert writer is not None, "a recipe whose teacher writes has one"
        match source:
            case DocumentsSource():
                rows += document_rows(source, sampler, teacher=writer, seed=means.seed, base=means.base)
            case InstructionsSource():
                rows += instruction_rows(
                    source,
                    sampler,
                    teacher=writer,
                    judge=means.judge,
                    plan=_by_cell(means.prompts, sampler),
                    demonstrations=means.demonstrations,
                    base=means.base,
                )
            case SelfInstructSource():
                rows += self_instruct_rows(
                    source, sampler, writer=writer, demonstrations=means.demonstrations, base=means.base
                )
            case EvolveSource():
                rows += evolve_rows(
                    source, sampler, writer=writer, demonstrations=means.demonstrations, base=means.base
                )
            case BackTranslationSource():
                rows += back_translation_rows(
                    source,
                    sampler,
                    writer=writer,
                    demonstrations=means.demonstrations,
                    seed=means.seed,
                    base=means.base,
                )
            case StarSource():
                rows += star_rows(source, sampler, student=means.student, seed=means.seed, base=means.base)
            case MagpieSource():
                rows += magpie_rows(source, sampler, writer=writer, judge=means.judge)
            case SelfRewardingSource():
                made, told = self_rewarding_pairs(
                    source, sampler, writer=writer, demonstrations=means.demonstrations, base=means.base
                )
                rows, pairs = [*rows, *made], [*pairs, *told]
            case ConstitutionSource():
                made, told = constitution_rows(
                    source, sampler, student=means.student, teacher=means.teacher, seed=means.seed, base=means.base
                )
                rows, pairs = [*rows, *made], [*pairs, *told]
            case ReflectionSource():
                made, told = reflection_rows(
                    source, sampler, student=means.student, teacher=means.teacher, seed=means.seed, base=means.base
                )
                rows, pairs = [*rows, *made], [*pairs, *told]
    return rows, pairs


def _by_cell(prompts: Mapping[tuple[str, Level], int], sampler: Sampler) -> dict[tuple[str, Level], int]:
    """The plan's prompts by dimension and level."""
    found: dict[tuple[str, Level], int] = {}
    for (name, level), number in prompts.items():
        cell = (sampler.tasks[name].dimension, level)
        found[cell] = found.get(cell, 0) + number
    return found
