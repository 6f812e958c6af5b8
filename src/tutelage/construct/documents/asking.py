"""What a teacher is asked about a passage, and what is wrong with what it says."""

import re
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.prompts import render
from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.records import Level, Request, Sampling, user
from tutelage.records.documents import Passage
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.numbers import numbers
from tutelage.text.repetition import longest_echo
from tutelage.text.verbatim import bare, find_verbatim, plain
from tutelage.text.words import normalize, words

PROMPT = "document_question"
COPIED = 0.8
"""Share of a passage that an answer may not repeat in one run of words."""
QUOTE_WORDS, QUOTE_CHARACTERS = 3, 12
"""A quote has this many words or characters at least: one word is found nearly everywhere and proves nothing."""

LEVEL_WORDS: dict[Level, str] = {
    "basic": "It is basic: one sentence of the passage answers it directly.",
    "intermediate": "It is of intermediate difficulty: it uses other words than the passage, and the answer needs a "
    "sentence to be understood, not only to be found.",
    "advanced": "It is advanced: two statements from different places of the passage must be put together.",
    "expert": "It is for experts: somebody must apply the passage to a case that you describe, or tell apart what it "
    "lays down for different conditions.",
}
QUOTES_NEEDED: dict[Level, int] = {"basic": 1, "intermediate": 1, "advanced": 2, "expert": 2}
ABOUT = (
    "what the passage says of its main subject",
    "a condition, an exception or a limit",
    "how or why something happens or is done",
    "an amount, a date, a name or a place",
    "what follows for a person concerned",
    "how two things that it mentions differ or belong together",
)
"""What the questions of one passage are about in turn, so that they differ."""
_POINTS_AT = re.compile(
    r"\b(?:the|this|that|these|given|following|above|provided|preceding)\s+(?:\w+\s+)?"
    r"(?:passage|text|excerpt|extract|paragraph|section|snippet|document|article|sentence|quote)s?\b"
    r"|\b(?:as|is|are|was|were)?\s*(?:mentioned|stated|described|discussed|listed|shown|said|given)\s+(?:above|below)\b"
    r"|\baccording to (?:it|the (?:author|writer))\b"
    r"|\b(?:im|aus dem|laut(?: dem)?|in dem|diese[mrs]?|des)\s+(?:\w+\s+)?(?:Text|Textes|Abschnitt|Auszug|Dokument)s?\b"
    r"|\b(?:le|ce|du|au)\s+(?:texte|passage|document|paragraphe|extrait)\b"
    r"|\b(?:el|este|del|al)\s+(?:texto|pasaje|documento|párrafo|fragmento)\b",
    re.IGNORECASE,
)


class Grounded(BaseModel):
    """A question about the passage, its answer, and the words of the passage that prove it."""

    model_config = ConfigDict(extra="forbid")

    question: str
    answer: str
    quotes: list[str]


FORM = form_of(Grounded)


class Asked(BaseModel):
    """What a request asks: of which passage, at which level."""

    model_config = ConfigDict(frozen=True)

    passage: Passage
    level: Level


def questions(
    passages: Sequence[Passage], section: DocumentsSource, *, sampling: Sampling, seed: int
) -> tuple[list[Request], dict[str, Asked]]:
    """Return ``per_chunk`` requests a passage, levels and subjects in turn over all of them, and what each asks."""
    requests: list[Request] = []
    asked: dict[str, Asked] = {}
    for place, passage in enumerate(passages):
        for number in range(section.per_chunk):
            turn = place * section.per_chunk + number
            level = section.levels[turn % len(section.levels)]
            prompt = render(
                PROMPT,
                passage=passage.text,
                section=passage.section,
                level=LEVEL_WORDS[level],
                about=ABOUT[(turn + place) % len(ABOUT)],
                quotes="Give two or more, from different places." if QUOTES_NEEDED[level] > 1 else "",
                closed="yes" if section.form == "closed_book" else "",
            )
            request = Request(
                id=f"{passage.id}/{number}/{level}",
                messages=(user(prompt),),
                sampling=sampling,
                seed=derive_seed(seed, "documents", passage.id, number),
            )
            requests.append(request)
            asked[request.id] = Asked(passage=passage, level=level)
    return requests, asked


class Examiner:
    """Says what is wrong with a question, an answer and quotes of the right form; None: nothing."""

    def __init__(self, asked: Mapping[str, Asked], section: DocumentsSource) -> None:
        self._asked, self._closed = asked, section.form == "closed_book"

    def __call__(self, request: Request, value: Grounded) -> Loss | None:
        asked = self._asked[request.id]
        for reason, detail in (
            *_said(value),
            *_of_question(value, self._closed),
            *_of_quotes(value, asked),
            *_of_answer(value, asked.passage.text),
        ):
            return Loss(stage="rejected", reason=reason, detail=detail[:300])
        return None


Fault = tuple[str, str]


def points_at(text: str) -> str:
    """Return the words with which ``text`` points at a passage that its reader may not have; "": none."""
    found = _POINTS_AT.search(text)
    return found[0].strip() if found is not None else ""


def _said(value: Grounded) -> list[Fault]:
    faults = []
    if not normalize(value.question):
        faults.append(("the question is empty", ""))
    if not normalize(value.answer):
        faults.append(("the answer is empty", ""))
    return faults


def _of_question(value: Grounded, closed: bool) -> list[Fault]:
    if closed and (pointing := points_at(value.question)):
        return [("the question points at a passage that its reader does not have", repr(pointing))]
    answer = normalize(value.answer)
    if len(answer.split()) >= QUOTE_WORDS and answer in normalize(value.question):
        return [("the question says the answer itself", "")]
    return []


def _of_quotes(value: Grounded, asked: Asked) -> list[Fault]:
    text = plain(asked.passage.text)
    spans = []
    for quote in value.quotes:
        said = bare(quote)
        if len(words(said)) < QUOTE_WORDS and len(said) < QUOTE_CHARACTERS:
            return [("a quote is too short to prove anything", repr(quote))]
        span = find_verbatim(quote, text)
        if span is None:
            return [("a quote is not in the passage, word for word", repr(quote))]
        spans.append(span)
    apart = sorted(set(spans))
    number = sum(not any(_overlap(one, other) for other in apart[:place]) for place, one in enumerate(apart))
    needed = QUOTES_NEEDED[asked.level]
    if number < needed:
        return [("there are too few quotes for its level", f"{number} of {needed}")]
    return []


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _of_answer(value: Grounded, passage: str) -> list[Fault]:
    length = len(normalize(passage).split())
    if longest_echo(passage, value.answer) >= COPIED * length:
        return [("the answer is a copy of the whole passage", "")]
    there = set(numbers(f"{passage} {value.question}"))
    new = [number for number in numbers(value.answer) if number not in there]
    return [("a number of the answer stands neither in the passage nor in the question", new[0])] if new else []
