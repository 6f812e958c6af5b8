"""A form's fields as a response, a response as fields, and each fault beside the field that it is about.

Fields are named by place, not by what people call a scale or label: ``score-0``, ``place-1``, ``mark-2-words``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import (
    Choice,
    Correction,
    Labels,
    Ranking,
    Rating,
    Response,
    Span,
    Spans,
    Writing,
    check_response,
)
from tutelage.annotation.work import ChooseWork, LabelWork, RankWork, RateWork, SpansWork, Work
from tutelage.errors import DataError, Problem
from tutelage.studio.marks import as_seen, stretch_of, words_at

DAY_S = 86_400
NEITHER = "neither"
NONE = "none"
DRAFT = "form"
_OURS = re.compile(
    r"text|comment|better|label|seconds|(score|place)-\d{1,4}|mark-\d{1,3}-(words|which|label|reason|drop)"
)


@dataclass(frozen=True, slots=True)
class Fields:
    """What stands in a form, by the name of the field; one that was sent several times has several values."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """Return the value of a field, or nothing."""
        return self.values.get(name, ("",))[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field."""
        return self.values.get(name, ())

    @property
    def marks(self) -> list[int]:
        """The numbers of the rows of marks that say something (a label alone is nothing) and are not to be dropped."""
        numbers = {int(name.split("-")[1]) for name in self.values if name.startswith("mark-")}
        return sorted(
            number
            for number in numbers
            if not self.one(f"mark-{number}-drop")
            and any(self.one(f"mark-{number}-{name}").strip() for name in ("words", "reason"))
        )

    def draft(self) -> JsonValue:
        """Return the fields as a draft, without the rows of marks that say nothing or are to be dropped."""
        rows = {f"mark-{number}-" for number in self.marks}
        held: dict[str, JsonValue] = {name: [*values] for name, values in self.values.items()}
        return {DRAFT: {n: v for n, v in held.items() if not n.startswith("mark-") or n[: n.rindex("-") + 1] in rows}}

    @property
    def words(self) -> list[str]:
        """Whatever was typed."""
        names = [name for name in self.values if name in ("text", "comment") or name.endswith(("-words", "-reason"))]
        return [words for name in names if (words := self.one(name)).strip()]

    @property
    def seconds(self) -> float | None:
        """How long the person worked on it, as the script counted; None: unknown."""
        text = self.one("seconds")
        return float(text) if re.fullmatch(r"\d{1,5}", text) and int(text) <= DAY_S else None


class Unfit(Exception):
    """What keeps a form from being a response: ``faults`` by the field that they are about (``""``: the form)."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults.values()))


def own_fields(sent: Mapping[str, tuple[str, ...]]) -> Fields:
    """Return those fields of a request that are a response's, with line breaks as ``\\n``."""
    return Fields(
        {name: tuple(as_seen(value) for value in values) for name, values in sent.items() if _OURS.fullmatch(name)}
    )


def drafted(draft: JsonValue) -> Fields | None:
    """Return the fields that a draft of this page holds; None for a draft of another program."""
    held = draft.get(DRAFT) if isinstance(draft, dict) else None
    if not isinstance(held, dict):
        return None
    return own_fields(
        {name: tuple(str(one) for one in values) for name, values in held.items() if isinstance(values, list)}
    )


def fields_of(work: Work, item: WorkItem, response: Response | None) -> Fields:
    """Return the fields that say a response; of none, those of an untouched form."""
    made: dict[str, tuple[str, ...]] = {}
    match response:
        case None:
            made = {"text": (as_seen(item.answers[0].text),)} if work.kind == "correct" else {}
        case Writing(text=text) | Correction(text=text):
            made = {"text": (as_seen(text),)}
        case Rating(scores=scores):
            assert isinstance(work, RateWork)
            made = {f"score-{at}": (str(scores[scale.name]),) for at, scale in enumerate(work.scales)}
        case Ranking():
            made = {f"place-{at}": (str(1 + response.place(key)),) for at, key in enumerate(item.keys)}
        case Choice(better=better):
            made = {"better": (NEITHER if better is None else str(item.keys.index(better)),)}
        case Labels(labels=labels):
            assert isinstance(work, LabelWork)
            made = {"label": tuple(str(work.labels.index(label)) for label in labels) or (NONE,)}
        case Spans(spans=spans):
            assert isinstance(work, SpansWork)
            made = {"label": (NONE,)} if not spans else {}
            for at, span in enumerate(spans):
                words, which = words_at(item.marked(work.of), span.start, span.end)
                values = (words, str(which), str(work.labels.index(span.label)), span.reason)
                made |= {
                    f"mark-{at}-{name}": (as_seen(value),)
                    for name, value in zip(("words", "which", "label", "reason"), values, strict=True)
                }
    if response is not None and response.comment:
        made["comment"] = (as_seen(response.comment),)
    return Fields(made)


def response_of(work: Work, item: WorkItem, fields: Fields) -> Response:
    """Return what a form says. Raises :class:`Unfit` with all that is missing or does not fit."""
    faults: dict[str, str] = {}
    comment = fields.one("comment")
    found: Response
    match work:
        case RateWork():
            found = Rating(scores=_scores(work, fields, faults), comment=comment)
        case RankWork():
            found = Ranking(order=_order(work, item, fields, faults), comment=comment)
        case ChooseWork():
            found = Choice(better=_better(work, item, fields, faults), comment=comment)
        case LabelWork():
            found = Labels(labels=_labels(work, fields, faults), comment=comment)
        case SpansWork():
            found = Spans(spans=_spans(work, item, fields, faults), comment=comment)
        case _ if work.kind == "correct":
            text, there = fields.one("text"), item.answers[0].text
            found = Correction(text=there if text == as_seen(there) else text, comment=comment)
        case _:
            found = Writing(text=fields.one("text"), comment=comment)
    try:
        check_response(work, item, found)
    except DataError as error:
        for problem in error.problems:
            if problem.where != "order" or not faults:
                faults.setdefault(_field_of(work, problem), in_words(problem))
    if faults:
        raise Unfit(faults)
    return found


def _scores(work: RateWork, fields: Fields, faults: dict[str, str]) -> dict[str, int]:
    found = {}
    for at, scale in enumerate(work.scales):
        value = fields.one(f"score-{at}").strip()
        number = _whole(value)
        if number is not None:
            found[scale.name] = number
        elif value:
            faults[f"score-{at}"] = f"Expected a whole number from {scale.low} to {scale.high}, not {value[:20]!r}."
    return found


def _order(work: RankWork, item: WorkItem, fields: Fields, faults: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """The answers by place. Places may be left out: 1, 1, 3 is 1, 1, 2."""
    places: dict[int, list[str]] = {}
    for at, key in enumerate(item.keys):
        value = fields.one(f"place-{at}").strip()
        number = _whole(value)
        if number is None or not 1 <= number <= len(item.keys):
            wrong = f", not {value[:20]!r}" if value else ""
            faults[f"place-{at}"] = f"Give this answer a place from 1 (best) to {len(item.keys)}{wrong}."
            continue
        if number in places and not work.ties:
            faults[f"place-{at}"] = f"Another answer has place {number} already: no two may share one."
        places.setdefault(number, []).append(key)
    return tuple(tuple(places[place]) for place in sorted(places))


def _better(work: ChooseWork, item: WorkItem, fields: Fields, faults: dict[str, str]) -> str | None:
    value = fields.one("better")
    number = _whole(value)
    if number is not None and 0 <= number < len(item.keys):
        return item.keys[number]
    if value != NEITHER or not work.ties:
        faults["better"] = "Choose the better answer" + (", or say that neither is." if work.ties else ".")
    return None


def _labels(work: LabelWork, fields: Fields, faults: dict[str, str]) -> tuple[str, ...]:
    values = fields.all("label")
    numbers = [number for value in values if (number := _whole(value)) is not None]
    chosen = tuple(work.labels[number] for number in numbers if 0 <= number < len(work.labels))
    if not chosen and not (work.several and NONE in values):
        faults["label"] = "Choose those that apply, or say that none does." if work.several else "Choose one."
    elif chosen and NONE in values:
        faults["label"] = "Labels are chosen, and that none applies: only one of both can be."
    return chosen


def _spans(work: SpansWork, item: WorkItem, fields: Fields, faults: dict[str, str]) -> tuple[Span, ...]:
    text, found, rows = item.marked(work.of), [], fields.marks
    for number in rows:
        words, label = fields.one(f"mark-{number}-words"), _whole(fields.one(f"mark-{number}-label"))
        which = _whole(fields.one(f"mark-{number}-which") or "1")
        place = None if which is None else stretch_of(text, words, which)
        if place is None:
            once = "as often as that" if which != 1 and stretch_of(text, words, 1) else "there exactly so"
            faults[f"mark-{number}-words"] = f"These words do not stand {once}. Copy them from the text."
        if label is None or not 0 <= label < len(work.labels):
            faults[f"mark-{number}-label"] = "Choose a label."
        if work.reasons and not fields.one(f"mark-{number}-reason").strip():
            faults[f"mark-{number}-reason"] = "Say why it is marked."
        elif place is not None and label is not None and 0 <= label < len(work.labels):
            reason = fields.one(f"mark-{number}-reason")
            found.append(Span(start=place[0], end=place[1], label=work.labels[label], reason=reason))
    if not rows and NONE not in fields.all("label"):
        faults["label"] = "Mark what is asked for, or say that there is nothing to mark."
    elif rows and NONE in fields.all("label"):
        faults["label"] = "There are marks, and it is said that there is nothing to mark: only one of both can be."
    return tuple(found)


def _field_of(work: Work, problem: Problem) -> str:
    """The field that a fault of the store is about."""
    head, _, rest = problem.where.partition(".")
    if head == "scores" and isinstance(work, RateWork):
        names = [scale.name for scale in work.scales]
        return f"score-{names.index(rest)}" if rest in names else ""
    return {"text": "text", "better": "better", "labels": "label", "order": "order", "spans": "label"}.get(head, "")


def in_words(problem: Problem) -> str:
    """Return a fault of the store in sentences."""
    parts = [problem.what, problem.remedy]
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in parts if part)


def _whole(text: str) -> int | None:
    """The whole number that a text is."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text) else None
