"""Judges without a model: what they are asked is read back from the prompt, what they reply is a function of that."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.judging.judge import Court, Judge, Judged
from tutelage.judging.rubric import Criterion, Rubric
from tutelage.records import Answer, Item, Request, user

RUBRIC = Rubric((Criterion("truth", "It is right."), Criterion("clarity", "It is clear.")))
MARK = re.compile(r"every line that begins with \[([0-9a-f]{16})\]")


def material(prompt: str) -> dict[str, str]:
    """What a judge is shown, by its heading."""
    found = MARK.search(prompt)
    assert found, "it is a judge's prompt"
    parts = re.split(rf"^\[{found[1]}\] (.*)$", prompt, flags=re.MULTILINE)
    return {head.rstrip(":"): text.strip("\n") for head, text in zip(parts[1::2], parts[2::2], strict=True)}


def is_judging(prompt: str) -> bool:
    """Whether a judge is asked, and no teacher."""
    return MARK.search(prompt) is not None


def scores(**given: object) -> str:
    """A reply with a score for each criterion."""
    return json.dumps({name: {"reason": f"about {name}", "score": score} for name, score in given.items()})


def better(which: str, reason: str = "because") -> str:
    """A reply to a pair."""
    return json.dumps({"reason": reason, "better": which})


def by_words(prompt: str, names: Sequence[str] = ("truth", "clarity")) -> str:
    """A judge that likes words: as many as there are, at most 5; of two answers the one with more."""
    shown = material(prompt)
    if "Answer A" in shown:
        first, second = len(shown["Answer A"].split()), len(shown["Answer B"].split())
        return better("A" if first > second else "B" if second > first else "tie")
    count = len(shown["The answer to be judged"].split())
    return scores(**dict.fromkeys(names, max(1, min(5, count))))


def judge(reply: Callable[[str], str | Answer], *, rubric: Rubric = RUBRIC, retries: int = 1) -> Judge:
    """A judge that replies to a prompt as a function does."""

    def answer(request: Request) -> str | Answer:
        return reply(request.messages[-1].text)

    return Judge(open=lambda: ScriptedCompleter(answer, name="wise"), name="wise", rubric=rubric, retries=retries)


def item(name: str = "ant", reference: str | None = None) -> Item:
    """An item without a check."""
    return Item(
        id=f"id-{name}",
        task="free",
        dimension="utility",
        level="basic",
        split="train",
        messages=(user(f"Tell me about the {name}."),),
        group=name,
        reference=reference,
    )


def answers(*texts: str, of: Item | None = None) -> list[Judged]:
    """Answers to one item."""
    of = of or item()
    return [Judged(f"{of.id}/{number}", of, text) for number, text in enumerate(texts)]


def court(folder: Path, label: str = "judged") -> Court:
    """Where it is judged."""
    return Court(folder, label)
