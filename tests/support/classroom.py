"""Lessons without a model: a one-word task, answers as written beforehand, and who gives them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.sampling import Asker, Sampler
from tutelage.events import silent
from tutelage.recipe.construct import ConstructSection
from tutelage.records import Answer, Example, Item, Level, Request, Split, Verdict, user
from tutelage.tasks import Task

Script = Mapping[str, Sequence[str | Answer]]
"""Who says what: under ``item/stage``, or ``stage`` where there is one item, the first sample, the second, …"""

CUT = "length"


class Shout:
    """Say the word in capitals."""

    name = "shout"
    dimension = "instruction_following"
    levels: tuple[Level, ...] = ("basic", "advanced")

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        return [shout(f"{level}{seed % 1000}x{number}", level, split) for number in range(n)]

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [self._verdict(item, answer.text) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        raise AssertionError("construct must never see the audit")

    @staticmethod
    def _verdict(item: Item, text: str) -> Verdict:
        if text == "?":
            return Verdict(score=None, reason="Nobody could judge it.")
        right = str(item.reference)
        return Verdict(score=float(text.strip().split(" ")[0] == right), reason=f"{text!r} should begin with {right}.")


def shout(word: str, level: Level = "basic", split: Split = "train", facet: str = "") -> Item:
    """The item that asks to say ``word`` in capitals."""
    return Item(
        id=f"id-{word}",
        task="shout",
        dimension="instruction_following",
        level=level,
        split=split,
        messages=(user(f"Shout {word}."),),
        group=word,
        facet=facet,
        reference=word.upper(),
    )


def answered(text: str, finish: str = "stop", tokens: int = 5) -> Answer:
    return Answer.model_validate(
        {"request_id": "", "text": text, "finish": finish, "prompt_tokens": 10, "completion_tokens": tokens}
    )


def asker(script: Script, name: str = "student") -> Asker:
    """One who answers as written."""

    def reply(request: Request) -> str | Answer:
        word, stage, number = request.id.removeprefix("id-").split("/")
        answers = script[stage] if stage in script else script[f"{word}/{stage}"]
        return answers[int(number)]

    return Asker(open=lambda: ScriptedCompleter(reply), name=name)


def sampler(folder: Path, task: Task | None = None, **settings: object) -> Sampler:
    """Of the second round, for one task; references stay unused unless ``settings`` say otherwise."""
    task = task or Shout()
    section = ConstructSection.model_validate({"references": False, **settings})
    return Sampler(folder, section, {task.name: task}, seed=7, round=2, chunk=4, emit=silent)


def lesson(
    items: Sequence[Item],
    asking: Sampler,
    script: Script,
    *,
    taught_by: Script | None = None,
    samples: int = 2,
    revisions: int = 1,
    drafts: int = 0,
) -> Taught:
    """A lesson an item; without ``taught_by`` nobody helps the student."""
    return teach(
        items,
        asking,
        student=asker(script),
        teacher=asker(taught_by, "teacher") if taught_by is not None else None,
        contexts={},
        samples=samples,
        revisions=revisions,
        drafts=drafts,
    )


def kept_text(rows: Sequence[Example]) -> list[str]:
    return [row.target.text for row in rows]
