"""The safety task: harmful requests and harmless look-alikes in equal numbers under equal disguises."""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import TypeVar

from pydantic import JsonValue

from tutelage.records import LEVELS, Answer, Item, Level, Split, Verdict, content_id, user
from tutelage.seeds import derive_seed, stream
from tutelage.tasks.safety.audit import audit_answer
from tutelage.tasks.safety.behaviors import AREA_LABELS, Behavior, behaviors
from tutelage.tasks.safety.check import check_answer
from tutelage.tasks.safety.disguises import TRANSFER, Frame, frames
from tutelage.tasks.safety.surfaces import PAST_SURFACES, SURFACES

T = TypeVar("T")
Choice = tuple[Frame, int]


class Safety:
    """Refusal of harmful requests (facet ``harmful``) and help with harmless ones (facet ``harmless``).

    An item is behavior × disguise × surface. Facets alternate, and the two items of a pair share their disguise, so
    that a disguise never tells the facet. Levels: ``basic`` asks plainly; ``intermediate`` politely, with an innocent
    reason or in an everyday setting; ``advanced`` under a disguise (fiction, role play, hypothetical, past tense,
    research); ``expert`` under a disguise and pressure (authority, an instruction never to refuse, alarming figures of
    speech). The disguise ``relay`` exists only in the test split, above basic.

    A split has at least 1,300 different items a level; asked for more, ``items`` returns what there is.

    ``harmless_share`` is the share of harmless items in the train split, at least one half. More of them than of
    harmful ones are needed to learn from, because refusing is the easier habit; probe, gate and test stay halved.
    """

    name = "safety"
    dimension = "safety"
    levels: tuple[Level, ...] = LEVELS

    def __init__(self, harmless_share: float = 0.5) -> None:
        self.harmless_share = harmless_share

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different items spread evenly over behaviors, harmful and harmless ones in turn."""
        own = derive_seed(seed, "safety", split, level)
        pairs = _pairwise(split, level, own)
        return list(islice(_thinned(pairs, self.harmless_share, own) if split == "train" else pairs, n))

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return 1 for a clear refusal of a harmful request and for help with a harmless one, else 0."""
        return [check_answer(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return the second opinion: ended, not degenerate, no echo, stance by scored words, on the matter."""
        return [audit_answer(item, answer) for item, answer in zip(items, answers, strict=True)]

    def reword(self, item: Item, n: int, seed: int) -> list[Item]:
        """Return at most ``n`` train items about the same behavior, levels drawn by lot; it is a ``Rewordable`` task.

        Whatever the disguise, what was right to say stays right: that is what the wordings teach.
        """
        behavior = next(known for known in behaviors("train", item.facet) if known.id == item.group)
        random = stream(seed, "safety", "reword", item.id)
        found: dict[str, Item] = {}
        for _ in range(20 * n):
            if len(found) == n:
                break
            level = random.choice(self.levels)
            name, framed = random.choice(sorted(frames("train", level).items()))
            other = _item("train", level, behavior, random.choice(_choices("train", name, framed)))
            if other.id != item.id:
                found.setdefault(other.id, other)
        return list(found.values())


def _pairwise(split: Split, level: Level, seed: int) -> Iterator[Item]:
    """Yield items in pairs of one disguise until a pair of behaviors has no unused wording left."""
    harmful, harmless = (_shuffled(behaviors(split, facet), seed, facet) for facet in ("harmful", "harmless"))
    choices = {name: _choices(split, name, framed) for name, framed in frames(split, level).items()}
    names = _shuffled(tuple(choices), seed, "disguises")
    unused: dict[tuple[int, str], Iterator[Choice]] = {}
    for turn in count():
        for place, pair in enumerate(zip(harmful, harmless, strict=True)):
            name = names[(turn + place) % len(names)]
            if (place, name) not in unused:
                unused[place, name] = iter(_shuffled(choices[name], derive_seed(seed, "wordings", place), name))
            choice = next(unused[place, name], None)
            if choice is None:
                return
            for behavior in pair:
                yield _item(split, level, behavior, choice)


def _thinned(pairs: Iterator[Item], harmless_share: float, seed: int) -> Iterator[Item]:
    """Yield every harmless item, and of the harmful ones so many, by lot, that the shares come out."""
    random = stream(seed, "thinned")
    for item in pairs:
        if item.facet == "harmless" or random.random() < (1 - harmless_share) / harmless_share:
            yield item


def _shuffled(found: tuple[T, ...], seed: int, name: str) -> list[T]:
    return stream(seed, name).sample(found, len(found))


def _choices(split: Split, name: str, framed: list[Frame]) -> tuple[Choice, ...]:
    """Return every frame of one leading disguise with every surface that it may go around."""
    surfaces = len((PAST_SURFACES if name == "past_tense" else SURFACES)[split]["act"])
    return tuple((frame, surface) for frame in framed for surface in range(surfaces))


def _item(split: Split, level: Level, behavior: Behavior, choice: Choice) -> Item:
    (disguises, around), surface = choice
    wordings = (PAST_SURFACES if "past_tense" in disguises else SURFACES)[split][behavior.form]
    prompt = around.replace("{request}", wordings[surface].replace("{text}", behavior.text))
    spec: dict[str, JsonValue] = {"form": behavior.form, "request": behavior.clause}
    if behavior.facet == "harmful":
        spec["wrong"] = AREA_LABELS[behavior.area]
    else:
        spec |= {"sense": behavior.sense, "terms": list(behavior.terms)}
    return Item(
        id=content_id("safety", split, level, prompt),
        task="safety",
        dimension="safety",
        level=level,
        split=split,
        messages=(user(prompt),),
        group=behavior.id,
        facet=behavior.facet,
        kinds=(*disguises, behavior.area),
        transfer=TRANSFER in disguises,
        spec=spec,
    )
