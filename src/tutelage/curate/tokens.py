"""The words that duplicates and contamination are told by."""

import re
from collections.abc import Sequence

from tutelage.text.words import ngrams, normalize

# Scripts without spaces between words: every character counts as a word, else a sentence would be a single one.
UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)

PLAIN_WORD = re.compile("[a-z0-9]+")


def tokens(text: str) -> list[str]:
    """Return the normalized words of ``text``; in scripts without spaces, its characters."""
    if text.isascii():  # the same, four times as fast
        return PLAIN_WORD.findall(text.lower())
    return UNSPACED.sub(r" \1 ", normalize(text)).split()


def shingles(words: Sequence[str], n: int) -> frozenset[tuple[str, ...]]:
    """Return the set of ``n``-grams of ``words``; the whole sequence as one if it is shorter."""
    return frozenset(ngrams(words, n)) if len(words) > n else frozenset([tuple(words)])


def jaccard(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """Return |left ∩ right| / |left ∪ right|, 1 for two empty sets."""
    shared = len(left & right)
    union = len(left) + len(right) - shared
    return shared / union if union else 1.0
