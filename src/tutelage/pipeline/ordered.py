"""What instructions to order would ask for, before anything is sent. Nothing here was measured with a real teacher."""

from dataclasses import dataclass

from tutelage.construct.instructions.personas import HANDFUL
from tutelage.pipeline.lengths import FRAME_TOKENS
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import InstructionsSource

WRITTEN_SHARE = 0.8
"""Share of orders whose request is right in form and new."""
MATCHING_SHARE = 0.6
"""Share of these that are read as what was ordered."""
ANSWERED_SHARE = 0.85
"""Share of requests of which an answer is kept."""
GOING_ON_SHARE = 0.8
"""Share of conversations that have another turn."""
AGAIN_SHARE = 0.2
"""Share of requests that are asked again at once, where that is wanted."""
ORDER_TOKENS, REQUEST_TOKENS = 420, 90
"""Of an order as a prompt, and of a request as JSON."""
READING_TOKENS, READ_TOKENS = 560, 60
"""Of the question what a request is, and of the reply."""
TURN_TOKENS, SAID_TOKENS = 270, 50
"""Of the question what the user says next, the conversation aside, and of the reply."""
ANSWER_TOKENS = 200
"""Of an answer."""
PEOPLE_TOKENS, PERSONA_TOKENS = 130, 35
"""Of the question for personas, and of one of them."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a judge gets of a source in a round: requests with so many answers each, which no program can check, and
    requests that it reads blind (``read``); mean tokens of a request with what stands before it, and of an answer; what
    the answers are ``named``."""

    prompts: float
    samples: int
    read: float
    request_tokens: float
    answer_tokens: float
    named: str = "ordered answers"


@dataclass(frozen=True, slots=True)
class Ordering:
    """What a round gives and takes: ``rows`` with the tokens of one, what who writes is ``asked`` over all rounds and
    ``shown`` in one, what a judge gets ``beside`` in one. ``own``: what the student is asked beside a teacher."""

    rows: float
    row_tokens: float
    asked: tuple[Asked, ...]
    beside: Beside | None
    words: str
    shown: str
    own: tuple[Asked, ...] = ()


def ordering_of(source: InstructionsSource, recipe: Recipe) -> Ordering:
    """Return what a source would ask in a run of ``recipe``."""
    judge = recipe.construct.judge
    reads = judge is not None and source.assessor != "teacher"
    came = WRITTEN_SHARE * MATCHING_SHARE * ANSWERED_SHARE
    orders = sum(source.rows * (1 - came) ** number for number in range(source.passes + 1))
    written = orders * WRITTEN_SHARE
    read = written * MATCHING_SHARE
    turns = [read * (GOING_ON_SHARE * ANSWERED_SHARE) ** number for number in range(source.turns)]
    answer, most = min(ANSWER_TOKENS, source.max_tokens), source.max_tokens
    exchange = REQUEST_TOKENS + answer
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    asked = [_asked(orders * again, ORDER_TOKENS, REQUEST_TOKENS, most)]
    asked += [] if reads else [_asked(written, READING_TOKENS + REQUEST_TOKENS, READ_TOKENS, most)]
    for number, chats in enumerate(turns):
        if number:
            said = chats / ANSWERED_SHARE
            asked.append(_asked(said * again, TURN_TOKENS + number * exchange, SAID_TOKENS, most))
        asked.append(_asked(chats * source.samples, REQUEST_TOKENS + number * exchange, answer, most))
    if isinstance(source.personas, int):
        asked.append(_asked(-(-source.personas // HANDFUL), PEOPLE_TOKENS, PERSONA_TOKENS * HANDFUL, most))
    length = sum(turns) / turns[0]
    beside = Beside(sum(turns), source.samples, written if reads else 0, exchange * length - answer, answer)
    return Ordering(
        rows=orders * came,
        row_tokens=FRAME_TOKENS + exchange * length,
        asked=tuple(one._replace(answers=one.answers * recipe.rounds) for one in asked),
        beside=beside if judge is not None else None,
        words=_words(source),
        shown=_shown(source, recipe),
    )


def _asked(answers: float, prompt: float, answer: float, most: int) -> Asked:
    return Asked(round(answers), prompt, min(answer, most), most)


def _words(source: InstructionsSource) -> str:
    said = f"{source.rows:,} requests to order × {source.samples} answers"
    if source.turns > 1:
        said += f", up to {source.turns} turns"
    if isinstance(source.personas, int):
        said += f"; {source.personas:,} personas"
    return said


def _shown(source: InstructionsSource, recipe: Recipe) -> str:
    said = f"orders for {source.rows:,} conversations a round"
    if source.seeds and recipe.construct.expert is not None:
        said += f" with up to {source.seeds} expert requests each"
    return said
