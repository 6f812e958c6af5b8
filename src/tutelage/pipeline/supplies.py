"""What would be asked for the sources of rows, of the teacher or of the student, before anything is sent."""

from dataclasses import dataclass

from tutelage.construct.documents.source import shelve
from tutelage.construct.templates.labelled import rows_of_round
from tutelage.construct.templates.source import read_kit
from tutelage.pipeline.alone import magpie_of, star_of
from tutelage.pipeline.improved import back_translation_of, evolve_of, self_instruct_of, self_rewarding_of
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN, FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering, ordering_of
from tutelage.pipeline.revising import revising_of
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
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
class Supply:
    """What a source gives and takes, roughly: its ``name``, the ``rows`` of a round in the mean over all rounds with
    the tokens of one, what who writes is ``asked`` in all, and in words what a round asks and what who writes is
    ``shown`` in one (empty: nobody is shown it); ``beside`` is what a judge gets of it in a round. ``taught``: the
    teacher writes, or else the student. ``own`` is what the student is asked beside a teacher."""

    name: str
    rows: int
    row_tokens: float
    asked: tuple[Asked, ...]
    words: str
    shown: str
    beside: Beside | None = None
    taught: bool = True
    own: tuple[Asked, ...] = ()


def supplies_of(recipe: Recipe) -> list[Supply]:
    """Return what each source of a recipe asks; what it reads is read for it."""
    found: list[Supply] = []
    for source in recipe.construct.sources:
        match source:
            case DocumentsSource():
                found.append(_from_documents(source, recipe))
            case InstructionsSource():
                found.append(_from_orders(source, ordering_of(source, recipe), recipe))
            case SelfInstructSource():
                found.append(_from_orders(source, self_instruct_of(source, recipe), recipe))
            case EvolveSource():
                found.append(_from_orders(source, evolve_of(source, recipe), recipe))
            case BackTranslationSource():
                found.append(_from_orders(source, back_translation_of(source, recipe), recipe))
            case StarSource():
                found.append(_from_orders(source, star_of(source, recipe), recipe))
            case SelfRewardingSource():
                found.append(_from_orders(source, self_rewarding_of(source, recipe), recipe))
            case MagpieSource():
                found.append(_from_orders(source, magpie_of(source, recipe), recipe))
            case ConstitutionSource() | ReflectionSource():
                found.append(_from_orders(source, revising_of(source, recipe), recipe))
            case TemplatesSource():
                found.append(_from_templates(source, recipe))
    return found


def _from_documents(source: DocumentsSource, recipe: Recipe) -> Supply:
    shelf = shelve(source, recipe.folder)
    there = len(shelf.passages)
    passages = there if source.passages is None else min(there, source.passages)
    questions = passages * source.per_chunk
    length = sum(len(passage.text) for passage in shelf.passages) / there / CHARACTERS_A_TOKEN
    answers = round(questions * (1 + (AGAIN_SHARE if source.retries else 0))) * recipe.rounds
    rows = ACCEPTED_SHARE * questions / (1 - source.unanswerable)
    return Supply(
        name=source.folder,
        rows=round(rows * (recipe.rounds + 1) / 2),
        row_tokens=ROW_TOKENS + (length if source.form == "open_book" else 0),
        asked=(Asked(answers, PROMPT_TOKENS + length, min(REPLY_TOKENS, source.max_tokens), source.max_tokens),),
        words=f"{passages:,} of {there:,} passages of {len(shelf.documents):,} documents × {source.per_chunk}",
        shown=f"{passages:,} passages of documents a round",
    )


def _from_templates(source: TemplatesSource, recipe: Recipe) -> Supply:
    """Rows that nobody is asked for."""
    kit = read_kit(source, recipe.folder)
    there, wordings = len(kit.data.rows), min(source.per_row, len(kit.learned))
    taken = len(rows_of_round(kit.data, source, round=1, seed=recipe.seed))
    length = sum(len(str(value)) for row in kit.data.rows for value in row.values.values()) / there
    return Supply(
        name=source.folder,
        rows=round(taken * wordings * (recipe.rounds + 1) / 2),
        row_tokens=FRAME_TOKENS + length / CHARACTERS_A_TOKEN * (1 + source.shots * source.shot_share),
        asked=(),
        words=f"{taken:,} of {there:,} labelled rows × {wordings} of {len(kit.learned)} wordings",
        shown="",
        taught=False,
    )


def _from_orders(source: Source, ordering: Ordering, recipe: Recipe) -> Supply:
    return Supply(
        name=source.folder,
        rows=round(ordering.rows * (recipe.rounds + 1) / 2),
        row_tokens=ordering.row_tokens,
        asked=ordering.asked,
        words=ordering.words,
        shown=ordering.shown,
        beside=ordering.beside,
        taught=source.taught,
        own=ordering.own,
    )
