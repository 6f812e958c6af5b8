"""A student without a model that writes tasks of its own: what it is asked is read back from the prompt."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from support.ordering import THINGS, drawn, sentence, worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.sampling import Asker
from tutelage.records import Answer, Request
from tutelage.records.jsonl import write_records
from tutelage.records.seed_tasks import Instance, SeedTask

Change = Callable[[str, Request], str | Answer | None]
MARKS = {
    "These are tasks that people gave": "tasks",
    "A task is classification if": "kind",
    "A task may need an input": "input_first",
    "Below are tasks that sort": "output_first",
    "You rewrite requests": "depth",
    "You invent requests": "breadth",
    "Two requests to an AI assistant": "equal",
}


def kind_of(prompt: str) -> str:
    """What a prompt asks for; an answer, if it is none of ours."""
    return next((kind for mark, kind in MARKS.items() if prompt.startswith(mark)), "answer")


def shown(prompt: str) -> list[str]:
    """The instructions that a request for new ones shows."""
    return re.findall(r"^- (.*)$", prompt.split("Think of", 1)[0], re.MULTILINE)


def last_task(prompt: str) -> str:
    """The task that is asked about."""
    return re.findall(r"^Task: (.*)$", prompt, re.MULTILINE)[-1]


def reply(prompt: str) -> str:
    """What a good student says."""
    draw = drawn(prompt)
    match kind_of(prompt):
        case "tasks":
            number = int(re.findall(r"Think of (\d+)", prompt)[0])
            said = [f"{draw.choice(['Sort', 'Say'])} what it takes to {sentence(draw)}." for _ in range(number)]
            return json.dumps({"instructions": said})
        case "kind":
            return json.dumps({"classification": last_task(prompt).startswith("Sort")})
        case "input_first":
            number = int(re.findall(r"Write (\d+) of them", prompt)[0])
            made = [{"input": f"I {sentence(draw)}.", "output": f"Then {sentence(draw)}."} for _ in range(number)]
            return json.dumps({"instances": made})
        case "output_first":
            number = int(re.findall(r"Write (\d+) of them", prompt)[0])
            labels = draw.sample(THINGS, number)
            return json.dumps({"instances": [{"label": one, "input": f"I {sentence(draw)}."} for one in labels]})
        case "depth" | "breadth":
            return json.dumps({"request": f"Explain step by step how to {sentence(draw)}, and to {sentence(draw)}."})
        case "equal":
            return json.dumps({"equal": False})
        case _:
            return f"First {sentence(draw)}. Then {sentence(draw)}."


def pupil(change: Change | None = None, told: list[Request] | None = None, name: str = "pupil") -> Asker:
    """The student; ``change`` may say something else in its place, by the kind of the prompt; ``told`` gets what it was
    asked."""

    def answer(asked: Request) -> str | Answer:
        prompt = asked.messages[0].text
        if told is not None:
            told.append(asked)
        other = change(kind_of(prompt), asked) if change is not None else None
        return other if isinstance(other, Answer) else worded(reply(prompt) if other is None else other)

    return Asker(lambda: ScriptedCompleter(answer, name=name), name=name)


def seed_file(path: Path, number: int = 12) -> Path:
    """A file of seed tasks, every third of them classification."""
    tasks = []
    for place in range(number):
        draw = drawn(f"seed {place}")
        sorts = place % 3 == 0
        instance = Instance(input=f"We {sentence(draw)}.", output="yes" if sorts else f"They {sentence(draw)}.")
        tasks.append(
            SeedTask(
                id=f"seed_{place}",
                name=f"task_{place}",
                instruction=f"{'Decide whether' if sorts else 'Describe how'} we {sentence(draw)}.",
                instances=(instance,),
                is_classification=sorts,
            )
        )
    write_records(path, tasks)
    return path
