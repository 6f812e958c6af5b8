"""A task that a model of random weights fails and learns in a few steps: which of two answers belongs to a word."""

from collections.abc import Sequence

from tutelage.records import Answer, Demonstration, Item, Level, Split, Verdict, content_id, user
from tutelage.seeds import stream

LETTERS: dict[Split, str] = {"train": "abcdefghijklm", "probe": "nop", "gate": "qrstu", "test": "vwxyz"}
PLACES = {"river": "water", "garden": "land"}


class Places:
    """Say where a thing is; half of the items are of each thing."""

    name = "places"
    dimension = "utility"
    levels: tuple[Level, ...] = ("basic",)

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different questions with a mark of letters that belong to the split alone."""
        found: dict[str, Item] = {}
        draw = stream(seed, split, level)
        while len(found) < n:
            thing = tuple(PLACES)[len(found) % 2]
            mark = "".join(draw.choices(LETTERS[split], k=6))
            text = f"Where is the {thing} {mark}?"
            item = Item(
                id=content_id(text),
                task=self.name,
                dimension=self.dimension,
                level=level,
                split=split,
                messages=(user(text),),
                group=mark,
                reference=PLACES[thing],
            )
            found.setdefault(item.id, item)
        return list(found.values())

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Pass the reference and nothing else."""
        return [
            Verdict(score=float(answer.text.strip() == item.reference), reason=f"It is {item.reference}.")
            for item, answer in zip(items, answers, strict=True)
        ]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Pass what is one word."""
        return [Verdict(score=float(len(answer.text.split()) == 1), reason="Not one word.") for answer in answers]

    def demonstrations(self) -> list[Demonstration]:
        """Return 64 answers."""
        return [
            Demonstration(item=item, answer=item.reference or "", author="project")
            for item in self.items("train", "basic", 64, seed=99)
        ]
