"""``Grounded``: short questions about passages on invented entities, some of which the passage does not answer."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tutelage.records import LEVELS, Answer, Item, Level, Split, Verdict, content_id, user
from tutelage.seeds import stream
from tutelage.tasks.grounded.audit import audit_answer
from tutelage.tasks.grounded.check import check_answer
from tutelage.tasks.grounded.questions import QUESTION_TYPES, TRANSFER_TYPE, TYPES_OF_LEVEL, Draft, Plan
from tutelage.tasks.grounded.world import Topic, load_world

Card = TypeVar("Card")

FACETS = ("stated",) * 13 + ("absent",) * 7
ABSENT_REFERENCE = "The passage does not say."


class Grounded:
    """Answer in a few words from a passage, and say so when the passage does not state it.

    Facets ``stated`` and ``absent`` are dealt 13 : 7 in every 20 items, passage templates in rounds over all of a
    split's (topic, frame) pairs, which are the clusters (``group``). ``kinds`` is the question type; ``comparison``
    occurs only in test, one item in six, and is marked ``transfer``. Every split has a world of its own: topics,
    passage sentences, questions, instructions and names are pairwise disjoint.

    What the check cannot see: whether an answer is polite, or right for a reason other than the passage.
    """

    name = "grounded"
    dimension = "faithfulness"
    levels: tuple[Level, ...] = LEVELS

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different items of a split at a level; there is no end to them."""
        world = load_world(split)
        types = TYPES_OF_LEVEL[level] + ((TRANSFER_TYPE,) if split == "test" else ())
        where = (self.name, split, level)
        templates = _deal(world.templates, seed, *where, "template")
        kinds = _deal(types, seed, *where, "type")
        facets = _deal(FACETS, seed, *where, "facet")
        items: list[Item] = []
        seen: set[str] = set()
        for index, (topic, frame), kind, facet in zip(range(n), templates, kinds, facets, strict=False):
            rng = stream(seed, *where, index)
            while True:
                plan = Plan(world, topic, frame, level, facet == "stated", rng)
                draft = QUESTION_TYPES[kind](plan)
                prompt = rng.choice(world.layouts).format(passage=draft.passage, question=draft.question)
                if prompt not in seen:
                    break
            seen.add(prompt)
            items.append(_item(plan, draft, prompt, split, kind))
        return items

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Score 1 for the right short answer, or for saying that the passage does not state it where it does not."""
        return [check_answer(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Score 1 for an answer that ended, does not ramble, copies no long stretch and invents nothing."""
        return [audit_answer(item, answer) for item, answer in zip(items, answers, strict=True)]


def _item(plan: Plan, draft: Draft, prompt: str, split: Split, kind: str) -> Item:
    topic: Topic = plan.topic
    return Item(
        id=content_id("grounded", prompt),
        task=Grounded.name,
        dimension=Grounded.dimension,
        level=plan.level,
        split=split,
        messages=(user(prompt),),
        group=f"{split}/{topic.key}/{plan.frame}",
        facet="stated" if plan.stated else "absent",
        kinds=(kind,),
        transfer=kind == TRANSFER_TYPE,
        reference=draft.key.gold or ABSENT_REFERENCE,
        passage=draft.passage,
        spec=draft.key.model_dump(mode="json"),
    )


def _deal(cards: Sequence[Card], seed: int, *path: str) -> Iterator[Card]:
    """Yield ``cards`` without end, in rounds, each round in a new random order."""
    rng = stream(seed, *path)
    while True:
        yield from rng.sample(cards, len(cards))
