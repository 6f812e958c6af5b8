"""What characters may occur: letter case, commas, how often a letter."""

import random
from typing import ClassVar, Literal, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted
from tutelage.text.words import words

LOWER = (
    "Use only lowercase letters.",
    "Write everything in lowercase, without any capital letters.",
    "Your whole answer must be in lowercase.",
    "No capital letters are allowed anywhere.",
    "Keep every letter small, even at the start of a sentence.",
    "Do not use any capital letters.",
    "The entire response should be in lower case.",
    "All letters have to be lowercase.",
    "Avoid uppercase letters completely.",
    "Type it all in lowercase.",
)
UPPER = (
    "Use only capital letters.",
    "Write everything in uppercase.",
    "Your whole answer must be in capital letters.",
    "Every letter has to be uppercase.",
    "Answer in all caps.",
    "Write your entire answer in CAPITAL LETTERS.",
    "No lowercase letters are allowed anywhere.",
    "All letters have to be capitals.",
    "The entire response should be in upper case.",
    "Shout it: every letter must be a capital.",
)
LOWER_CLAUSES = (
    "in all lowercase letters",
    "using only lowercase letters",
    "entirely in lowercase",
    "without any capital letters",
    "in lower case only",
)
UPPER_CLAUSES = (
    "in all capital letters",
    "using only capital letters",
    "entirely in uppercase",
    "without any lowercase letters",
    "in ALL CAPS",
)
NO_COMMAS = (
    "Do not use any commas.",
    "Your answer must not contain a comma.",
    "Write without commas.",
    "Commas are not allowed.",
    "Leave out every comma.",
    "Avoid commas completely.",
    "Don't use commas anywhere in your answer.",
    "No commas, please.",
    "Refrain from using commas.",
    "There must not be a single comma in the answer.",
)
NO_COMMAS_CLAUSES = (
    "without using any commas",
    "without commas",
    "using no commas",
    "with no commas at all",
    "without a single comma",
)
LETTERS = (
    'Use the letter "{letter}" at least {n} times.',
    'The letter "{letter}" should appear {number} times or more in your answer.',
    'Make sure that the letter "{letter}" occurs at least {number} times.',
    'Your answer needs no fewer than {n} occurrences of the letter "{letter}".',
)
COMMON_LETTERS = "bcfgmpwy"
RARE_LETTERS = "jkvxz"


class LetterCase(Constraint):
    """Every letter in lower or in upper case; characters without case are free."""

    name: ClassVar[str] = "letter_case"

    case: Literal["lower", "upper"]

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(case="lower" if "json" in scene.companions or rng.random() < 0.5 else "upper")

    def sentences(self) -> tuple[str, ...]:
        return LOWER if self.case == "lower" else UPPER

    def clauses(self) -> tuple[str, ...]:
        return LOWER_CLAUSES if self.case == "lower" else UPPER_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {}

    def fault(self, text: str) -> str:
        asked, other = ("lowercase", "capital") if self.case == "lower" else ("capital", "lowercase")
        if not any(character.isalpha() for character in text):
            return f"There are no letters; an answer in {asked} letters was asked."
        right = str.islower if self.case == "lower" else str.isupper
        wrong = [
            word for word in words(text) if any(c.isalpha() and c.lower() != c.upper() and not right(c) for c in word)
        ]
        if not wrong:
            return ""
        return f'{counted(len(wrong), "word")} with {other} letters, such as "{wrong[0]}"; only {asked} was asked.'


class NoCommas(Constraint):
    """No comma anywhere."""

    name: ClassVar[str] = "no_commas"

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls()

    def sentences(self) -> tuple[str, ...]:
        return NO_COMMAS

    def clauses(self) -> tuple[str, ...]:
        return NO_COMMAS_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {}

    def fault(self, text: str) -> str:
        number = text.count(",") + text.count("，")
        if number:
            return f"{counted(number, 'comma')}; none were allowed."
        return "" if text.strip() else "The answer is empty."


class Letters(Constraint):
    """A letter at least ``n`` times, in either case."""

    name: ClassVar[str] = "letters"
    excludes: ClassVar[frozenset[str]] = frozenset({"language"})
    test_only: ClassVar[bool] = True

    letter: str = Field(min_length=1, max_length=1)
    n: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        if scene.hard:
            return cls(letter=rng.choice(RARE_LETTERS), n=rng.randint(3, 4))
        return cls(letter=rng.choice(COMMON_LETTERS), n=rng.randint(4, 7))

    def sentences(self) -> tuple[str, ...]:
        return LETTERS

    def values(self) -> dict[str, str | int]:
        return {"letter": self.letter, "n": self.n, "number": NUMBER_WORDS[self.n]}

    def fault(self, text: str) -> str:
        number = text.lower().count(self.letter)
        if number >= self.n:
            return ""
        return f'The letter "{self.letter}" occurs {counted(number, "time")}; at least {self.n} were asked.'

    def num_words(self) -> int:
        return self.n
