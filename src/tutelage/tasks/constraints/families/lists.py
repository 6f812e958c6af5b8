"""Lists: bullets and numbered items."""

import random
import re
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted

BULLETS = (
    "Answer with exactly {n} bullet points.",
    "Use exactly {number} bullet points, each on its own line.",
    "Give your answer as a list of {n} bullets.",
    "There must be exactly {n} bullet points in your answer.",
    "Format the answer as {number} bullet points, no more and no fewer.",
    'Write exactly {number} bullets, each starting with "- ".',
    "Your answer must contain exactly {n} bullet points.",
    'Put it in {number} bullet points that begin with "* ".',
    "Structure your reply as exactly {number} bullets.",
    "I want {n} bullet points exactly.",
)
BULLET_CLAUSES = (
    "in exactly {number} bullet points",
    "as a list of exactly {n} bullet points",
    "using exactly {n} bullets",
    "in {number} bullet points",
    "with exactly {n} bullet points",
)
NUMBERED = (
    'Answer with a numbered list of exactly {n} items ("1.", "2.", and so on).',
    "Number your points from 1 to {n}, one on each line.",
    "Use exactly {number} numbered points, each on its own line.",
    "Give a numbered list with {number} entries, no more and no fewer.",
    'Each of your {number} points should be on its own line and start with its number, like "1.".',
)
BULLET = re.compile(r"^[ \t]*[-*•–][ \t]+\S", re.MULTILINE)
NUMBER = re.compile(r"^[ \t]*(\d+)[.)][ \t]+\S", re.MULTILINE)


def draw_length(rng: random.Random, scene: Scene) -> int:
    """Return how many entries a list should have."""
    return rng.randint(4, 6) if scene.hard else rng.randint(2, 4)


class Bullets(Constraint):
    """Exactly ``n`` lines that begin with "- ", "* ", "• " or "– "; other lines may stand around them."""

    name: ClassVar[str] = "bullets"
    slot: ClassVar[str] = "shape"
    excludes: ClassVar[frozenset[str]] = frozenset({"quotation"})

    n: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(n=draw_length(rng, scene))

    def sentences(self) -> tuple[str, ...]:
        return BULLETS

    def clauses(self) -> tuple[str, ...]:
        return BULLET_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {"n": self.n, "number": NUMBER_WORDS[self.n]}

    def fault(self, text: str) -> str:
        number = len(BULLET.findall(text))
        return "" if number == self.n else f"{counted(number, 'bullet')}; exactly {self.n} were asked."

    def num_words(self) -> int:
        return 4 * self.n


class Numbered(Constraint):
    """Exactly ``n`` lines numbered "1." (or "1)") to ``n`` in order."""

    name: ClassVar[str] = "numbered"
    slot: ClassVar[str] = "shape"
    excludes: ClassVar[frozenset[str]] = frozenset({"quotation"})
    test_only: ClassVar[bool] = True

    n: int = Field(ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(n=draw_length(rng, scene))

    def sentences(self) -> tuple[str, ...]:
        return NUMBERED

    def values(self) -> dict[str, str | int]:
        return {"n": self.n, "number": NUMBER_WORDS[self.n]}

    def fault(self, text: str) -> str:
        numbers = [int(digits) for digits in NUMBER.findall(text)]
        if len(numbers) != self.n:
            return f"{counted(len(numbers), 'numbered point')}; exactly {self.n} were asked."
        if numbers != list(range(1, self.n + 1)):
            return f"The points are numbered {', '.join(map(str, numbers))}; 1 to {self.n} was asked."
        return ""

    def num_words(self) -> int:
        return 5 * self.n
