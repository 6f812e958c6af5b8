"""A writer without a model for back-translation: what it is asked is read back from the prompt."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from support.ordering import drawn, sentence, worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.sampling import Asker
from tutelage.records import Answer, Request

Change = Callable[[str, str, Request], str | Answer | None]
"""Says something else in place of a good writer: by kind of the question, the text in it, and the request."""


def kind_of(prompt: str) -> str:
    """What is asked for: a request, or a grade."""
    return "request" if prompt.startswith("People asked an AI assistant") else "grade"


def text_in(prompt: str) -> str:
    """The text that a question is about."""
    head = "The last answer:" if kind_of(prompt) == "request" else "The answer to be judged:"
    return re.split(r"\n\[[0-9a-f]{16}\]", prompt.split(head, 1)[1])[0].strip()


def shown(prompt: str) -> list[tuple[str, str]]:
    """The seeds that are shown, answer first."""
    return [
        (answer.strip(), json.loads(reply)["request"])
        for answer, reply in re.findall(
            r"\] An answer:\n(.*?)\n\[\w{16}\] It ends here. The request was:\n(.*?)\n\n?\[", prompt, re.DOTALL
        )
    ]


def reply(prompt: str) -> str:
    """What a good writer says; it likes every text."""
    if kind_of(prompt) == "request":
        return json.dumps({"request": f"Explain to me how one might {sentence(drawn(text_in(prompt)))}."})
    return json.dumps({"reason": "It helps.", "score": 5})


def humpback(change: Change | None = None, told: list[Request] | None = None, name: str = "whale") -> Asker:
    """The writer; ``told`` gets what it was asked."""

    def answer(asked: Request) -> str | Answer:
        prompt = asked.messages[0].text
        if told is not None:
            told.append(asked)
        other = change(kind_of(prompt), text_in(prompt), asked) if change is not None else None
        return other if isinstance(other, Answer) else worded(reply(prompt) if other is None else other)

    return Asker(lambda: ScriptedCompleter(answer, name=name), name=name)


def handbook(folder: Path, number: int = 6) -> list[str]:
    """A folder ``docs`` with one document of so many passages, one a heading; the passages' first words."""
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    parts = []
    for place in range(number):
        draw = drawn(f"passage {place}")
        said = ". ".join(f"On day {at} we {sentence(draw)}" for at in range(1, 6))
        parts.append(f"# Part {place}\n\n{said}.")
    (folder / "docs" / "handbook.md").write_text("\n\n".join(parts) + "\n")
    return [f"Part {place}" for place in range(number)]
