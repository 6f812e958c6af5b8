"""Items of the task: a base instruction with stacked constraints, drawn without end from a seed.

| level | constraints |
|---|---|
| basic | one, with easy parameters |
| intermediate | two with easy parameters, or (1 of 4) one with hard ones |
| advanced | three, each with hard parameters at even odds |
| expert | four with hard parameters |

Every fifth item of the test split contains at least one family that no other split has ever shown.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from tutelage.records import Item, Level, Split, content_id, user
from tutelage.seeds import stream
from tutelage.tasks.constraints.bases import HEADINGS, Base, draw_base
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.constraint import Constraint, Scene
from tutelage.tasks.constraints.families import FAMILIES, compatible
from tutelage.text.words import normalize

TASK = "constraints"
DIMENSION = "instruction_following"
SEEN = tuple(name for name, family in FAMILIES.items() if not family.test_only)
TRANSFER = tuple(name for name, family in FAMILIES.items() if family.test_only)
TRANSFER_EVERY = 5
COUNTS: dict[Level, int] = {"basic": 1, "intermediate": 2, "advanced": 3, "expert": 4}
LEVEL_OF_COUNT = {count: level for level, count in COUNTS.items()}
# These have no harder parameters, so one of them alone is never an intermediate item.
ONE_HARDNESS = frozenset({"choice", "repeat", "quotation", "no_commas", "letter_case"})
# Families that a very small model fulfills now and then as it comes; basic asks for them three times as often.
GENTLE = frozenset({"keywords_in", "keywords_out", "words", "sentences", "no_commas", "language"})
BASIC_POOL = tuple(name for name in SEEN for _ in range(3 if name in GENTLE else 1))
LAYOUTS = ("after", "after", "lines", "list", "before", "around", "inline", "inline")
BASE_FIRST = ("after", "after", "lines", "list")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which families an item has and which of them are hard."""

    families: tuple[str, ...]
    hard: frozenset[str]


def generate(split: Split, level: Level, n: int, seed: int) -> list[Item]:
    """Return the first ``n`` different items of the endless stream for (seed, split, level)."""
    items: dict[str, Item] = {}
    index = 0
    while len(items) < n:
        item = _item(stream(seed, TASK, split, level, index), split, level, index)
        items.setdefault(item.id, item)
        index += 1
    return list(items.values())


def _item(rng: random.Random, split: Split, level: Level, index: int) -> Item:
    transfer = split == "test" and index % TRANSFER_EVERY == TRANSFER_EVERY - 1
    plan = _plan(rng, level, transfer)
    base = draw_base(rng, split, closed="choice" in plan.families)
    constraints = _constraints(rng, split, base, plan)
    prompt = _render(rng, split, base.text, constraints)
    demanded = {word for constraint in constraints for word in normalize(constraint.literals()).split()}
    spec: dict[str, JsonValue] = {
        "base": base.text,
        "topic": base.topics[0].name,
        "terms": list(_terms(base, demanded)),
        "constraints": _stored(constraints),
    }
    return Item(
        id=content_id(TASK, split, level, prompt, spec),
        task=TASK,
        dimension=DIMENSION,
        level=level,
        split=split,
        messages=(user(prompt),),
        group=base.template.id,
        facet="transfer" if transfer else "seen",
        kinds=tuple(constraint.name for constraint in constraints),
        transfer=transfer,
        spec=spec,
    )


def narrow(item: Item, families: Collection[str]) -> Item | None:
    """Return ``item`` with only its constraints of ``families``, said anew; None if those are none or all of them.

    Its level is that of its number of constraints, whether they are hard or easy.
    """
    constraints = [constraint for constraint in read_constraints(item) if constraint.name in families]
    if not constraints or len(constraints) == len(item.kinds):
        return None
    names = tuple(constraint.name for constraint in constraints)
    rng = stream(0, TASK, "narrow", item.id, *names)
    prompt = _render(rng, item.split, str(item.spec["base"]), constraints)
    level = LEVEL_OF_COUNT[len(constraints)]
    spec = {**item.spec, "constraints": _stored(constraints)}
    return item.model_copy(
        update={
            "id": content_id(TASK, item.split, level, prompt, spec),
            "level": level,
            "messages": (user(prompt),),
            "kinds": names,
            "spec": spec,
        }
    )


def rephrase(item: Item, n: int, seed: int) -> list[Item]:
    """Return at most ``n`` items with the base and the constraints of ``item``, in other words and another order."""
    constraints = read_constraints(item)
    found: dict[str, Item] = {}
    for turn in range(4 * n):
        rng = stream(seed, TASK, "rephrase", item.id, turn)
        prompt = _render(rng, item.split, str(item.spec["base"]), rng.sample(constraints, len(constraints)))
        if len(found) < n and prompt != item.prompt:
            other = content_id(TASK, item.split, item.level, prompt, item.spec)
            found[other] = item.model_copy(update={"id": other, "messages": (user(prompt),)})
    return list(found.values())


def _stored(constraints: Sequence[Constraint]) -> list[JsonValue]:
    """Return what :func:`read_constraints` reads."""
    return [{"family": constraint.name, "params": constraint.model_dump(mode="json")} for constraint in constraints]


def _plan(rng: random.Random, level: Level, transfer: bool) -> Plan:
    if level == "intermediate" and rng.random() < 0.25:
        pool = [name for name in (TRANSFER if transfer else SEEN) if name not in ONE_HARDNESS]
        only = rng.choice(pool)
        return Plan((only,), frozenset({only}))
    if level == "basic":
        return Plan((rng.choice(TRANSFER if transfer else BASIC_POOL),), frozenset())
    families = _families(rng, COUNTS[level], transfer)
    if level == "advanced":
        return Plan(families, frozenset(name for name in families if rng.random() < 0.5))
    return Plan(families, frozenset(families) if level == "expert" else frozenset())


def _families(rng: random.Random, count: int, transfer: bool) -> tuple[str, ...]:
    """Return ``count`` compatible families in drawing order; starts over when it has painted itself into a corner."""
    pool = SEEN + TRANSFER if transfer else SEEN
    while True:
        chosen = [rng.choice(TRANSFER if transfer else SEEN)]
        while len(chosen) < count:
            left = [name for name in pool if all(compatible(name, other) for other in chosen)]
            if not left:
                break
            chosen.append(rng.choice(left))
        if len(chosen) == count:
            return tuple(name for name in FAMILIES if name in chosen)


def _constraints(rng: random.Random, split: Split, base: Base, plan: Plan) -> tuple[Constraint, ...]:
    scene = Scene(
        split=split,
        hard=False,
        base=base.text,
        cues=tuple(cue for topic in base.topics for cue in topic.cues),
        topic_words=tuple(word for topic in base.topics for word in topic.words),
        companions=frozenset(),
    )
    drawn: tuple[Constraint, ...] = ()
    for name in plan.families:
        companions = frozenset(plan.families) - {name}
        own = replace(scene, hard=name in plan.hard, companions=companions, drawn=drawn)
        drawn = (*drawn, FAMILIES[name].draw(rng, own))
    return tuple(rng.sample(drawn, len(drawn)))


def _terms(base: Base, demanded: set[str]) -> tuple[str, ...]:
    """Return words by which an answer shows that it is about the topic: its own words and cues that nobody demands."""
    names = [word for topic in base.topics for word in topic.words]
    names += [word[:-1] for word in names if word.endswith("s") and len(word) > 4]
    cues = [cue for topic in base.topics for cue in topic.cues if cue not in demanded]
    return tuple(dict.fromkeys([*names, *cues]))


def _render(rng: random.Random, split: Split, text: str, constraints: Sequence[Constraint]) -> str:
    """Return the prompt: the base instruction and one phrasing a constraint, arranged as users do."""
    layouts = BASE_FIRST if any(constraint.name == "repeat" for constraint in constraints) else LAYOUTS
    layout = rng.choice([name for name in layouts if name != "list" or len(constraints) > 1])
    rest = list(constraints)
    if layout == "inline" and text.endswith("."):
        clause = rest[0].say(rng, split, clause=True)
        if clause:
            text, rest = f"{text[:-1]} {clause}.", rest[1:]
    said = [constraint.say(rng, split) for constraint in rest]
    if layout == "lines":
        return "\n".join([text, *said])
    if layout == "list":
        return "\n".join([text, "", rng.choice(HEADINGS[split]), *(f"- {sentence}" for sentence in said)])
    before = len(said) if layout == "before" else len(said) // 2 if layout == "around" else 0
    return " ".join([*said[:before], text, *said[before:]])
