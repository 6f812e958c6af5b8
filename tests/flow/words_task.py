"""A task for flow tests: short prompts, and a check that a model of random weights passes now and then."""

from collections.abc import Sequence

from tutelage.records import Answer, Demonstration, Item, Level, Split, Verdict, content_id, user
from tutelage.seeds import stream

LEVELS: tuple[Level, ...] = ("basic", "advanced")
WORDS: dict[Split, str] = {"train": "abcdefghijklm", "probe": "nop", "gate": "qrstu", "test": "vwxyz"}


class Words:
    """Say something with few vowels; ``advanced`` allows fewer."""

    name = "words"
    dimension = "utility"
    levels = LEVELS

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different prompts of letters that belong to the split alone."""
        found: dict[str, Item] = {}
        draw = stream(seed, split, level)
        while len(found) < n:
            word = "".join(draw.choices(WORDS[split], k=6))
            text = f"{'Say' if level == 'basic' else 'Write'} {word}."
            item = Item(
                id=content_id(text),
                task=self.name,
                dimension=self.dimension,
                level=level,
                split=split,
                messages=(user(text),),
                group=word[0],
                spec={"most": 20 if level == "basic" else 12},
            )
            found.setdefault(item.id, item)
        return list(found.values())

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Pass what has at most ``most`` vowels."""
        found: list[Verdict] = []
        for item, answer in zip(items, answers, strict=True):
            vowels = sum(letter in "aeiou" for letter in answer.text.casefold())
            passed = vowels <= int(str(item.spec["most"]))
            found.append(Verdict(score=float(passed), reason=f"{vowels} vowels; {item.spec['most']} were allowed."))
        return found

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Pass what has no digit."""
        return [
            Verdict(score=float(not any(letter.isdigit() for letter in answer.text)), reason="There are digits.")
            for answer in answers
        ]

    def demonstrations(self) -> list[Demonstration]:
        """Return three answers a level."""
        return [
            Demonstration(item=item, answer=f"{item.prompt.split()[1]} and the garden", author="project", minutes=1.0)
            for level in self.levels
            for item in self.items("train", level, 3, seed=99)
        ]
