"""Stretches of text as the words in them, and which of their places is meant: what a form can carry.

A browser shows and sends line breaks in its own way, counts characters otherwise than Python, and a person without
JavaScript copies words and no offsets. So a form says the words that are marked and, where they stand in the text more
than once, the how manyeth is meant. The text is compared as a browser has it: every line break is ``\\n``.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice

_BREAK = re.compile(r"\r\n?")


def as_seen(text: str) -> str:
    """Return a text with the line breaks that a browser has in their place."""
    return _BREAK.sub("\n", text)


def words_at(text: str, start: int, end: int) -> tuple[str, int]:
    """Return the words from ``start`` to ``end`` as a browser has them, and which of their places that is, from 1."""
    seen, places = _seen(text)
    first, last = _shown_at(places, start), _shown_at(places, end)
    words = seen[first:last]
    return words, 1 + sum(1 for at in _places(seen, words) if at < first)


def stretch_of(text: str, words: str, which: int) -> tuple[int, int] | None:
    """Return where the words stand for the ``which``-th time, in characters of ``text``; None: they do not."""
    seen, places = _seen(text)
    wanted = as_seen(words)
    first = next(islice(_places(seen, wanted), which - 1, None), None) if which >= 1 else None
    return None if first is None else (places[first], places[first + len(wanted)])


def _places(seen: str, words: str) -> "list[int]":
    """Where the words begin, those that overlap included."""
    found, at = [], seen.find(words) if words else -1
    while at >= 0:
        found.append(at)
        at = seen.find(words, at + 1)
    return found


def _seen(text: str) -> tuple[str, Sequence[int]]:
    """The text as a browser has it, and where each of its characters (and its end) stands in ``text``."""
    if "\r" not in text:
        return text, range(len(text) + 1)
    places = [at for at in range(len(text)) if not (text[at] == "\n" and at and text[at - 1] == "\r")]
    return as_seen(text), [*places, len(text)]


def _shown_at(places: Sequence[int], at: int) -> int:
    return min(bisect_left(places, at), len(places) - 1)
