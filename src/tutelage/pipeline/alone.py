"""What models would be asked for without seeds: reasons for answers, and requests out of nothing. Nothing of it was
measured."""

from tutelage.construct.self_improve.magpie_requests import READ_TOKENS as LONGEST_READING
from tutelage.construct.self_improve.reasoning import demonstrations_of
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN, FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering
from tutelage.pipeline.stage_estimates import times_of
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import MagpieSource, StarSource

RIGHT_SHARE = 0.3
"""Share of items with an answer that is right and has reasons which can be used."""
HINTED_SHARE = 0.5
"""Share of the others that get reasons for the known answer, …"""
KNOWN_SHARE = 0.8
"""… where one is known."""
QUESTION_TOKENS, ASKING_TOKENS, REASONED_TOKENS = 50, 130, 110
"""Of an item, of what is asked beside it and the examples, and of reasons with an answer as JSON."""
THOUGHT_SHARE = 0.6
"""Share of requests out of nothing that are right in form and new, …"""
GOOD_SHARE = 0.7
"""… of these, read as good enough, where somebody reads them, …"""
ANSWERED_SHARE = 0.85
"""… and of these with an answer that is kept."""
FRAME, THOUGHT_TOKENS, READING_TOKENS, READ_TOKENS, ANSWER_TOKENS = 25, 40, 260, 50, 250
"""Of a template up to the user's words, of a request, of the question how good it is, of the reply, of an answer."""
AGAIN_SHARE = 0.3
"""Share of requests that are asked again at once, where that is wanted."""


def star_of(source: StarSource, recipe: Recipe) -> Ordering:
    """Return what STaR would ask in a run of ``recipe``; its demonstrations are read for it."""
    shown = demonstrations_of(source, recipe.folder)
    characters = sum(len(one.prompt) + len(one.reasoning) + len(one.answer) for one in shown)
    prompt = QUESTION_TOKENS + ASKING_TOKENS + characters / CHARACTERS_A_TOKEN
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    right = source.items * (1 - (1 - RIGHT_SHARE) ** source.samples)
    hinted = (source.items - right) * KNOWN_SHARE if source.rationalize else 0.0
    reply = min(REASONED_TOKENS, source.max_tokens)
    asked = [source.items * source.samples * again, hinted * again]
    hints = ", and with the known answer told where they are wrong" if source.rationalize else ""
    return Ordering(
        rows=right + hinted * HINTED_SHARE,
        row_tokens=FRAME_TOKENS + QUESTION_TOKENS + reply,
        asked=tuple(Asked(round(n * recipe.rounds), prompt, reply, source.max_tokens) for n in asked if n),
        beside=None,
        words=f"up to {source.items:,} items × {source.samples:,}, with reasons{hints}",
        shown=f"up to {source.items:,} train items a round, {times_of(len(shown), 'question')} with reasons before "
        f"each{hints}",
    )


def magpie_of(source: MagpieSource, recipe: Recipe) -> Ordering:
    """Return what Magpie would ask in a run of ``recipe``."""
    judge, most = recipe.construct.judge, source.max_tokens
    thought = source.requests * THOUGHT_SHARE
    reads = thought if source.quality is not None else 0.0
    good = thought * (GOOD_SHARE if reads else 1)
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    answer = min(ANSWER_TOKENS, most)
    asked = [Asked(round(source.requests), FRAME, min(THOUGHT_TOKENS, most), most)]
    if reads and judge is None:
        asked.append(
            Asked(
                round(reads * again),
                READING_TOKENS + THOUGHT_TOKENS,
                READ_TOKENS,
                max(LONGEST_READING, source.max_tokens),
            )
        )
    asked.append(Asked(round(good * source.samples), FRAME + THOUGHT_TOKENS, answer, most))
    beside = Beside(good, source.samples, reads, THOUGHT_TOKENS, answer, named="answers to requests out of nothing")
    return Ordering(
        rows=good * ANSWERED_SHARE,
        row_tokens=FRAME_TOKENS + THOUGHT_TOKENS + answer,
        asked=tuple(one._replace(answers=one.answers * recipe.rounds) for one in asked),
        beside=beside if judge is not None else None,
        words=f"{source.requests:,} requests out of nothing, each × {source.samples} answers",
        shown="an empty turn of the user, and what it wrote in it",
    )
