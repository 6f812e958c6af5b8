"""What the passages of one split are made of. Each split has a world of its own in ``worlds/<split>.toml``."""

import random
import tomllib
from functools import cache
from importlib.resources import files
from typing import Self

from pydantic import Field, model_validator

from tutelage.records import Record, Split
from tutelage.tasks.grounded.values import Domain, parse_domain


class Fact(Record):
    """An attribute: ``noun`` names it, ``say`` states it, ``ask`` asks for it (the first question is the direct one).

    ``value`` is written as :func:`~tutelage.tasks.grounded.values.parse_domain` reads it.
    """

    noun: str
    value: str
    say: tuple[str, ...] = Field(min_length=1)
    ask: tuple[str, ...] = Field(min_length=2)

    @property
    def domain(self) -> Domain:
        """The values that the attribute can take."""
        return parse_domain(self.value)


class Holder(Record):
    """A kind of organization that entities belong to: the bridge of a question over two hops."""

    key: str
    name: str
    facts: tuple[Fact, ...] = Field(min_length=3)


class Topic(Record):
    """A kind of entity. ``link`` ties it to its holder, ``via`` describes the holder by the entity."""

    key: str
    name: str
    pronoun: str = "It"
    frames: tuple[str, ...] = Field(min_length=1)
    holder: str
    link: str
    via: str
    facts: tuple[Fact, ...] = Field(min_length=5)

    def numeric(self) -> tuple[Fact, ...]:
        """The facts whose values are numbers, years, dates or times."""
        return tuple(fact for fact in self.facts if fact.domain.numeric)

    def comparable(self) -> tuple[Fact, ...]:
        """The facts whose values can be compared."""
        return tuple(fact for fact in self.facts if fact.domain.kind in ("number", "year"))


class Names(Record):
    """First names, and the halves from which last names and stems of other names are built."""

    first: tuple[str, ...]
    last: tuple[tuple[str, ...], tuple[str, ...]]
    stem: tuple[tuple[str, ...], tuple[str, ...]]

    def some_stems(self, rng: random.Random) -> list[str]:
        """Return stems in random order, no two with the same first half, so that names can be told apart."""
        starts, ends = self.stem
        return [start + rng.choice(ends) for start in rng.sample(starts, len(starts))]

    def all_last(self) -> list[str]:
        """Every last name."""
        return [start + end for start in self.last[0] for end in self.last[1]]

    def all_stems(self) -> list[str]:
        """Every stem of a name of a place, an organization or a thing."""
        return [start + end for start in self.stem[0] for end in self.stem[1]]


class World(Record):
    """Everything that the items of one split are made of. ``templates`` are the pairs of a topic and a frame."""

    layouts: tuple[str, ...]
    corrections: tuple[str, ...]
    joins: tuple[str, ...]
    comparisons_year: tuple[str, ...] = ()
    comparisons_number: tuple[str, ...] = ()
    names: Names
    frames: dict[str, str]
    holders: tuple[Holder, ...]
    topics: tuple[Topic, ...]

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        holders = {holder.key for holder in self.holders}
        for topic in self.topics:
            unknown = [*({topic.holder} - holders), *(set(topic.frames) - set(self.frames))]
            if unknown:
                raise ValueError(f"topic {topic.key} refers to {', '.join(unknown)}, which the world does not have")
            if len(topic.numeric()) < 3 or not topic.comparable():
                raise ValueError(f"topic {topic.key} needs three numeric facts, one of them a number or a year")
        return self

    @property
    def templates(self) -> tuple[tuple[Topic, str], ...]:
        """Every pair of a topic and the key of a frame: the passage templates."""
        return tuple((topic, frame) for topic in self.topics for frame in topic.frames)

    def holder(self, key: str) -> Holder:
        """Return the kind of holder with this key."""
        return next(holder for holder in self.holders if holder.key == key)


@cache
def load_world(split: Split) -> World:
    """Return the world of a split."""
    text = files("tutelage.tasks.grounded").joinpath("worlds", f"{split}.toml").read_text(encoding="utf-8")
    return World.model_validate(tomllib.loads(text))
