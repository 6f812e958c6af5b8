"""The question types: which facts a passage holds, in which order, and what is asked.

| type | levels | what makes it hard |
|---|---|---|
| ``lookup`` | basic, intermediate | intermediate: another entity has the same attribute, the question is paraphrased |
| ``among`` | advanced | one entity with several numbers or dates; the absent one is stated for another entity |
| ``telling_apart`` | advanced | two entities in turns with the same numeric attribute, or only the other one has it |
| ``two_hop`` | expert | the holder of an entity has the attribute, or only the other entity's holder has it |
| ``corrected`` | expert | a later sentence corrects an earlier one, of this entity or of the other |
| ``comparison`` | all, only in test | which of two entities is ahead; absent: only one of the two figures is stated |

Stated and absent questions of a type are built from the same number of claims, ask for the same attributes in the same
words and come in the same frames: only what the passage says about the subject tells them apart.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tutelage.records import Level
from tutelage.tasks.grounded.key import AnswerKey, Rival
from tutelage.tasks.grounded.passage import Cast, Claim, write
from tutelage.tasks.grounded.values import canonical
from tutelage.tasks.grounded.world import Fact, Topic, World

NEAR_MISS = 0.5  # share of absences at the intermediate level whose attribute is stated for the other entity
SHARED = 0.7  # share of stated questions whose attribute is stated for the other entity too


@dataclass(frozen=True, slots=True)
class Plan:
    """What an item is built from; ``stated`` is its facet."""

    world: World
    topic: Topic
    frame: str
    level: Level
    stated: bool
    rng: random.Random

    def others(self, fact: Fact, n: int, *, numeric: bool = False) -> list[Fact]:
        """Return ``n`` facts of the topic other than ``fact``, numeric ones first if asked."""
        rest = [other for other in self.topic.facts if other is not fact]
        self.rng.shuffle(rest)
        return sorted(rest, key=lambda other: numeric and not other.domain.numeric)[:n]

    def of_rival(self, fact: Fact, other: Fact) -> Fact:
        """Return what is told of the other entity: the asked fact, or where the subject has it, at times another.

        So a fact that stands only once in a passage is no sign of an absence.
        """
        return fact if not self.stated or self.rng.random() < SHARED else other

    def question(self, fact: Fact, **names: str) -> str:
        """Return the question for a fact: the direct one at the basic level, any at others."""
        direct = self.level == "basic" and self.rng.random() < 0.8
        return (fact.ask[0] if direct else self.rng.choice(fact.ask)).format(**names)

    def in_blocks(self, first: list[Claim], second: list[Claim]) -> list[Claim]:
        """Return the claims about two entities one entity after the other, in either order."""
        return first + second if self.rng.random() < 0.5 else second + first

    def in_turns(self, first: list[Claim], second: list[Claim]) -> list[Claim]:
        """Return the claims about two entities in turns."""
        if self.rng.random() < 0.5:
            first, second = second, first
        longest = max(len(first), len(second))
        return [claim for i in range(longest) for claim in (*first[i : i + 1], *second[i : i + 1])]


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished passage with its question and answer key."""

    passage: str
    question: str
    key: AnswerKey


def _finish(plan: Plan, claims: Sequence[Claim], question: str, subject: str, fact: Fact) -> Draft:
    """Write the passage; the answer is the standing claim about ``subject``'s holder or itself in ``fact``."""
    kind = fact.domain.kind
    gold = next((c for c in claims if c.subject == subject and c.noun == fact.noun and not c.superseded), None)
    rivals = tuple(
        Rival(value=c.value, owner=c.subject, noun=c.noun, superseded=c.superseded)
        for c in claims
        if c.value and c.kind == kind and c is not gold
    )
    key = AnswerKey(kind=kind, noun=fact.noun, subject=subject, gold=gold.value if gold else None, rivals=rivals)
    return Draft(write(claims, plan.world, plan.frame, plan.rng), question, key)


def lookup(plan: Plan) -> Draft:
    """Ask for one attribute of one entity; above the basic level another entity stands beside it."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    fact = rng.choice(topic.facts)
    subject = cast.name(topic.name)
    others = plan.others(fact, 3)
    told = [fact, *others[: rng.randint(1, 2)]]
    if not plan.stated:
        told[0] = others[2]
    claims = cast.facts(subject, topic, told)
    if plan.level != "basic":
        near = plan.stated or rng.random() < NEAR_MISS
        shared = plan.of_rival(fact, others[2]) if near else others[2]
        claims = plan.in_blocks(claims, cast.facts(cast.name(topic.name), topic, [shared, others[0]]))
    return _finish(plan, claims, plan.question(fact, e=subject), subject, fact)


def among(plan: Plan) -> Draft:
    """Ask for one of several numbers or dates of an entity; another entity has the same attribute."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    fact = rng.choice(topic.numeric())
    subject = cast.name(topic.name)
    others = plan.others(fact, 3, numeric=True)
    told = [fact if plan.stated else others[2], *others[:2]]
    claims = plan.in_blocks(
        cast.facts(subject, topic, told),
        cast.facts(cast.name(topic.name), topic, [plan.of_rival(fact, others[2]), others[1]]),
    )
    return _finish(plan, claims, plan.question(fact, e=subject), subject, fact)


def telling_apart(plan: Plan) -> Draft:
    """Ask for a number or date of one of two entities that the passage describes in turns."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    fact = rng.choice(topic.numeric())
    subject = cast.name(topic.name)
    others = plan.others(fact, 2)
    claims = plan.in_turns(
        cast.facts(subject, topic, [fact if plan.stated else others[1], others[0]]),
        cast.facts(cast.name(topic.name), topic, [plan.of_rival(fact, others[1]), others[0]]),
    )
    return _finish(plan, claims, plan.question(fact, e=subject), subject, fact)


def two_hop(plan: Plan) -> Draft:
    """Ask for an attribute of the holder of an entity, by the entity."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    holder = plan.world.holder(topic.holder)
    fact, other, *_ = rng.sample(holder.facts, len(holder.facts))
    subject, rival = cast.name(topic.name), cast.name(topic.name)
    own, theirs = (fact if plan.stated else other), plan.of_rival(fact, other)
    holders = [(cast.name(holder.name), own), (cast.name(holder.name), theirs)]
    links = [
        Claim(entity, topic.link.format(e=entity, h=name))
        for entity, (name, _) in zip((subject, rival), holders, strict=True)
    ]
    claims = [cast.claim(name, told, slot="h") for name, told in holders]
    first, second = ([link, claim] for link, claim in zip(links, claims, strict=True))
    order = plan.in_blocks(first, second) if rng.random() < 0.5 else plan.in_turns(first, second)
    order.insert(0, cast.claim(rng.choice((subject, rival)), rng.choice(topic.facts)))
    via = topic.via.format(e=subject)
    draft = _finish(plan, order, plan.question(fact, h=via), holders[0][0], fact)
    return Draft(draft.passage, draft.question, draft.key.model_copy(update={"subject": via}))


def corrected(plan: Plan) -> Draft:
    """Ask for an attribute in a passage that corrects one: usually that of the subject, else that of the other."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    fact = rng.choice(topic.facts)
    others = plan.others(fact, 2)
    subject, rival = cast.name(topic.name), cast.name(topic.name)
    own = cast.facts(subject, topic, [fact if plan.stated else others[1], others[0]])
    shared = plan.of_rival(fact, others[1])
    claims = plan.in_blocks(own, cast.facts(rival, topic, [shared, others[0]]))
    owner = subject if plan.stated and (shared is not fact or rng.random() < 0.6) else rival
    wrong = next(claim for claim in claims if claim.subject == owner and claim.noun == fact.noun)
    cast.correct(claims, wrong, fact)
    return _finish(plan, claims, plan.question(fact, e=subject), subject, fact)


def comparison(plan: Plan) -> Draft:
    """Ask which of two entities is ahead in a number or earlier in a year; one of the figures may be missing."""
    rng, topic = plan.rng, plan.topic
    cast = Cast(plan.world, rng)
    fact = rng.choice(topic.comparable())
    extra = 0 if plan.level == "basic" else 1
    others = plan.others(fact, 2, numeric=plan.level == "advanced")
    first, second = cast.name(topic.name), cast.name(topic.name)
    known = cast.facts(first, topic, [fact, *others[:extra]])
    open_one = cast.facts(second, topic, [fact if plan.stated else others[1], *others[:extra]])
    claims = plan.in_blocks(known, open_one)
    if plan.level == "expert":
        cast.correct(claims, next(c for c in known if c.noun == fact.noun), fact)
    standing = {c.subject: float(canonical(c.value)) for c in claims if c.noun == fact.noun and not c.superseded}
    years = fact.domain.kind == "year"
    gold = (min if years else max)(standing, key=lambda name: standing[name]) if plan.stated else None
    a, b = rng.sample([first, second], 2)
    patterns = plan.world.comparisons_year if years else plan.world.comparisons_number
    question = rng.choice(patterns).format(noun=fact.noun, a=a, b=b)
    rivals = tuple(Rival(value=name, owner=name, noun=fact.noun) for name in (a, b) if plan.stated and name != gold)
    key = AnswerKey(kind="entity", noun=fact.noun, subject=second, gold=gold, rivals=rivals, candidates=(a, b))
    return Draft(write(claims, plan.world, plan.frame, rng), question, key)


QUESTION_TYPES: dict[str, Callable[[Plan], Draft]] = {
    "lookup": lookup,
    "among": among,
    "telling_apart": telling_apart,
    "two_hop": two_hop,
    "corrected": corrected,
    "comparison": comparison,
}
# How often a type is dealt at a level; the transfer type is added in test alone.
TYPES_OF_LEVEL: dict[Level, tuple[str, ...]] = {
    "basic": ("lookup",) * 5,
    "intermediate": ("lookup",) * 5,
    "advanced": ("among", "among", "telling_apart", "telling_apart", "telling_apart"),
    "expert": ("two_hop", "two_hop", "two_hop", "corrected", "corrected"),
}
TRANSFER_TYPE = "comparison"
