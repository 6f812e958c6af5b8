"""The words that duplicates and contamination are told by."""

import re
import unicodedata
from collections.abc import Sequence

from tutelage.text.words import ngrams, normalize

# Scripts without spaces between words: every character counts as a word, else a sentence would be a single one.
UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)

PARTING = ".,;:!?\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u3001\u3002_"
"""Signs that only part words or sentences, in the writing of one person and not in that of another."""
NO_SIGN = re.compile(r"[\w\s.,;:!?\"']+")
MINUS = "\u2212"
PLAIN_WORD = re.compile("[a-z0-9]+")


def tokens(text: str) -> list[str]:
    """Return the normalized words of ``text``; in scripts without spaces, its characters."""
    if text.isascii():  # the same, four times as fast
        return PLAIN_WORD.findall(text.lower())
    return UNSPACED.sub(r" \1 ", normalize(text)).split()


def signs(text: str) -> str:
    """Return the signs of ``text`` in their order, without those that only part words or sentences: "-5 + 2" has "-+".

    Dashes of every length are one sign. Marks on letters (vowels of Devanagari) are no signs.
    """
    if text.isascii():
        return NO_SIGN.sub("", text)  # the same, much faster
    found = []
    for sign in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(sign)
        if kind == "Pd" or sign == MINUS:
            found.append("-")
        elif kind[0] in "SP" and sign not in PARTING:
            found.append(sign)
    return "".join(found)


def shingles(words: Sequence[str], n: int) -> frozenset[tuple[str, ...]]:
    """Return the set of ``n``-grams of ``words``; the whole sequence as one if it is shorter."""
    return frozenset(ngrams(words, n)) if len(words) > n else frozenset([tuple(words)])


def jaccard(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """Return |left ∩ right| / |left ∪ right|, 1 for two empty sets."""
    shared = len(left & right)
    union = len(left) + len(right) - shared
    return shared / union if union else 1.0
