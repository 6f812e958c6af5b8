"""What a teacher would be asked about documents, before anything is sent."""

from dataclasses import dataclass

from tutelage.construct.documents.source import shelve
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe

PROMPT_TOKENS = 330
"""Of the question about a passage, the passage itself aside."""
REPLY_TOKENS = 130
"""Mean tokens of a question, an answer and two quotes as JSON."""
ROW_TOKENS = 75
"""Mean tokens of a row, the passage aside: question, answer and the marks of the chat template."""
AGAIN_SHARE = 0.3
"""Share of questions that are asked again, where that is wanted."""
ACCEPTED_SHARE = 0.6
"""Share of questions whose quotes are found and of which all else is right in the end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """``passages`` of a round, the ``rows`` of a round in the mean over all rounds with the tokens of one, and what the
    teacher is ``asked`` in all."""

    passages: int
    rows: int
    row_tokens: float
    asked: Asked
    words: str


def reading_of(recipe: Recipe) -> Reading | None:
    """Return what a recipe asks about documents, None where it names none; they are read for it."""
    section = recipe.construct.documents
    if section is None:
        return None
    shelf = shelve(section, recipe.folder)
    there = len(shelf.passages)
    passages = there if section.passages is None else min(there, section.passages)
    questions = passages * section.per_chunk
    length = sum(len(passage.text) for passage in shelf.passages) / there / CHARACTERS_A_TOKEN
    answers = round(questions * (1 + (AGAIN_SHARE if section.retries else 0))) * recipe.rounds
    rows = ACCEPTED_SHARE * questions / (1 - section.unanswerable)
    return Reading(
        passages=passages,
        rows=round(rows * (recipe.rounds + 1) / 2),
        row_tokens=ROW_TOKENS + (length if section.form == "open_book" else 0),
        asked=Asked(answers, PROMPT_TOKENS + length, min(REPLY_TOKENS, section.max_tokens), section.max_tokens),
        words=f"{passages:,} of {there:,} passages of {len(shelf.documents):,} documents × {section.per_chunk}",
    )
