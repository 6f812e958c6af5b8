"""Answers that look like debris of the web rather than writing, by what can be counted (Gopher, C4, FineWeb)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import drop
from tutelage.curate.tokens import UNSPACED
from tutelage.records import Dropped, Example
from tutelage.text.measures import DUPLICATE_NGRAMS, TOP_NGRAMS, Measures, measure

MIN_LINES = 5
"""Lines from which on shares of lines say something: of two, one that ends in an ellipsis is half."""
PLACEHOLDER = re.compile(r"\blorem ipsum\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer may be like. Where Gopher's rule fits answers of a chat, its number is the default; each other
    default lets everything pass."""

    from_words: int = 50
    min_words: int = 0
    max_words: int = 100_000
    min_mean_word_length: float = 3.0
    max_mean_word_length: float = 10.0
    max_symbol_ratio: float = 0.1
    max_bullet_lines: float = 1.0
    max_ellipsis_lines: float = 0.3
    min_alphabetic: float = 0.5
    min_stop_words: int = 0
    max_duplicate_lines: float = 0.3
    max_duplicate_line_chars: float = 0.2
    max_duplicate_paragraphs: float = 0.3
    max_duplicate_paragraph_chars: float = 0.2
    max_top_ngrams: tuple[float, ...] = (0.20, 0.18, 0.16)
    max_duplicate_ngrams: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    min_ended_lines: float = 0.0
    max_short_lines: float = 1.0
    placeholders: bool = False


class Heuristics(RowWise):
    """Drops rows whose answer breaks one of the ``limits`` (:mod:`tutelage.text.measures` counts).

    Shares say little of a few words, so answers of fewer than ``from_words`` words are asked for ``min_words`` and
    placeholders alone, and shares of lines count from 5 lines on. Where most letters are of a script without spaces
    between words, what counts words is left out. Songs and lists that repeat themselves on purpose are dropped too. It
    does not know whether an answer is right, good or kind.
    """

    name = "heuristics"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits if limits is not None else Limits()

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and what is dropped, each for the first limit that it breaks."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for row in rows:
            fault = None if row.target.tool_calls else next(self.faults(row.target.text), None)
            if fault is None:
                kept.append(row)
            else:
                dropped.append(drop(row, self.name, *fault))
        return Judged(kept, dropped, Tally())

    def faults(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield every limit that an answer breaks, with the number."""
        limits = self.limits
        if not limits.placeholders and PLACEHOLDER.search(text):
            yield "placeholder text", "lorem ipsum"
        letters = sum(character.isalpha() for character in text)
        unspaced = 2 * len(UNSPACED.findall(text)) > letters
        found = measure(text)
        if not unspaced and found.words < limits.min_words:
            yield "too few words", f"{found.words}, at least {limits.min_words}"
        if found.words < limits.from_words and not unspaced:
            return
        if not unspaced:
            yield from _of_words(found, limits)
        yield from _of_lines(found, limits)


def _of_words(found: Measures, limits: Limits) -> Iterator[tuple[str, str]]:
    if found.words > limits.max_words:
        yield "too many words", f"{found.words:,}, at most {limits.max_words:,}"
    if not limits.min_mean_word_length <= found.mean_word_length <= limits.max_mean_word_length:
        between = f"{limits.min_mean_word_length:g} to {limits.max_mean_word_length:g}"
        yield "words of odd length", f"{found.mean_word_length:.1f} characters in the mean, {between}"
    if found.symbols > limits.max_symbol_ratio:
        yield "symbols in the place of words", f"{found.symbols:.2f} a word, at most {limits.max_symbol_ratio:g}"
    if found.alphabetic < limits.min_alphabetic:
        yield "words without letters", f"{found.alphabetic:.0%} have letters, at least {limits.min_alphabetic:.0%}"
    if found.stop_words < limits.min_stop_words:
        yield "no running text", f"{found.stop_words} English stop words, at least {limits.min_stop_words}"
    for sizes, shares, most in (
        (TOP_NGRAMS, found.top_ngrams, limits.max_top_ngrams),
        (DUPLICATE_NGRAMS, found.duplicate_ngrams, limits.max_duplicate_ngrams),
    ):
        what = "one phrase over and over" if sizes is TOP_NGRAMS else "phrases again"
        for n, share, limit in zip(sizes, shares, most, strict=True):
            if share > limit:
                yield what, f"{share:.0%} of the characters, by {n} words, at most {limit:.0%}"


def _of_lines(found: Measures, limits: Limits) -> Iterator[tuple[str, str]]:
    if found.lines < MIN_LINES:
        return
    for what, share, most in (
        ("lists alone", found.bullet_lines, limits.max_bullet_lines),
        ("lines cut off", found.ellipsis_lines, limits.max_ellipsis_lines),
        ("lines again", found.duplicate_lines, limits.max_duplicate_lines),
        ("lines again", found.duplicate_line_chars, limits.max_duplicate_line_chars),
        ("paragraphs again", found.duplicate_paragraphs, limits.max_duplicate_paragraphs),
        ("paragraphs again", found.duplicate_paragraph_chars, limits.max_duplicate_paragraph_chars),
        ("short lines alone", found.short_lines, limits.max_short_lines),
    ):
        if share > most:
            yield what, f"{share:.0%}, at most {most:.0%}"
    if found.ended_lines < limits.min_ended_lines:
        yield "lines without an end", f"{found.ended_lines:.0%} end in a sign, at least {limits.min_ended_lines:.0%}"
