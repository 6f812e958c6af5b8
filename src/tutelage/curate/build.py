"""The steps that a recipe asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.curate.contamination import Contamination
from tutelage.curate.duplicates import ExactDuplicates, NearDuplicates
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.mix import Mix
from tutelage.curate.mixture import Mixture
from tutelage.curate.selection.build import build_selection
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.step import Step
from tutelage.errors import Problem, RecipeError, TutelageError
from tutelage.events import Emit, silent
from tutelage.recipe.curate import (
    ContaminationStep,
    CurateSection,
    CustomStep,
    ExactDuplicatesStep,
    MixStep,
    MixtureStep,
    NearDuplicatesStep,
    QualityStep,
    ValidateStep,
)
from tutelage.recipe.custom import load_object, make
from tutelage.records import Item


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
    cannot be used.
    """
    steps: list[Step] = []
    for given in section.steps:
        match given:
            case ValidateStep():
                step: Step = Validate(max_target_chars=given.max_target_chars, max_prompt_chars=given.max_prompt_chars)
            case ExactDuplicatesStep():
                step = ExactDuplicates()
            case NearDuplicatesStep():
                step = NearDuplicates(threshold=given.jaccard, ngram=given.ngram, permutations=given.permutations)
            case ContaminationStep():
                step = Contamination(
                    items,
                    texts=texts,
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
