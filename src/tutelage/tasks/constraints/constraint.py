"""What a constraint is: its parameters, how it is drawn and said, and what is wrong with an answer.

Every pool (phrasings, phrases, options, headers) is shared out over the splits by :func:`share`, so that no split
sees the wording of another. A family that occurs only in the test split keeps its whole pool there.
"""

import random
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

from tutelage.records import Record, Split
from tutelage.text.words import normalize

T = TypeVar("T")

PLACES: dict[Split, frozenset[int]] = {
    "train": frozenset({0, 1}),
    "probe": frozenset({2}),
    "gate": frozenset({3}),
    "test": frozenset({4}),
}
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def share(pool: Sequence[T], split: Split) -> tuple[T, ...]:
    """Return the part of ``pool`` that belongs to ``split``: two of every five to train, one to each other split."""
    return tuple(entry for place, entry in enumerate(pool) if place % 5 in PLACES[split])


def counted(number: int, noun: str) -> str:
    """Return "1 bullet", "4 bullets"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(entries: Sequence[str]) -> str:
    """Return the entries in double quotes, joined as in a sentence."""
    quoted = [f'"{entry}"' for entry in entries]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a family may look at when it draws its parameters.

    ``cues`` are words close to the topic, ``topic_words`` the topic's own; ``companions`` names the other families of
    the item, ``drawn`` holds those constraints that have their parameters already (the order of ``FAMILIES``).
    """

    split: Split
    hard: bool
    base: str
    cues: tuple[str, ...]
    topic_words: tuple[str, ...]
    companions: frozenset[str]
    drawn: "tuple[Constraint, ...]" = ()

    @property
    def literals(self) -> frozenset[str]:
        """The words, in normal form, that an answer must contain because of what was drawn before."""
        return frozenset(normalize(" ".join(constraint.literals() for constraint in self.drawn)).split())

    @property
    def num_words(self) -> int:
        """How many words an answer needs at least because of what was drawn before."""
        return sum(constraint.num_words() for constraint in self.drawn)


class Constraint(Record):
    """One verifiable demand. A family is a subclass; its fields are the parameters that an item stores.

    Two families with one ``slot`` (the opening, the closing or the shape of an answer) never meet, nor do families of
    which one ``excludes`` the other.
    """

    name: ClassVar[str]
    slot: ClassVar[str] = ""
    excludes: ClassVar[frozenset[str]] = frozenset()
    test_only: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        """Return parameters that are satisfiable together with ``scene.drawn``; harder ones if ``scene.hard``."""

    @abstractmethod
    def sentences(self) -> tuple[str, ...]:
        """Return the pool of whole sentences that say it; ``{field}`` stands for an entry of :meth:`values`."""

    def clauses(self) -> tuple[str, ...]:
        """Return the pool of clauses that can end the base instruction ("in at most 30 words"); may be empty."""
        return ()

    @abstractmethod
    def values(self) -> dict[str, str | int]:
        """Return what the phrasings are filled with."""

    @abstractmethod
    def fault(self, text: str) -> str:
        """Return what a teacher would say is wrong with ``text``; an empty string if the constraint holds."""

    def literals(self) -> str:
        """Return the text that every satisfying answer contains."""
        return ""

    def num_words(self) -> int:
        """Return how many words a satisfying answer needs at least, generously."""
        return 0

    def say(self, rng: random.Random, split: Split, *, clause: bool = False) -> str:
        """Return one phrasing of ``split``, filled; "" if a clause is asked for and the family has none."""
        pool = self.clauses() if clause else self.sentences()
        own = pool if self.test_only else share(pool, split)
        return rng.choice(own).format(**self.values()) if own else ""
