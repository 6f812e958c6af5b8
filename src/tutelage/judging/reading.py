"""From a judge's reply to a verdict, or to the reason why it is none.

Strict on purpose: the whole reply, a code fence around it aside, is one JSON object. A judge that quotes the answer,
or an answer that brings a judgment of its own, then cannot pass for the judgment.
"""

import json
import math
import re
from typing import Literal

from pydantic import JsonValue

from tutelage.judging.rubric import LOW, Rubric
from tutelage.records import Answer, AnswerSchema
from tutelage.records.verdicts import CriterionScore

FORM = "json-1"
"""The form in which replies are read; another one is another judge."""
MOST_SHOWN = 120
Kind = Literal["never came", "empty", "refused", "unreadable", "off the scale", "not text"]
Better = Literal["A", "B", "tie"]

PREFERENCE = AnswerSchema(
    name="preference",
    json_schema={
        "type": "object",
        "properties": {"reason": {"type": "string"}, "better": {"type": "string", "enum": ["A", "B", "tie"]}},
        "required": ["reason", "better"],
        "additionalProperties": False,
    },
)
"""What :func:`read_better` reads, for servers that hold a model to it."""

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL | re.IGNORECASE)
_NO = re.compile(
    r"\s*(?:(?:i['’]m|i am)\s+(?:sorry|afraid|unable|not able)|sorry\b|"
    r"i\s+(?:can['’]t|cannot|can not|won['’]t|will not|must decline|decline|refuse))",
    re.IGNORECASE,
)


class Unreadable(ValueError):
    """A reply that is no verdict: its kind, and why."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind: Kind = kind
        self.why = why


def scores_schema(rubric: Rubric) -> AnswerSchema:
    """Return what :func:`read_scores` reads, for servers that hold a model to it."""
    names = [criterion.name for criterion in rubric.criteria]
    of_one: dict[str, JsonValue] = {
        "type": "object",
        "properties": {
            "reason": {"type": "string"},
            "score": {"type": "integer", "enum": [*range(LOW, rubric.high + 1)]},
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    return AnswerSchema(
        name="scores",
        json_schema={
            "type": "object",
            "properties": dict.fromkeys(names, of_one),
            "required": [*names],
            "additionalProperties": False,
        },
    )


def read_scores(reply: Answer, rubric: Rubric) -> tuple[CriterionScore, ...]:
    """Return the score of every criterion, in the order of the rubric. Raises :class:`Unreadable`."""
    found = _object(reply)
    _same_keys(found, [criterion.name for criterion in rubric.criteria])
    return tuple(_criterion(name, found[name], rubric) for name in (one.name for one in rubric.criteria))


def points_schema(low: int, high: int) -> AnswerSchema:
    """Return what :func:`read_points` reads, for servers that hold a model to it."""
    properties: dict[str, JsonValue] = {
        "reason": {"type": "string"},
        "score": {"type": "integer", "enum": [*range(low, high + 1)]},
    }
    return AnswerSchema(
        name="points",
        json_schema={
            "type": "object",
            "properties": properties,
            "required": [*properties],
            "additionalProperties": False,
        },
    )


def read_points(reply: Answer, low: int, high: int) -> tuple[int, str]:
    """Return the one score of a reply, from ``low`` to ``high``, and why. Raises :class:`Unreadable`."""
    found = _object(reply)
    _same_keys(found, ["reason", "score"])
    return _whole("the score", found["score"], low, high), _reason(found["reason"])


def read_better(reply: Answer) -> tuple[Better, str]:
    """Return which of two answers is the better one, and why. Raises :class:`Unreadable`."""
    found = _object(reply)
    _same_keys(found, ["reason", "better"])
    better, reason = found["better"], _reason(found["reason"])
    names: dict[str, Better] = {"a": "A", "b": "B", "tie": "tie"}
    if not isinstance(better, str) or better.strip().lower() not in names:
        raise Unreadable("off the scale", f"better is {_shown(better)}, neither A nor B nor tie")
    return names[better.strip().lower()], reason


def _criterion(name: str, value: object, rubric: Rubric) -> CriterionScore:
    if not isinstance(value, dict):
        raise Unreadable("unreadable", f"{name} is {_shown(value)}, no object with a reason and a score")
    _same_keys(value, ["reason", "score"], name)
    score = _whole(f"the score of {name}", value["score"], LOW, rubric.high)
    return CriterionScore(name=name, score=score, reason=_reason(value["reason"]))


def _whole(what: str, score: object, low: int, high: int) -> int:
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score) or score % 1:
        raise Unreadable("off the scale", f"{what} is {_shown(score)}, no whole number")
    if not low <= score <= high:
        raise Unreadable("off the scale", f"{what} is {_shown(score)}, not from {low} to {high}")
    return int(score)


def _object(reply: Answer) -> dict[str, object]:
    """The one JSON object that a reply is."""
    if reply.finish == "error":
        raise Unreadable("never came", reply.error or "no reason was given")
    text = reply.text.strip()
    if not text:
        raise Unreadable("empty", "the reply is empty")
    fenced = _FENCED.fullmatch(text)
    try:
        found = json.loads(
            fenced.group(1) if fenced else text, object_pairs_hook=_once, parse_constant=_no_number, strict=False
        )
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:  # also numbers of more digits than Python converts
        if _NO.match(text):
            raise Unreadable("refused", f"the judge will not: {_shown(text)}") from error
        cut = " and was cut off" if reply.finish == "length" else ""
        raise Unreadable("unreadable", f"the reply is no JSON object{cut}: {_shown(text)}") from error
    if not isinstance(found, dict):
        raise Unreadable("unreadable", f"the reply is no JSON object: {_shown(text)}")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("unreadable", "a key stands in the reply twice")
    return found


def _no_number(word: str) -> object:
    raise Unreadable("off the scale", f"{word} is no score")


def _same_keys(found: dict[str, object], wanted: list[str], of: str = "the reply") -> None:
    if found.keys() != set(wanted):
        raise Unreadable("unreadable", f"{of} has the keys {_shown(sorted(found))}, not {', '.join(wanted)}")


def _reason(value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable("unreadable", f"a reason is {_shown(value)}, no text")
    return " ".join(_writable(value).split())


def _shown(value: object) -> str:
    text = _writable(value if isinstance(value, str) else repr(value))
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def _writable(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can name and no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
