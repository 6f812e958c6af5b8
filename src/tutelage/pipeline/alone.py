"""What a student would ask of itself without seeds: reasons for its answers. Nothing of it was measured."""

from tutelage.construct.self_improve.reasoning import demonstrations_of
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN, FRAME_TOKENS
from tutelage.pipeline.ordered import Ordering
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import StarSource

RIGHT_SHARE = 0.3
"""Share of items with an answer that is right and has reasons which can be used."""
HINTED_SHARE = 0.5
"""Share of the others that get reasons for the known answer, …"""
KNOWN_SHARE = 0.8
"""… where one is known."""
QUESTION_TOKENS, ASKING_TOKENS, REASONED_TOKENS = 50, 130, 110
"""Of an item, of what is asked beside it and the examples, and of reasons with an answer as JSON."""
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
        shown=f"up to {source.items:,} train items a round, {len(shown):,} questions with reasons before each{hints}",
    )
