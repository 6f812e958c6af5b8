"""A task of your own: what can be asked, and how an answer is checked. The recipe names it as ``task.py:Shopping``.

This one asks for the total of a bill. Keep the four parts and write your own into them: the same task makes training
data, critiques and scores.
"""

import re
from collections.abc import Sequence

from tutelage.records import LEVELS, Answer, Demonstration, Item, Level, Split, Verdict, content_id, user
from tutelage.seeds import stream

# What is asked on one split must never be asked on another; here it is the goods that differ.
GOODS: dict[Split, tuple[str, ...]] = {
    "train": ("notebook", "pencil", "lamp", "mug", "scarf", "candle", "basket", "towel", "brush", "kite"),
    "probe": ("ladder", "bucket", "rope", "hammer", "torch", "shovel"),
    "gate": ("teapot", "saucer", "spoon", "tray", "kettle", "jug", "bowl"),
    "test": ("tent", "compass", "blanket", "whistle", "stove", "lantern", "map"),
}
LINES: dict[Level, int] = {"basic": 1, "intermediate": 2, "advanced": 3, "expert": 4}
NUMBER = re.compile(r"\d+")


class Shopping:
    """The total of a bill; more lines on it are harder."""

    name = "shopping"
    dimension = "arithmetic"
    levels = LEVELS

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different questions; equal arguments give equal questions, and fewer are the first of these."""
        found: dict[str, Item] = {}
        draw = stream(seed, self.name, split, level)
        while len(found) < n:
            goods = draw.sample(GOODS[split], LINES[level])
            lines = [(good, draw.randint(2, 9), draw.randint(2, 20)) for good in goods]
            bill = "; ".join(f"{count} × {good} at {price} euros" for good, count, price in lines)
            total = sum(count * price for _, count, price in lines)
            item = Item(
                id=content_id(self.name, bill),
                task=self.name,
                dimension=self.dimension,
                level=level,
                split=split,
                messages=(user(f"What is the total of this bill? Answer with the number.\n\n{bill}"),),
                group=", ".join(sorted(goods)),  # intervals treat items of one group as related
                reference=str(total),
                spec={"total": total},
            )
            found.setdefault(item.id, item)
        return list(found.values())

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return one verdict an answer. The reason is the critique with which the student revises."""
        return [self._verdict(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return a second opinion by other criteria, which training never sees: the answer ended and is short."""
        return [
            Verdict(score=float(answer.ended and len(answer.text.split()) <= 12), reason="The answer should be short.")
            for answer in answers
        ]

    def demonstrations(self) -> list[Demonstration]:
        """Return answers to learn from; yours would be written by experts."""
        return [
            Demonstration(item=item, answer=str(item.spec["total"]), author="program")
            for level in self.levels
            for item in self.items("train", level, 8, seed=1)
        ]

    def _verdict(self, item: Item, answer: Answer) -> Verdict:
        numbers = NUMBER.findall(answer.text)
        if not numbers:
            return Verdict(score=0.0, reason="There is no number in the answer; it should be the total.")
        if int(numbers[-1][:12]) != item.spec["total"]:
            return Verdict(score=0.0, reason=f"The total is {item.spec['total']}, not {numbers[-1]}.")
        return Verdict(score=1.0, reason="The total is right.")
