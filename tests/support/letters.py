"""A task that rewards what a model of random weights can learn in seconds: the letter e."""

from collections.abc import Sequence

from tutelage.records import Answer, Item, Level, Split, Verdict, content_id, unscored, user
from tutelage.seeds import stream

WANTED = 8
LETTERS: dict[Split, str] = {"train": "abcdefghijklm", "probe": "nop", "gate": "qrstu", "test": "vwxyz"}


class Letters:
    """Write letters e. ``unscored`` and ``silent`` name prompts by their last letter: no score, and always 0."""

    name = "letters"
    dimension = "utility"
    levels: tuple[Level, ...] = ("basic",)

    def __init__(self, unscored: str = "", silent: str = "") -> None:
        self.unscored, self.silent = unscored, silent

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different prompts of letters that belong to the split alone."""
        found: dict[str, Item] = {}
        draw = stream(seed, split, level)
        while len(found) < n:
            word = "".join(draw.choices(LETTERS[split], k=6))
            item = Item(
                id=content_id(word),
                task=self.name,
                dimension=self.dimension,
                level=level,
                split=split,
                messages=(user(f"Say {word}"),),
                group=word[0],
            )
            found.setdefault(item.id, item)
        return list(found.values())

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Give the share of eight letters e that are there."""
        return [self._verdict(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Pass what has no digit."""
        digits = [any(letter.isdigit() for letter in answer.text) for answer in answers]
        return [Verdict(score=float(not found), reason="There are digits.") for found in digits]

    def _verdict(self, item: Item, answer: Answer) -> Verdict:
        last = item.prompt[-1]
        if last in self.unscored:
            return unscored("Nobody knows.")
        count = 0 if last in self.silent else answer.text.count("e")
        return Verdict(score=min(1.0, count / WANTED), reason=f"{count} of {WANTED} letters e.")
