"""What an endpoint said of the tokens of its answer, as what is likely at the targets of a row.

That is possible where its tokens are the student's: the bytes of each token that it wrote must be those of the
student's token in that place, and each token that stood to choice one of the student's.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tutelage.models.template import Encoded
from tutelage.models.token_bytes import TokenBytes
from tutelage.records.logprobs import TokenChoices, text_as_bytes
from tutelage.tune.rows import Told

NOTHING = (b"", "\ufffd".encode())
"""How servers write a token that is no text by itself: a special one, or a part of a letter. It may be any of them."""
MOST_MASS = 1.01
"""Σ p over the tokens of a place; more is no distribution."""

Likely = Mapping[int, float]


class Untold(ValueError):
    """Why what was said cannot be used: a reason to count by, a colon, and details."""


def tell(
    document: Encoded, choices: Sequence[TokenChoices], tokens: TokenBytes, *, end: int, top_k: int | None = None
) -> Told:
    """Return ``document`` with what ``choices`` say of its last turn, at most ``top_k`` tokens a place.

    Other turns, and the end token where the endpoint does not say it (``end``: its id), are certain: there the row is
    learned as it is written. What stands to choice without being told apart (:data:`NOTHING`) is left to all others.

    Raises
    ------
    Untold: the tokens are not the student's, or their probabilities are none.
    """
    places = _last_turn(document.targets)
    ours = [int(token) for token in document.ids[places]]
    words = ours[:-1] if ours[-1] == end else ours
    ends = len(choices) == len(words) + 1 and _is_end(choices[-1], tokens, end)
    _require_same(words, choices[:-1] if ends else choices, tokens)
    likely: list[Likely] = [{int(token): 0.0} for token in document.ids[document.targets]]
    first = len(likely) - len(ours)
    for at, place in enumerate(choices):
        likely[first + at] = _likely(ours[at], place, tokens, top_k)
    width = max(map(len, likely))
    ids = np.zeros((len(likely), width), dtype=np.int32)
    logprobs = np.full((len(likely), width), -np.inf, dtype=np.float32)
    for row, found in enumerate(likely):
        ids[row, : len(found)] = list(found)
        logprobs[row, : len(found)] = list(found.values())
    return Told(document.ids, document.targets, ids, logprobs)


def _last_turn(targets: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The places of the last run of targets."""
    places = np.flatnonzero(targets)
    gaps = np.flatnonzero(np.diff(places) > 1)
    return places[gaps[-1] + 1 :] if len(gaps) else places


def _is_end(choice: TokenChoices, tokens: TokenBytes, end: int) -> bool:
    written = text_as_bytes(choice.token)
    return not written or written == tokens.of.get(end)


def _require_same(words: Sequence[int], choices: Sequence[TokenChoices], tokens: TokenBytes) -> None:
    for at, (word, choice) in enumerate(zip(words, choices, strict=False), start=1):
        theirs, ours = text_as_bytes(choice.token), tokens.of.get(word, b"")
        if theirs != ours:
            raise Untold(f"the tokens of the answer are not the student's: token {at} is {theirs!r}, and here {ours!r}")
    if len(words) != len(choices):
        detail = f"{len(choices):,} tokens of the answer, {len(words):,} of the row"
        raise Untold(f"the tokens of the answer are not the student's: {detail}")


def _likely(written: int, choice: TokenChoices, tokens: TokenBytes, top_k: int | None) -> Likely:
    """Log-probabilities by id, the likeliest first."""
    own, found = text_as_bytes(choice.token), {written: choice.logprob}
    for text, logprob in choice.top:
        other = text_as_bytes(text)
        if other == own or other in NOTHING:
            continue
        known = tokens.id_of(other)
        if known is None:
            raise Untold(f"what stood to choice is no token of the student: {other!r}")
        found[known] = logprob
    mass = sum(map(math.exp, found.values()))
    if mass > MOST_MASS:
        raise Untold(f"the probabilities of a place add up to more than 1: {mass:.3f}")
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return dict(ordered[:top_k])
