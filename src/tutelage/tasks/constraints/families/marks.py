"""Marks inside the text: highlighted parts and placeholders."""

import random
import re
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted

HIGHLIGHTS = (
    "Highlight at least {n} {part} with asterisks, like *this*.",
    "Mark {number} or more {parts} of your answer with asterisks, for example *important words*.",
    "At least {number} {part} must be set between asterisks, such as *highlighted text*.",
    "Emphasize no fewer than {n} {part} by writing them *like this*.",
)
PLACEHOLDERS = (
    "Use at least {n} {placeholder} in square brackets, such as [name].",
    "Include {number} or more blanks to fill in, written in square brackets like [place].",
    "The text must contain at least {number} {placeholder} in square brackets, for example [date].",
    "Leave at least {n} {placeholder} like [address] for me to fill in.",
)
HIGHLIGHT = re.compile(r"\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*|\*[^\s*](?:[^*\n]*[^\s*])?\*")
PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\w[^\[\]\n]*\]")


class Highlights(Constraint):
    """At least ``n`` parts between single or double asterisks."""

    name: ClassVar[str] = "highlights"
    test_only: ClassVar[bool] = True

    n: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(n=rng.randint(3, 4) if scene.hard else rng.randint(1, 2))

    def sentences(self) -> tuple[str, ...]:
        return HIGHLIGHTS

    def values(self) -> dict[str, str | int]:
        part = "part" if self.n == 1 else "parts"
        return {"n": self.n, "number": NUMBER_WORDS[self.n], "part": part, "parts": "parts"}

    def fault(self, text: str) -> str:
        number = len(HIGHLIGHT.findall(text))
        verb = "was" if self.n == 1 else "were"
        return "" if number >= self.n else f"{counted(number, 'highlighted part')}; at least {self.n} {verb} asked."

    def num_words(self) -> int:
        return 2 * self.n


class Placeholders(Constraint):
    """At least ``n`` placeholders in square brackets."""

    name: ClassVar[str] = "placeholders"
    test_only: ClassVar[bool] = True

    n: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(n=rng.randint(3, 4) if scene.hard else rng.randint(1, 2))

    def sentences(self) -> tuple[str, ...]:
        return PLACEHOLDERS

    def values(self) -> dict[str, str | int]:
        placeholder = "placeholder" if self.n == 1 else "placeholders"
        return {"n": self.n, "number": NUMBER_WORDS[self.n], "placeholder": placeholder}

    def fault(self, text: str) -> str:
        number = len(PLACEHOLDER.findall(text))
        verb = "was" if self.n == 1 else "were"
        return "" if number >= self.n else f"{counted(number, 'placeholder')}; at least {self.n} {verb} asked."

    def num_words(self) -> int:
        return 2 * self.n
