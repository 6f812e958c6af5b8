"""What is wrong with reasons and an answer of the right form, whatever the check of the task says of the answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from tutelage.construct.rationales.conclusions import contradiction
from tutelage.models.reasoning import MARKERS
from tutelage.records import Conversation, Request
from tutelage.records.structured import Loss
from tutelage.text.repetition import longest_echo
from tutelage.text.words import ngrams, normalize, words

COPY_WORDS = 8
"""So many words in a row that a demonstration's answer has too are copied from it."""
FEWEST_WORDS, FEWEST_CHARACTERS = 3, 12
"""Reasons have so many words or characters at least, beside the words of the answer."""
CHARACTERS_A_WORD = 10
"""No word counts for more, so that scripts without spaces have a limit too."""
REPEATED = 0.8
"""Share of the reasons that may not be one run of words of the question or the answer."""
_POINTS_AT = re.compile(
    r"\b(?:the|these|those|above|given|previous|earlier|like the|as in)\s+examples?\b", re.IGNORECASE
)


class Reasoned(BaseModel):
    """Reasons, and the answer that they lead to."""

    model_config = ConfigDict(extra="forbid")

    reasoning: str
    answer: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the teacher saw: the question's words, and the demonstrations."""

    question: str
    context: Conversation


class Examiner:
    """Says what is wrong with reasons and answer, None: nothing; ``shown`` by the id of the request."""

    def __init__(self, shown: Mapping[str, Shown], max_words: int) -> None:
        self._shown, self._max_words = shown, max_words

    def __call__(self, request: Request, value: Reasoned) -> Loss | None:
        for reason, detail in _faults(value, self._shown[request.id], self._max_words):
            return Loss(stage="rejected", reason=reason, detail=detail[:300])
        return None


def _faults(value: Reasoned, shown: Shown, max_words: int) -> Iterator[tuple[str, str]]:
    reasoning, answer = value.reasoning.strip(), value.answer.strip()
    if not answer:
        yield "the answer is empty", ""
        return
    if not normalize(reasoning):
        yield "the reasoning is empty", ""
        return
    if marks := next((mark for pair in MARKERS for mark in pair if mark in reasoning or mark in answer), ""):
        yield "there are marks of reasoning in it", marks
    size = len(words(reasoning))
    if size > max_words or len(reasoning) > CHARACTERS_A_WORD * max_words:
        yield f"the reasoning is longer than {max_words} words", f"{size} words, {len(reasoning)} characters"
    yield from _echoes(reasoning, answer, shown)
    if said := contradiction(reasoning, answer):
        yield "the reasoning comes to another answer", f"{said!r}"


def _echoes(reasoning: str, answer: str, shown: Shown) -> Iterator[tuple[str, str]]:
    said, given = normalize(reasoning), normalize(answer)
    rest = f" {said} ".replace(f" {given} ", " ").strip() if given else said
    if len(rest.split()) < FEWEST_WORDS and len(rest) < FEWEST_CHARACTERS:
        yield "the reasoning only repeats the answer", ""
    most = REPEATED * len(said.split())
    if longest_echo(answer, reasoning) >= most:
        yield "the reasoning only repeats the answer", ""
    if longest_echo(shown.question, reasoning) >= most:
        yield "the reasoning only repeats the question", ""
    copied = _grams(reasoning) & {
        gram for turn in shown.context if turn.role == "assistant" for gram in _grams(turn.text)
    }
    if own := copied - _grams(shown.question):
        yield "the reasoning copies a demonstration", f"{' '.join(min(own))!r}"
    if shown.context and (pointing := _POINTS_AT.search(reasoning)):
        yield "the reasoning points at examples that its reader does not have", f"{pointing[0]!r}"


def _grams(text: str) -> set[tuple[str, ...]]:
    return set(ngrams(normalize(text).split(), COPY_WORDS))
