"""What Gopher, C4 and FineWeb measure of a text to tell writing from debris.

Rae et al. 2021, table A1 and appendix A.1.1; Penedo et al. 2024, section 3.6. Counted as datatrove counts them, on
words between white space; the deviations are those that Markdown needs:

- fenced code is left out, and the marks of headings, lists, quotes and tables are no words and no symbols;
- the commonest n-gram counts only if it occurs twice, since one of a few is always there.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.text.fences import prose_of

STOP_WORDS = frozenset(["the", "be", "to", "of", "and", "that", "have", "with"])
TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)
SHORT_LINE = 30
_MARKS = re.compile(r"^\s*(?:(?:#{1,6}|[-*+•]|\d{1,3}[.)]|>)\s+)+|^\s*\|?[\s:|-]+\|[\s:|-]*$", re.MULTILINE)
_BULLET = re.compile(r"\s*(?:[•‣]|[-*+]\s)")
_ELLIPSES = ("...", "…")
_ENDS = (".", "?", "!", '"', "'", "”", "’", "…", ":", "。", "！", "？", ")")


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one text: ``lines`` and ``words`` are numbers, mean length is in characters, everything else a share in [0, 1]
    of what its name says; ``symbols`` is the number of # or of ellipses, the larger, over that of words.

    ``top_ngrams``: share of the characters in the commonest n-gram of 2, 3 and 4 words; ``duplicate_ngrams``: in
    n-grams of 5 to 10 words that occurred before, each character counted once.
    """

    lines: int
    words: int
    mean_word_length: float
    symbols: float
    bullet_lines: float
    ellipsis_lines: float
    alphabetic: float
    stop_words: int
    duplicate_lines: float
    duplicate_line_chars: float
    duplicate_paragraphs: float
    duplicate_paragraph_chars: float
    top_ngrams: tuple[float, ...]
    duplicate_ngrams: tuple[float, ...]
    ended_lines: float
    short_lines: float


def measure(text: str) -> Measures:
    """Return what can be counted of ``text``; of nothing, ``alphabetic`` and ``ended_lines`` are 1, the others 0."""
    prose = prose_of(text).strip()
    lines = [line for line in prose.split("\n") if line.strip()]
    plain = _MARKS.sub("", prose).replace("|", " ")
    words = plain.split()
    spoken = [word for word in words if any(sign.isalnum() for sign in word)]
    paragraphs = re.split(r"\n\s*\n", prose) if prose else []
    chars = len(prose)
    same_lines, same_line_chars = _duplicates(lines)
    same_paragraphs, same_paragraph_chars = _duplicates(paragraphs)
    return Measures(
        lines=len(lines),
        words=len(spoken),
        mean_word_length=_share(sum(map(len, spoken)), len(spoken)),
        symbols=_share(max(plain.count("#"), sum(map(plain.count, _ELLIPSES))), len(words)),
        bullet_lines=_share(sum(bool(_BULLET.match(line)) for line in lines), len(lines)),
        ellipsis_lines=_share(sum(line.rstrip().endswith(_ELLIPSES) for line in lines), len(lines)),
        alphabetic=_share(sum(any(sign.isalpha() for sign in word) for word in words), len(words), of_nothing=1.0),
        stop_words=len(STOP_WORDS.intersection(word.lower().strip(",.;:!?\"'()") for word in words)),
        duplicate_lines=_share(same_lines, len(lines)),
        duplicate_line_chars=_share(same_line_chars, chars),
        duplicate_paragraphs=_share(same_paragraphs, len(paragraphs)),
        duplicate_paragraph_chars=_share(same_paragraph_chars, chars),
        top_ngrams=tuple(_share(_top(words, n), chars) for n in TOP_NGRAMS),
        duplicate_ngrams=tuple(_share(_repeated(words, n), chars) for n in DUPLICATE_NGRAMS),
        ended_lines=_share(sum(line.rstrip("*_` \t").endswith(_ENDS) for line in lines), len(lines), of_nothing=1.0),
        short_lines=_share(sum(len(line) <= SHORT_LINE for line in lines), len(lines)),
    )


def _share(part: float, whole: int, *, of_nothing: float = 0.0) -> float:
    return part / whole if whole else of_nothing


def _duplicates(pieces: Sequence[str]) -> tuple[int, int]:
    """How many pieces occurred before, and how many characters they have."""
    known: set[str] = set()
    again = [piece for piece in pieces if piece in known or known.add(piece)]  # type: ignore[func-returns-value]
    return len(again), sum(map(len, again))


def _top(words: Sequence[str], n: int) -> int:
    """Characters of all occurrences of the commonest n-gram, of those that are as common the first."""
    counts = Counter(" ".join(words[start : start + n]) for start in range(len(words) - n + 1))
    gram, number = next(iter(counts.most_common(1)), ("", 0))
    return len(gram) * number if number > 1 else 0


def _repeated(words: Sequence[str], n: int) -> int:
    """Characters of n-grams that occurred before, taken from left to right without overlap."""
    known: set[tuple[str, ...]] = set()
    chars = start = 0
    while start <= len(words) - n:
        gram = tuple(words[start : start + n])
        if gram in known:
            chars += sum(map(len, gram))
            start += n
        else:
            known.add(gram)
            start += 1
    return chars
