"""The steps of selection that a recipe asks for."""

from pathlib import Path

from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.facility import FacilityLocation
from tutelage.curate.selection.k_center import KCenter
from tutelage.curate.selection.likelihood import Ifd, Perplexity
from tutelage.curate.selection.reading import RowReader
from tutelage.curate.selection.score_first import ScoreFirst
from tutelage.curate.selection.semantic import SemanticDuplicates
from tutelage.curate.step import Step
from tutelage.errors import Problem, RecipeError
from tutelage.events import Emit
from tutelage.recipe.curate import (
    FacilityLocationStep,
    IfdStep,
    KCenterStep,
    PerplexityStep,
    ScoreFirstStep,
    SemanticDuplicatesStep,
)
from tutelage.recipe.curate.needs import needs_model

SelectionStep = IfdStep | PerplexityStep | KCenterStep | FacilityLocationStep | ScoreFirstStep | SemanticDuplicatesStep


def build_selection(given: SelectionStep, *, folder: Path | None, reader: RowReader | None, emit: Emit) -> Step:
    """Return a step of selection. Raises :class:`RecipeError` when it needs a model and there is no ``reader``."""
    if reader is None and needs_model(given):
        remedy = "curate with a recipe that names the model, or compare by words: embedding: {kind: tfidf}"
        raise RecipeError(
            "curate", [Problem("this step reads rows with a model, and none is given", given.kind, "", remedy)]
        )
    match given:
        case IfdStep() | PerplexityStep():
            assert reader is not None
            amount = Amount(given.share, given.rows)
            if isinstance(given, IfdStep):
                return Ifd(below=given.below, amount=amount, reader=reader)
            return Perplexity(
                at_least=given.at_least, at_most=given.at_most, amount=amount, prefer=given.prefer, reader=reader
            )
        case KCenterStep():
            amount = Amount(given.share, given.rows)
            return KCenter(amount=amount, embedding=given.embedding, reader=reader, emit=emit)
        case FacilityLocationStep():
            amount = Amount(given.share, given.rows)
            return FacilityLocation(amount=amount, embedding=given.embedding, reader=reader, emit=emit)
        case ScoreFirstStep():
            return ScoreFirst(given, folder=folder, reader=reader, emit=emit)
        case SemanticDuplicatesStep():
            return SemanticDuplicates(cosine=given.cosine, embedding=given.embedding, reader=reader, emit=emit)
