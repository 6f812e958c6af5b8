"""The steps that a recipe asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.curate.contamination import Contamination
from tutelage.curate.duplicates import ExactDuplicates, NearDuplicates
from tutelage.curate.extras import load_extra
from tutelage.curate.filters.heuristics import Heuristics, Limits
from tutelage.curate.filters.language import Language
from tutelage.curate.filters.normalize import Normalize
from tutelage.curate.filters.phones import phone_finder
from tutelage.curate.filters.pii import Personal
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.losses import Limits as LossLimits
from tutelage.curate.mix import Mix
from tutelage.curate.mixture import Mixture
from tutelage.curate.selection.build import build_selection
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.step import Step
from tutelage.errors import Problem, RecipeError, TutelageError
from tutelage.events import Emit, silent
from tutelage.recipe.curate import (
    BenchmarkSection,
    ContaminationStep,
    CurateSection,
    CustomStep,
    ExactDuplicatesStep,
    HeuristicsStep,
    LanguageStep,
    MixStep,
    MixtureStep,
    NearDuplicatesStep,
    NormalizeStep,
    PiiStep,
    QualityStep,
    ValidateStep,
)
from tutelage.recipe.custom import load_object, make
from tutelage.records import Item
from tutelage.records.importers.benchmarks import Benchmark, read_benchmark


def build_steps(
    section: CurateSection,
    items: Sequence[Item],
    *,
    texts: Mapping[str, str] | None = None,
    round: int | None = None,
    seed: int = 0,
    folder: Path | None = None,
    reader: RowReader | None = None,
    emit: Emit = silent,
) -> list[Step]:
    """Return the steps of ``section``.

    ``items`` are those of the probe, gate and test splits, ``texts`` others that no row may contain; ``round`` and
    ``seed`` are for the mix; ``folder`` is where files that a step names are looked for; ``reader`` reads rows with a
    model, when it is asked; ``emit`` is told how far slow steps are. Raises :class:`RecipeError` for a custom step that
    is none, and for one that needs a model where there is no ``reader``; :class:`DataError` for a file of scores that
    cannot be used; and what :func:`read_benchmark` raises.
    """
    steps: list[Step] = []
    step: Step
    for given in section.steps:
        match given:
            case ValidateStep():
                step = Validate(max_target_chars=given.max_target_chars, max_prompt_chars=given.max_prompt_chars)
            case NormalizeStep() | LanguageStep() | PiiStep() | HeuristicsStep():
                step = _of_text(given)
            case ExactDuplicatesStep():
                step = ExactDuplicates()
            case NearDuplicatesStep():
                step = NearDuplicates(threshold=given.jaccard, ngram=given.ngram, permutations=given.permutations)
            case ContaminationStep():
                step = Contamination(
                    items,
                    texts=texts,
                    against=[_benchmark(one, folder) for one in given.against],
                    ngram=given.ngram,
                    short_ngram=given.short_ngram,
                    boilerplate_share=given.boilerplate_share,
                )
            case QualityStep():
                step = Quality(max_repeated_share=given.max_repeated_share)
            case MixStep():
                step = Mix(
                    answers_per_prompt=given.answers_per_prompt,
                    rows_per_cell=given.rows_per_cell,
                    facet_shares=given.facet_shares,
                    replay_share=given.replay_share,
                    round=round,
                    seed=seed,
                )
            case MixtureStep():
                step = _mixture(given, seed)
            case CustomStep():
                step = _custom(given, folder)
            case _:
                step = build_selection(given, folder=folder, reader=reader, emit=emit)
        steps.append(step)
    return steps


def _mixture(given: MixtureStep, seed: int) -> Step:
    return Mixture(
        by=given.by,
        weights=given.weights,
        temperature=given.temperature,
        rows=given.rows,
        short=given.short,
        seed=seed,
    )


def limits_of(section: CurateSection) -> LossLimits:
    """Return how many rows may be dropped before curation fails."""
    given = section.max_loss
    return LossLimits(given.overall, given.step, given.steps)


def _of_text(given: NormalizeStep | LanguageStep | PiiStep | HeuristicsStep) -> Step:
    match given:
        case NormalizeStep():
            feature = "repairing broken encodings"
            return Normalize(repair=load_extra("ftfy", feature).fix_encoding if given.mojibake else None)
        case LanguageStep():
            return Language(
                given.keep,
                min_letters=given.min_letters,
                min_probability=given.min_probability,
                answer_as_prompt=given.answer_as_prompt,
            )
        case PiiStep():
            phones = phone_finder(given.regions) if "phone" in given.find else None
            return Personal(action=given.action, find=given.find, phones=phones)
        case HeuristicsStep():
            return Heuristics(Limits(**given.model_dump(exclude={"kind"})))


def _benchmark(given: BenchmarkSection, folder: Path | None) -> Benchmark:
    return read_benchmark((folder or Path()) / given.path, name=given.called, keys=given.keys)


def _custom(given: CustomStep, folder: Path | None) -> Step:
    made = load_object(given.path, folder)
    if callable(made):
        try:
            made = make(made, given.options, given.path)
        except TutelageError as error:
            raise RecipeError("curate", [error.problem]) from error
    if not isinstance(made, Step):
        remedy = "give it a name and apply(rows) that returns tutelage.curate.Sifted"
        raise RecipeError("curate", [Problem("this is no step", given.path, type(made).__name__, remedy)])
    return made
