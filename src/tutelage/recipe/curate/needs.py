"""What steps of curation need beside the rows: a model that reads them, files."""

from tutelage.recipe.base import Section
from tutelage.recipe.curate.duplicates import SemanticDuplicatesStep
from tutelage.recipe.curate.embedding import EncoderEmbedding, TfidfEmbedding
from tutelage.recipe.curate.mix import MixtureStep
from tutelage.recipe.curate.selection import (
    FacilityLocationStep,
    FileScore,
    IfdScore,
    IfdStep,
    JudgedScore,
    KCenterStep,
    PerplexityStep,
    ScoreFirstStep,
    VerdictScore,
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


EXPERT_KINDS = {"paradigm": ("expert",), "source": ("demonstrations", "rewording", "templates")}
"""What rows that experts wrote are called, by what a mixture may tell kinds apart."""


def loses_expert_rows(step: Section) -> str:
    """Return the setting by which a step keeps no row that an expert wrote, and why; empty if there is none."""
    if isinstance(step, ScoreFirstStep):
        for name, score in (("complexity", step.complexity), ("quality", step.quality)):
            if isinstance(score, VerdictScore | JudgedScore):
                return f"{name}: {score.kind}: rows of experts have no verdict, and none of them would be kept"
    if isinstance(step, MixtureStep) and step.weights is not None:
        kinds = EXPERT_KINDS.get(step.by, ())
        if kinds and not any(step.weights.get(kind) for kind in kinds):
            return f"weights: {' and '.join(kinds)} has none, and no row of an expert would be kept"
    return ""
