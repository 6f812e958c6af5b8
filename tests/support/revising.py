"""A student and a teacher without a model that criticize, revise and reflect: what they do is a function of the subject
of the prompt."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Asker, Sampler
from tutelage.events import Emit, silent
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.records import Answer, Request
from tutelage.tasks.protocol import Task

PRINCIPLES = """
- id: kind
  principle: The answer is kind to animals of every sort and size.
  critique: Which words of the answer are unkind to the animal?
  revision: Say it in kind words.
- id: exact
  principle: The answer names a number.
  critique: Where is a number missing?
  revision: Add the number that is missing.
"""
GERMAN = "Das ist eine lange Antwort auf Deutsch, die niemand bestellt hat und die hier nicht stehen soll."


def prompt_about(subject: str) -> str:
    """A question whose language can be told."""
    return f"Please tell me in two sentences what people should know about the {subject} in their garden."


def subject_of(text: str) -> str:
    """What a prompt is about, "" for nothing known."""
    found = re.search(r"know about the (\w+) in", text)
    return found[1] if found else ""


def kind_of(request: Request) -> str:
    """What is asked: answer, critique, revision, instruction or response."""
    first, last = request.messages[0].text, request.messages[-1].text
    if first.startswith("You improve examples"):
        return "instruction" if "Reflect on the request first" in first else "response"
    if "Answer with one JSON object" in last or last.startswith("That answer cannot be used"):
        return "critique"
    return "revision" if "Write the whole answer to my request again" in last else "answer"


def said(text: str, finish: str = "stop", tokens: int = 10) -> Answer:
    """An answer that says how long it was."""
    return Answer.model_validate(
        {"request_id": "", "text": text, "finish": finish, "prompt_tokens": 50, "completion_tokens": tokens}
    )


def critique(fault: bool, text: str = "It calls the animal ugly.") -> str:
    """A critique in its form."""
    return json.dumps({"critique": text, "fault": fault})


def speaker(script: Mapping[str, str | Answer], name: str = "student", told: list[Request] | None = None) -> Asker:
    """One who says what ``script`` has under ``subject/kind/number of the step``, ``subject/kind`` or ``kind``."""

    def reply(request: Request) -> str | Answer:
        if told is not None:
            told.append(request)
        kind, step = kind_of(request), re.findall(r"-(\d)(?:/again/\d+)?$", request.id)
        subject = next(filter(None, (subject_of(message.text) for message in request.messages)), "")
        keys = [f"{subject}/{kind}/{step[0]}"] if step else []
        found = next(script[key] for key in (*keys, f"{subject}/{kind}", kind) if key in script)
        text = found if isinstance(found, Answer) else said(found)
        return text.model_copy(update={"text": text.text.replace("SUBJECT", subject)})

    return Asker(lambda: ScriptedCompleter(reply, name=name), name=name)


def sampler(
    folder: Path,
    tasks: Sequence[Task] = (),
    *,
    bench: Bench | None = None,
    round: int = 1,
    emit: Emit = silent,
    **keys: object,
) -> Sampler:
    """Of a round whose stage is the folder ``out``."""
    section = ConstructSection.model_validate(keys)
    named = {task.name: task for task in tasks}
    return Sampler(folder / "out", section, named, seed=5, round=round, chunk=4, emit=emit, bench=bench)


def bench(folder: Path, scores: Mapping[str, int], **keys: object) -> Bench:
    """A judge that gives an answer the score of the first of the words that it holds, else 1, of 5."""
    given = {"by": {"kind": "self"}, "criteria": {"truth": "It is right."}, "references": False, **keys}
    section = JudgeSection.model_validate(given)

    def judged(request: Request) -> str:
        text = request.messages[-1].text.split("The answer to be judged", 1)[1]
        score = next((score for word, score in scores.items() if word in text), 1)
        return json.dumps({"truth": {"reason": "so", "score": score}})

    judge = judge_of(section, open=lambda: ScriptedCompleter(judged, name="judge"), name="judge", again=False)
    return Bench(judge, section, folder / "out", 4, silent)


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows as JSON Lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
