"""What curation would read with models before it chooses among rows."""

from tutelage.evaluate.general_texts import general_texts
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN
from tutelage.pipeline.stage_estimates import TRAINING_TOKENS_S, StageEstimate, minutes_of, times_of
from tutelage.recipe import Recipe
from tutelage.recipe.curate.embedding import EncoderEmbedding, StartEmbedding, TfidfEmbedding
from tutelage.recipe.curate.needs import COMPARING, needs_likelihoods

READING_TOKENS_S = 3 * TRAINING_TOKENS_S
"""Tokens read a second: reckoned, not measured, from those that are trained, whose step is about three such passes."""
TWICE = 1.5
"""Length of the two texts of a likelihood, in rows: the answer, about half of a row, is read once more alone."""


def reading(recipe: Recipe, rows: int, length: float) -> list[StageEstimate]:
    """Return the stage in which steps of curation read ``rows`` a round, of ``length`` tokens each; none if no step
    does. Rows of earlier rounds are known already, so it is at most this."""
    likelihoods = any(map(needs_likelihoods, recipe.curate.steps))
    asked = _embeddings(recipe)
    if not likelihoods and not asked:
        return []
    general = sum(map(len, general_texts().values())) / CHARACTERS_A_TOKEN
    tokens = recipe.rounds * rows * length * (TWICE * likelihoods)
    what = ["answers with and without their prompts"] if likelihoods else []
    for how in asked:
        tokens += recipe.rounds * rows * min(length, how.max_tokens)
        tokens += 0 if isinstance(how, EncoderEmbedding) else general
        what.append(f"embeddings by {how.path if isinstance(how, EncoderEmbedding) else 'the start'}")
    known = not any(isinstance(how, EncoderEmbedding) for how in asked)
    return [
        StageEstimate(
            stage="curate (reading)",
            times=recipe.rounds,
            what=f"about {times_of(rows, 'row')}: {', '.join(what)}",
            answers=0,
            tokens=round(tokens),
            minutes=minutes_of(recipe, round(tokens), READING_TOKENS_S if known else None),
        )
    ]


def _embeddings(recipe: Recipe) -> list[StartEmbedding | EncoderEmbedding]:
    """What rows are compared by, each once, as it is read once."""
    found: list[StartEmbedding | EncoderEmbedding] = []
    for step in recipe.curate.steps:
        how = step.embedding if isinstance(step, COMPARING) else None
        if how is not None and not isinstance(how, TfidfEmbedding) and how not in found:
            found.append(how)
    return found
