"""Openings that depend on the question: repeating it, choosing among given answers."""

import random
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import Constraint, Scene, share
from tutelage.text.words import normalize, words

REPEAT = (
    "Before you answer, repeat the first sentence of this message word for word.",
    "Begin by copying the first sentence of my message exactly, then answer it.",
    "First restate the first sentence of this message without changing a word, then give your answer.",
    "Start your answer by quoting the first sentence of this message in full.",
    "Repeat the first sentence of this request exactly as it is, and only then answer.",
    "First write out the first sentence of this message again, unchanged, then answer.",
    "Your answer should open with an exact copy of the first sentence of this message.",
    "Say the first sentence of this message again word for word before answering it.",
    "Copy the first sentence of this prompt, then add your answer below it.",
    "Open with the first sentence of this prompt, repeated verbatim, and then respond.",
)
ONLY = (
    "Answer with exactly one of these: {options}.",
    "Choose one of the following as your whole answer: {options}.",
    "Your answer must be one of {options} and nothing else.",
    "Reply with one of these options only: {options}.",
    "Pick one: {options}. Write nothing else.",
    "Say only one of these: {options}.",
    "The only possible answers are {options}. Give just one of them.",
    "Respond with one of {options}, without any explanation.",
    "Select your complete answer from these: {options}.",
    "Answer using just one of the options {options}.",
)
FIRST_LINE = (
    "The first line of your answer must be one of {options}; explain below it.",
    "On the first line, write one of these: {options}. Give your reasons on the next lines.",
    "Let the first line be exactly one of {options}, and then continue on a new line.",
    "Start with a line that is just one of {options}, followed by your explanation.",
    "Write one of {options} alone on the first line and explain it after that.",
    "Give your verdict on the first line, as one of {options}, and your reasons below.",
    "Begin with one of {options} on a line of its own. Then say why.",
    "Your first line has to be one of {options} and nothing more; go on below it.",
    "Put one of {options} on the first line, then explain on a new line.",
    "Open with a line that reads {options}, and add an explanation underneath.",
)
OPTIONS = (
    ("yes", "no"),
    ("My answer is yes.", "My answer is no.", "My answer is maybe."),
    ("true", "false", "unclear"),
    ("Agree", "Disagree"),
    ("Certainly", "Perhaps", "Not at all"),
    ("yes", "no", "maybe"),
    ("I think so.", "I do not think so.", "I am not sure."),
    ("positive", "negative", "neutral"),
    ("Absolutely", "Hardly", "It depends"),
    ("Yes indeed", "No way"),
    ("A) yes", "B) no", "C) it depends"),
    ("definitely", "probably", "unlikely", "never"),
    ("I agree.", "I disagree.", "No opinion."),
    ("Option 1: yes", "Option 2: no"),
    ("for sure", "rarely", "hard to say"),
)


class Repeat(Constraint):
    """The answer begins with ``request`` word for word (case and punctuation forgiven) and goes on after it."""

    name: ClassVar[str] = "repeat"
    slot: ClassVar[str] = "opening"
    excludes: ClassVar[frozenset[str]] = frozenset({"letter_case", "language", "quotation", "no_commas", "sentences"})

    request: str = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(request=scene.base)

    def sentences(self) -> tuple[str, ...]:
        return REPEAT

    def values(self) -> dict[str, str | int]:
        return {}

    def fault(self, text: str) -> str:
        said, asked = normalize(text).split(), normalize(self.request).split()
        if said[: len(asked)] != asked:
            return f'The answer does not begin by repeating "{self.request}"'
        return "" if len(said) > len(asked) else "After the repeated request there is no answer."

    def literals(self) -> str:
        return self.request

    def num_words(self) -> int:
        return len(words(self.request)) + 4


class Choice(Constraint):
    """One of ``options``, as the whole answer or alone on the first line; case and a final full stop are forgiven."""

    name: ClassVar[str] = "choice"
    slot: ClassVar[str] = "opening"
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"letter_case", "language", "quotation", "sentences", "paragraphs", "keywords_out"}
    )

    options: tuple[str, ...] = Field(min_length=2)
    only: bool

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        options = rng.choice(share(OPTIONS, scene.split))
        return cls(options=tuple(rng.sample(options, len(options))), only=not scene.companions)

    def sentences(self) -> tuple[str, ...]:
        return ONLY if self.only else FIRST_LINE

    def values(self) -> dict[str, str | int]:
        quoted = [f'"{option}"' for option in self.options]
        return {"options": f"{', '.join(quoted[:-1])} or {quoted[-1]}"}

    def fault(self, text: str) -> str:
        lines = text.strip().splitlines()
        said = text if self.only else lines[0] if lines else ""
        if _bare(said) not in {_bare(option) for option in self.options}:
            where = "The answer" if self.only else "The first line"
            return f"{where} is not one of {self.values()['options']}."
        if not self.only and len([line for line in lines if words(line)]) < 2:
            return "After the chosen answer there is no explanation."
        return ""

    def num_words(self) -> int:
        return 1 if self.only else 10


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).strip("\"'“”").rstrip(".!")
