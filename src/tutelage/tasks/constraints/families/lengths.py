"""How long: words and sentences."""

import random
import re
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted
from tutelage.text.words import sentences, words

AT_LEAST = (
    "Use at least {low} words.",
    "Your answer should be no shorter than {low} words.",
    "Write a minimum of {low} words.",
    "The answer has to contain at least {low} words.",
    "Don't stop before you have written {low} words.",
    "Please write {low} words or more.",
    "Make it at least {low} words long.",
    "It should run to {low} words or longer.",
    "I expect no fewer than {low} words.",
    "The text must reach {low} words at the least.",
)
AT_MOST = (
    "Use at most {high} words.",
    "Keep your answer under {above} words.",
    "Write no more than {high} words.",
    "The answer may have {high} words at the most.",
    "Your reply must not exceed {high} words.",
    "Limit your answer to {high} words.",
    "Do not use more than {high} words.",
    "Stay within {high} words.",
    "The maximum is {high} words.",
    "Anything longer than {high} words is too long.",
)
BETWEEN = (
    "Use between {low} and {high} words.",
    "Your answer should have {low} to {high} words.",
    "Aim for a length between {low} and {high} words, no less and no more.",
    "The word count must lie between {low} and {high}.",
    "Write at least {low} but not more than {high} words.",
    "Write {low} to {high} words.",
    "The length should be between {low} and {high} words.",
    "Stay between {low} and {high} words.",
    "I need something of {low} to {high} words.",
    "Your text must be {low} words long or more, but {high} at the most.",
)
AT_LEAST_CLAUSES = (
    "in at least {low} words",
    "using {low} words or more",
    "with no fewer than {low} words",
    "in {low} or more words",
    "in a minimum of {low} words",
)
AT_MOST_CLAUSES = (
    "in at most {high} words",
    "in {high} words or fewer",
    "with no more than {high} words",
    "in a maximum of {high} words",
    "using not more than {high} words",
)
BETWEEN_CLAUSES = (
    "in {low} to {high} words",
    "in between {low} and {high} words",
    "using {low} to {high} words",
    "with {low} to {high} words",
    "in no less than {low} and no more than {high} words",
)
EXACT_SENTENCES = (
    "Answer in exactly {number} {noun}.",
    "Your answer must have exactly {low} {noun}.",
    "Use exactly {low} {noun}, not more and not fewer.",
    "The whole answer should be {number} {noun} long.",
    "I want precisely {number} {noun}.",
    "Write {number} {noun}, no more and no less.",
    "Respond with exactly {number} {noun}.",
    "The answer consists of exactly {low} {noun}.",
    "Make it {low} {noun} exactly.",
    "It has to be {number} {noun} and nothing else.",
)
FEW_SENTENCES = (
    "Use at most {high} sentences.",
    "Write no more than {high_word} sentences.",
    "Your answer may have up to {high} sentences.",
    "Keep it to {high_word} sentences or fewer.",
    "Do not go beyond {high} sentences.",
    "Answer in at most {high_word} sentences.",
    "Limit yourself to {high} sentences.",
    "{high} sentences are the maximum.",
    "Stop after {high_word} sentences at the latest.",
    "More than {high_word} sentences would be too many.",
)
EXACT_CLAUSES = (
    "in exactly {number} {noun}",
    "in {number} {noun}",
    "using exactly {low} {noun}",
    "with exactly {number} {noun}",
    "in precisely {low} {noun}",
)
FEW_CLAUSES = (
    "in at most {high_word} sentences",
    "in no more than {high} sentences",
    "in up to {high_word} sentences",
    "in {high} sentences or fewer",
    "using at most {high} sentences",
)
TITLE_LINE = re.compile(r"^\s*<<[^<>\n]*>>\s*", re.MULTILINE)


class Words(Constraint):
    """At least ``at_least`` words, at most ``at_most`` (0: no limit)."""

    name: ClassVar[str] = "words"

    at_least: int = Field(default=0, ge=0)
    at_most: int = Field(default=0, ge=0)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        need = scene.num_words
        need += -need % 5
        roomy = need + 10
        # A sentence of more than twenty words is hard to read, so few sentences bound what may be demanded.
        bearable = min((20 * c.at_most for c in scene.drawn if isinstance(c, Sentences)), default=60)
        if "json" in scene.companions:
            return cls(at_most=max(rng.randrange(30, 61, 5), roomy))
        if not scene.hard:
            if rng.random() < 0.5:
                return cls(at_least=min(rng.randrange(15, 41, 5), bearable))
            return cls(at_most=max(rng.randrange(50, 91, 5), roomy))
        kind = rng.choice(("between", "between", "at_most", "at_least"))
        if kind == "at_least":
            return cls(at_least=min(rng.randrange(45, 61, 5), bearable))
        if kind == "at_most":
            return cls(at_most=max(rng.randrange(15, 36, 5), roomy))
        low = max(min(rng.randrange(20, 46, 5), bearable), need)
        return cls(at_least=low, at_most=low + rng.choice((10, 15, 20)))

    def sentences(self) -> tuple[str, ...]:
        return BETWEEN if self.at_least and self.at_most else AT_LEAST if self.at_least else AT_MOST

    def clauses(self) -> tuple[str, ...]:
        if self.at_least and self.at_most:
            return BETWEEN_CLAUSES
        return AT_LEAST_CLAUSES if self.at_least else AT_MOST_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {"low": self.at_least, "high": self.at_most, "above": self.at_most + 1}

    def fault(self, text: str) -> str:
        number = len(words(text))
        if number < self.at_least:
            return f"{counted(number, 'word')}; at least {self.at_least} were asked."
        if self.at_most and number > self.at_most:
            return f"{counted(number, 'word')}; at most {self.at_most} were asked."
        return ""


class Sentences(Constraint):
    """Between ``at_least`` and ``at_most`` sentences; equal numbers mean exactly. A title line does not count."""

    name: ClassVar[str] = "sentences"
    slot: ClassVar[str] = "shape"

    at_least: int = Field(ge=1)
    at_most: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        least = 2 if "end" in scene.companions else 1
        if scene.hard:
            number = rng.randint(4, 6)
            return cls(at_least=number, at_most=number)
        if rng.random() < 0.3:
            return cls(at_least=1, at_most=rng.randint(2, 4))
        number = rng.randint(least, 3)
        return cls(at_least=number, at_most=number)

    def sentences(self) -> tuple[str, ...]:
        return EXACT_SENTENCES if self.at_least == self.at_most else FEW_SENTENCES

    def clauses(self) -> tuple[str, ...]:
        return EXACT_CLAUSES if self.at_least == self.at_most else FEW_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {
            "low": self.at_least,
            "high": self.at_most,
            "number": NUMBER_WORDS[self.at_least],
            "high_word": NUMBER_WORDS[self.at_most],
            "noun": "sentence" if self.at_least == 1 else "sentences",
        }

    def fault(self, text: str) -> str:
        body = TITLE_LINE.sub("", text)
        # In capitals every one-letter word would pass for an initial, whose full stop ends no sentence.
        number = len(sentences(body.lower() if body.isupper() else body))
        if self.at_least <= number <= self.at_most:
            return ""
        asked = f"exactly {self.at_least}" if self.at_least == self.at_most else f"1 to {self.at_most}"
        verb = "was" if self.at_most == 1 else "were"
        return f"{counted(number, 'sentence')}; {asked} {verb} asked."

    def num_words(self) -> int:
        return 5 * self.at_least
