"""What steps of curation need beside the rows: a model that reads them, files."""

from tutelage.recipe.base import Section
from tutelage.recipe.curate.duplicates import SemanticDuplicatesStep
from tutelage.recipe.curate.embedding import EncoderEmbedding, TfidfEmbedding
from tutelage.recipe.curate.selection import (
    FacilityLocationStep,
    FileScore,
    IfdScore,
    IfdStep,
    KCenterStep,
    PerplexityStep,
    ScoreFirstStep,
)

COMPARING = KCenterStep | FacilityLocationStep | ScoreFirstStep | SemanticDuplicatesStep


def needs_likelihoods(step: Section) -> bool:
    """Whether a step asks how the starting model finds the answers of rows."""
    if isinstance(step, ScoreFirstStep):
        return any(isinstance(score, IfdScore) for score in (step.complexity, step.quality))
    return isinstance(step, IfdStep | PerplexityStep)


def needs_embeddings(step: Section) -> bool:
    """Whether a step asks a model for embeddings of rows."""
    return isinstance(step, COMPARING) and not isinstance(step.embedding, TfidfEmbedding)


def needs_model(step: Section) -> bool:
    """Whether a step reads rows with a model."""
    return needs_likelihoods(step) or needs_embeddings(step)


def encoder_of(step: Section) -> EncoderEmbedding | None:
    """Return the sentence encoder that a step names, if it names one."""
    if isinstance(step, COMPARING) and isinstance(step.embedding, EncoderEmbedding):
        return step.embedding
    return None


def score_files(step: Section) -> list[FileScore]:
    """Return the files of scores that a step names."""
    if not isinstance(step, ScoreFirstStep):
        return []
    return [score for score in (step.complexity, step.quality) if isinstance(score, FileScore)]
