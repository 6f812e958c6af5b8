"""Documents cut into passages: at headings and paragraphs, a long paragraph at its sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tutelage.records import Dropped, content_id
from tutelage.records.documents import PARAGRAPH, Document, Passage, Section
from tutelage.text.words import SENTENCE_END, words

FEWEST_WORDS = 25
"""Of a passage that a question can be asked of."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u9fff]")
Span = tuple[int, int]


@dataclass(slots=True)
class _Open:
    """The passage that grows: its span, the words of its body (headings do not count), its section's title."""

    start: int = -1
    end: int = -1
    size: int = 0
    title: str = ""


def cut(document: Document, most: int) -> tuple[list[Passage], list[Dropped]]:
    """Return the passages of about ``most`` words at most, in order, and a document that is too short to ask of.

    Each is a span of the document's text, and together with what is dropped they are all of it but for white space and
    headings without a text. A heading begins a new passage, which it is a part of; the end of a page does not. What
    would have fewer than :data:`FEWEST_WORDS` words goes with what comes after it or, at the end, before it, so that a
    passage may have as many more than ``most``.
    """
    headings = {section.start for section in document.sections if not section.page}
    found: list[Passage] = []
    short: list[Dropped] = []
    growing = _Open()

    def close() -> None:
        if growing.size >= FEWEST_WORDS:
            found.append(_passage(document, growing))
        elif growing.size and found:
            found[-1] = _longer(document, found[-1], growing.end)
        elif growing.size:
            short.append(_too_short(document, growing))
        growing.start = growing.end = -1
        growing.size = 0

    for start, end in _paragraphs(document.text):
        if start in headings:
            if growing.size >= FEWEST_WORDS:
                close()
            _extend(growing, document, (start, end), 0)
            continue
        for part in _parts(document.text, (start, end), most):
            size = count_words(document.text[slice(*part)])
            if growing.size >= FEWEST_WORDS and growing.size + size > most:
                close()
            _extend(growing, document, part, size)
    close()
    return found, short


def count_words(text: str) -> int:
    """Return the words of ``text``; of scripts that write no spaces two characters count as one."""
    return len(words(_UNSPACED.sub(" ", text))) + (len(_UNSPACED.findall(text)) + 1) // 2


def _extend(growing: _Open, document: Document, span: Span, size: int) -> None:
    if growing.start < 0:
        growing.start = span[0]
        growing.title = _title(document.sections, span[0])
    elif not growing.size:
        growing.title = _title(document.sections, span[0])  # of the last heading before the first words
    growing.end, growing.size = span[1], growing.size + size


def _title(sections: tuple[Section, ...], at: int) -> str:
    return next((section.title for section in reversed(sections) if section.start <= at), "")


def _passage(document: Document, growing: _Open) -> Passage:
    return _of(document, growing.start, growing.end, growing.title)


def _longer(document: Document, passage: Passage, end: int) -> Passage:
    return _of(document, passage.start, end, passage.section)


def _of(document: Document, start: int, end: int, title: str) -> Passage:
    return Passage(
        id=content_id("passage", document.id, start, end),
        document=document.id,
        name=document.name,
        section=title,
        start=start,
        end=end,
        text=document.text[start:end],
    )


def _too_short(document: Document, growing: _Open) -> Dropped:
    passage = _passage(document, growing)
    reason = f"fewer than {FEWEST_WORDS} words"
    return Dropped(id=passage.id, step="passages", reason=reason, row=passage.to_json())


def _paragraphs(text: str) -> Iterator[Span]:
    at = 0
    for part in text.split(PARAGRAPH):
        yield at, at + len(part)
        at += len(part) + len(PARAGRAPH)


def _parts(text: str, span: Span, most: int) -> Iterator[Span]:
    """A paragraph; in pieces of sentences if it has more than ``most`` words, of words if a sentence has."""
    if count_words(text[slice(*span)]) <= most:
        yield span
        return
    pieces = [
        piece
        for sentence in _between(text, span, SENTENCE_END)
        for piece in ([sentence] if count_words(text[slice(*sentence)]) <= most else _by_words(text, sentence, most))
    ]
    start, size = pieces[0][0], 0
    end = start
    for piece in pieces:
        own = count_words(text[slice(*piece)])
        if size and size + own > most:
            yield start, end
            start, size = piece[0], 0
        end, size = piece[1], size + own
    yield start, end


def _between(text: str, span: Span, mark: re.Pattern[str]) -> Iterator[Span]:
    """What stands between the marks; brackets and quotes before white space belong to the sentence before it."""
    at = span[0]
    for found in mark.finditer(text, *span):
        end = found.start() + len(found[0].rstrip())
        if end > at and text[at:end].strip():
            yield at, end
            at = found.end()
    if at < span[1]:
        yield at, span[1]


def _by_words(text: str, span: Span, most: int) -> Iterator[Span]:
    """Runs of at most ``most`` words: at white space, or anywhere in a script without spaces."""
    start, size = span[0], 0.0
    end = start
    for found in re.compile(rf"{_UNSPACED.pattern}|[^\s]+?(?=\s|\Z|{_UNSPACED.pattern})").finditer(text, *span):
        own = 0.5 if _UNSPACED.fullmatch(found[0]) else float(count_words(found[0]))
        if size and size + own > most:
            yield start, end
            start, size = found.start(), 0.0
        end, size = found.end(), size + own
    if end > start:
        yield start, end
