"""The people, places and things of one passage, and its claims written as running text."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tutelage.tasks.grounded.values import ValueKind, canonical
from tutelage.tasks.grounded.world import Fact, Topic, World

JOIN_CHANCE = 0.3


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a passage. A claim without a value is a link between an entity and its holder."""

    subject: str
    sentence: str
    noun: str = ""
    kind: ValueKind = "entity"
    value: str = ""
    superseded: bool = False
    pronoun: str = ""


@dataclass(slots=True)
class Cast:
    """Draws the names and values of one passage; none occurs twice in it, so that every answer is unambiguous."""

    world: World
    rng: random.Random
    _stems: list[str] = field(init=False)
    _first: list[str] = field(init=False)
    _last: list[str] = field(init=False)
    _used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = self.world.names
        self._stems = names.some_stems(self.rng)
        self._first = self.rng.sample(names.first, 8)
        self._last = self.rng.sample(names.all_last(), 8)

    def name(self, pattern: str) -> str:
        """Return a new name made after a pattern such as ``the {s} Fund``."""
        return pattern.format(s=self._stems.pop())

    def value(self, fact: Fact) -> str:
        """Return a value of the attribute that occurs nowhere else in the passage."""
        if fact.domain.kind == "person":
            return f"{self._first.pop()} {self._last.pop()}"
        if fact.domain.kind == "place":
            return self._stems.pop()
        while True:
            value = fact.domain.draw(self.rng)
            mark = canonical(value) if fact.domain.kind == "number" else value
            if mark not in self._used:
                self._used.add(mark)
                return value

    def claim(self, subject: str, fact: Fact, *, pronoun: str = "", slot: str = "e") -> Claim:
        """State a fact of ``subject`` with a new value; ``slot`` is the placeholder of the subject (e or h)."""
        value = self.value(fact)
        sentence = self.rng.choice(fact.say).format(**{slot: subject, "v": value})
        return Claim(subject, sentence, fact.noun, fact.domain.kind, value, pronoun=pronoun)

    def facts(self, subject: str, topic: Topic, facts: Sequence[Fact]) -> list[Claim]:
        """State several facts of an entity, in random order."""
        return [self.claim(subject, fact, pronoun=topic.pronoun) for fact in self.rng.sample(facts, len(facts))]

    def correct(self, claims: list[Claim], wrong: Claim, fact: Fact) -> Claim:
        """Mark ``wrong`` as superseded in ``claims``, append its correction to them and return the correction."""
        value = self.value(fact)
        pattern = self.rng.choice(self.world.corrections)
        sentence = pattern.format(noun=wrong.noun, e=wrong.subject, v=value, w=wrong.value)
        claims[claims.index(wrong)] = replace(wrong, superseded=True)
        claims.append(replace(wrong, sentence=sentence, value=value, pronoun=""))
        return claims[-1]


def capitalize(sentence: str) -> str:
    """Return the sentence with its first letter in upper case."""
    return sentence[:1].upper() + sentence[1:]


def _with_pronoun(claim: Claim) -> str:
    """Return the sentence with the subject at its start replaced by its pronoun."""
    rest = claim.sentence.removeprefix(claim.subject)
    return claim.sentence if rest == claim.sentence or not claim.pronoun else claim.pronoun + rest


def write(claims: Sequence[Claim], world: World, frame: str, rng: random.Random) -> str:
    """Return the passage: the claims in order as sentences, in the frame of its genre.

    A second sentence about the same entity may start with a pronoun; two neighbors about different entities may be
    joined. Neither depends on whether the asked fact is stated.
    """
    sentences: list[str] = []
    previous: Claim | None = None
    for claim in claims:
        same = previous is not None and previous.subject == claim.subject
        joinable = previous is not None and not same and previous.value and claim.value
        if joinable and "," not in claim.sentence and ", " not in sentences[-1] and rng.random() < JOIN_CHANCE:
            sentences[-1] += f", {rng.choice(world.joins)} {claim.sentence}"
        else:
            sentences.append(capitalize(_with_pronoun(claim) if same else claim.sentence))
        previous = claim
    body = " ".join(f"{sentence}." for sentence in sentences)
    return world.frames[frame].format(body=body)
