"""A response in words, for people: what is in the store beside what they typed, and what others said."""

from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import Response
from tutelage.annotation.work import LabelWork, RankWork, RateWork, SpansWork, Work
from tutelage.studio.forms import NEITHER, NONE, Fields, fields_of

Line = tuple[str, str]
"""What is asked, and what is said of it."""

DOING = {
    "write": "Write an answer",
    "correct": "Put the answer right",
    "rate": "Rate the answer",
    "rank": "Put the answers in order",
    "choose": "Choose the better answer",
    "label": "Choose a label",
    "spans": "Mark the text",
}
VOICES = {"user": "Question", "assistant": "Assistant", "system": "Setting", "tool": "Tool"}


def letter(at: int) -> str:
    """Return the name of the ``at``-th answer, as people see it: A, B, ..., Z, AA."""
    return (letter(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)


def said(work: Work, item: WorkItem, response: Response) -> list[Line]:
    """Return a response in words."""
    return typed(work, item, fields_of(work, item, response))


def typed(work: Work, item: WorkItem, fields: Fields) -> list[Line]:
    """Return what stands in a form in words; nothing where the form is untouched."""
    lines: list[Line] = []
    match work:
        case RateWork(scales=scales):
            lines = [(scale.name, fields.one(f"score-{at}")) for at, scale in enumerate(scales)]
        case RankWork():
            lines = [(f"Place of answer {letter(at)}", fields.one(f"place-{at}")) for at in range(len(item.keys))]
        case LabelWork(labels=labels):
            lines = [("Labels", ", ".join(_named(labels, value) for value in fields.all("label")))]
        case SpansWork(labels=labels):
            lines = [("Marks", "nothing to mark")] if NONE in fields.all("label") else []
            for at in fields.marks:
                label, reason = _named(labels, fields.one(f"mark-{at}-label")), fields.one(f"mark-{at}-reason")
                words = fields.one(f"mark-{at}-words")
                lines.append((label or "no label", f"“{words}”{': ' if reason else ''}{reason}"))
        case _ if work.kind == "choose":
            value = fields.one("better")
            lines = [("Better", "neither" if value == NEITHER else _answer(value))]
        case _:
            lines = [("Answer", fields.one("text"))]
    return [line for line in [*lines, ("Remark", fields.one("comment"))] if line[1]]


def _named(labels: tuple[str, ...], value: str) -> str:
    if value.isdecimal() and int(value) < len(labels):
        return labels[int(value)]
    return "none applies" if value == NONE else ""


def _answer(value: str) -> str:
    return f"answer {letter(int(value))}" if value.isdecimal() else ""
