"""Argilla's questions as kinds of work, and values of its responses as ours.

| questions | work |
|---|---|
| ``rating``, one or several | rate, a scale each |
| ``label_selection`` | choose, where its labels are two answers (and ``tie``); else label |
| ``multi_label_selection`` | label, several |
| ``ranking`` | rank; its options are the names of the fields with the answers |
| ``span`` | spans |
| ``text`` | correct where every record suggests a text, else write |

A second ``text`` question that is not required takes comments. What else a data set asks has no place in one kind of
work and is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tutelage.annotation.bundle import Bundle
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
)
from tutelage.annotation.work import (
    ChooseWork,
    CorrectWork,
    LabelWork,
    RankWork,
    RateWork,
    Scale,
    SpansWork,
    Work,
    WriteWork,
)
from tutelage.errors import DataError, Problem
from tutelage.records import Conversation
from tutelage.records.importers.turns import message_of
from tutelage.records.messages import system, user

QUESTION, BEFORE, ANSWER, COMMENT, TIE = "question", "before", "answer_", "comment", "tie"
ANSWER_FIELDS = ("answer", "response", "completion", "output", "reply")

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which question is the work, and which field has what. ``answers``: fields by the keys of answers.

    ``marked``: the field whose stretches are marked, where it is one of ``question_fields``.
    """

    work: Work
    names: tuple[str, ...]
    comment: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    question_fields: tuple[str, ...] = ()
    marked: str = ""

    @property
    def text(self) -> str:
        """The name of the only question."""
        return self.names[0]

    def asked(self, values: Mapping[str, Any]) -> bool:
        """Whether a response says something beside a comment."""
        return any(values.get(name) is not None for name in self.names)

    def messages_of(self, fields: Mapping[str, Any]) -> Conversation:
        """Return the fields that ask, as a conversation; what is marked is a message of its own, the last."""
        texts, marked = [], ""
        before: Conversation = ()
        for name in self.question_fields:
            value = fields.get(name)
            if isinstance(value, list):
                turns = tuple(message_of(turn, f"fields.{name}.{at}") for at, turn in enumerate(value))
                if not self.marked:
                    return turns
                before += turns
            elif value not in (None, "") and name == self.marked:
                marked = str(value)
            elif value not in (None, ""):
                texts.append(str(value))
        if not self.marked:
            return (user("\n\n".join(texts)),)
        return (*((system("\n\n".join(texts)),) if texts else ()), *before, user(marked))

    def values_of(self, item: WorkItem, response: Response) -> Values:
        """Return a response as Argilla's values by question."""
        place = {key: f"{ANSWER}{at}" for at, key in enumerate(item.keys, start=1)}
        place |= {key: key for key in item.keys if key in self.answers}
        made: Values
        match response:
            case Rating(scores=scores):
                made = {name: scores[scale.name] for name, scale in zip(self.names, _scales(self.work), strict=True)}
            case Choice(better=better):
                made = {self.text: TIE if better is None else place[better]}
            case Labels(labels=labels):
                several = isinstance(self.work, LabelWork) and self.work.several
                made = {self.text: list(labels) if several else labels[0]}
            case Ranking(order=order):
                ranks, rank = [], 1
                for group in order:
                    ranks += [{"value": place[key], "rank": rank} for key in group]
                    rank += len(group)
                made = {self.text: ranks}
            case Spans(spans=spans):
                made = {self.text: [{"start": one.start, "end": one.end, "label": one.label} for one in spans]}
            case Writing(text=text) | Correction(text=text):
                made = {self.text: text}
        if response.comment and self.comment:
            made[self.comment] = response.comment
        return made

    def response_of(self, item: WorkItem, values: Mapping[str, Any]) -> Response:
        """Return Argilla's values as a response; raises :class:`DataError` for what is missing or unknown."""
        missing = [name for name in self.names if values.get(name) is None]
        if missing:
            raise DataError("response", [Problem("a question has no answer", name) for name in missing])
        comment = str(values.get(self.comment) or "")
        keys = {f"{ANSWER}{at}": key for at, key in enumerate(item.keys, start=1)} | {
            key: key for key in self.answers if key in item.keys
        }
        value = values[self.text]
        match self.work:
            case RateWork(scales=scales):
                scores = {scale.name: values[name] for scale, name in zip(scales, self.names, strict=True)}
                return Rating(scores=scores, comment=comment)
            case ChooseWork():
                return Choice(better=None if value == TIE else keys.get(value, value), comment=comment)
            case LabelWork():
                return Labels(labels=tuple(value) if isinstance(value, list) else (value,), comment=comment)
            case RankWork():
                groups: dict[int, list[str]] = {}
                for at, one in enumerate(value, start=1):
                    groups.setdefault(one.get("rank") or at, []).append(keys.get(one["value"], one["value"]))
                return Ranking(order=tuple(tuple(group) for _, group in sorted(groups.items())), comment=comment)
            case SpansWork():
                spans = tuple(Span(start=one["start"], end=one["end"], label=one["label"]) for one in value)
                return Spans(spans=spans, comment=comment)
            case CorrectWork():
                return Correction(text=value, comment=comment)
            case WriteWork():
                return Writing(text=value, comment=comment)


def plan_of(settings: Mapping[str, Any], where: str, *, has_answers: bool) -> Plan:
    """Return what a data set asks as one kind of work. ``has_answers``: every record suggests a text.

    Raises :class:`DataError` by the name of each question that has no place in it.
    """
    questions = {str(one["name"]): one for one in settings.get("questions") or []}
    fields = {str(one["name"]): one["settings"].get("type", "text") for one in settings.get("fields") or []}
    kinds = {name: one["settings"]["type"] for name, one in questions.items()}
    loose = [name for name, kind in kinds.items() if kind == "text" and questions[name].get("required") is False]
    comment = loose[0] if len(loose) == 1 and len(kinds) > 1 else ""
    rest = {name: kind for name, kind in kinds.items() if name != comment}
    problems = []
    if not rest or (len(rest) > 1 and set(rest.values()) != {"rating"}):
        remedy = "make a data set of each; only ratings go together, and one text that is not required, for comments"
        problems = [
            Problem("these questions are no one kind of work", name, kind, remedy) for name, kind in rest.items()
        ]
        problems = problems or [Problem("the data set asks nothing", "questions")]
    known = {"text", "chat"}
    problems += [
        Problem("a field of this type cannot be shown", name, kind, "leave it out")
        for name, kind in fields.items()
        if kind not in known
    ]
    if problems:
        raise DataError(where, problems)
    first = questions[next(iter(rest))]["settings"]
    options = [str(one["value"]) for one in first.get("options") or []]
    candidates = [name for name in options if name in fields]
    if not candidates and len(fields) > 1:
        candidates = [name for name in fields if name in ANSWER_FIELDS or name.startswith(ANSWER)]
    try:
        work = _work(rest, questions, options=options, candidates=candidates, has_answers=has_answers)
    except ValueError as error:
        raise DataError(where, [Problem(str(error), next(iter(rest)))]) from error
    asks = tuple(name for name in fields if name not in candidates)
    field_of = str(first.get("field") or "")
    marked = field_of if isinstance(work, SpansWork) and field_of in asks else ""
    if marked and fields[marked] != "text":
        remedy = "mark a field of text: its turns have no characters in common"
        raise DataError(where, [Problem("marks are in a field that is no text", marked, fields[marked], remedy)])
    return Plan(work, tuple(rest), comment, {name: name for name in candidates}, asks, marked)


def _work(
    rest: Mapping[str, str],
    questions: Mapping[str, Any],
    *,
    options: list[str],
    candidates: list[str],
    has_answers: bool,
) -> Work:
    name, kind = next(iter(rest.items()))
    if kind == "rating":
        return RateWork(scales=tuple(_scale(questions[one]) for one in rest))
    if kind == "label_selection" and len(candidates) == 2 and set(options) <= {*candidates, TIE}:
        return ChooseWork(ties=TIE in options)
    if kind in ("label_selection", "multi_label_selection"):
        return LabelWork(labels=tuple(options), several=kind != "label_selection")
    if kind == "ranking":
        if len(candidates) < len(options):
            raise ValueError("the options of a ranking must be names of fields that have the answers")
        return RankWork()
    if kind == "span":
        marked = questions[name]["settings"].get("field")
        return SpansWork(labels=tuple(options), of="answer" if marked in candidates else "question", reasons=False)
    return CorrectWork() if has_answers else WriteWork()


def marks_question(work: Work) -> bool:
    """Whether stretches of the question are marked."""
    return isinstance(work, SpansWork) and work.of == "question"


def settings_of(bundle: Bundle) -> Values:
    """Return fields and questions for a project that was made here."""
    work, most = bundle.project.work, max((len(item.answers) for item in bundle.items), default=0)
    fields = _question_fields(bundle)
    shown = 0 if work.kind == "correct" else most
    least = min((len(item.answers) for item in bundle.items), default=0)
    for at in range(1, shown + 1):
        fields.append(_named(f"{ANSWER}{at}", {"type": "text", "use_markdown": False}, required=at <= least))
    places = [f"{ANSWER}{at}" for at in range(1, most + 1)]
    match work:
        case RateWork(scales=scales):
            questions = [
                _named(f"scale_{at}", _options("rating", range(one.low, one.high + 1)), title=one.question or one.name)
                for at, one in enumerate(scales, start=1)
            ]
        case ChooseWork(ties=ties):
            questions = [_named("choice", _options("label_selection", [*places, *([TIE] if ties else [])]))]
        case LabelWork(labels=labels, several=several):
            kind = "multi_label_selection" if several else "label_selection"
            questions = [_named("label", _options(kind, labels))]
        case RankWork():
            questions = [_named("ranking", _options("ranking", places))]
        case SpansWork(labels=labels, of=of):
            spans = {**_options("span", labels), "allow_overlapping": True}
            questions = [_named("marks", {**spans, "field": f"{ANSWER}1" if of == "answer" else QUESTION})]
        case _:
            questions = [_named("text", {"type": "text", "use_markdown": False})]
    questions.append(_named(COMMENT, {"type": "text", "use_markdown": False}, required=False))
    return {
        "guidelines": bundle.project.guidelines or None,
        "questions": questions,
        "fields": fields,
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": bundle.project.overlap},
        "mapping": None,
    }


def _question_fields(bundle: Bundle) -> list[Values]:
    """All turns as a chat; where the question is marked, it is a text of its own, for offsets count in that alone."""
    if not marks_question(bundle.project.work):
        return [_named(QUESTION, {"type": "chat", "use_markdown": False})]
    fields = [_named(QUESTION, {"type": "text", "use_markdown": False})]
    if any(len(item.messages) > 1 for item in bundle.items):
        fields.insert(0, _named(BEFORE, {"type": "chat", "use_markdown": False}, required=False))
    return fields


def _named(name: str, settings: Values, *, required: bool = True, title: str = "") -> Values:
    return {"name": name, "title": title or name, "required": required, "settings": settings}


def _options(kind: str, values: Any) -> Values:
    texted = kind != "rating"
    return {"type": kind, "options": [{"value": one, "text": str(one)} if texted else {"value": one} for one in values]}


def _scale(question: Mapping[str, Any]) -> Scale:
    values = sorted(int(one["value"]) for one in question["settings"]["options"])
    if values != list(range(values[0], values[-1] + 1)):
        raise ValueError(f"the values of {question['name']} leave out some: {values}")
    title = str(question.get("title") or "")
    name = str(question["name"])
    return Scale(name=name, low=values[0], high=values[-1], question=title if title != name else "")


def _scales(work: Work) -> tuple[Scale, ...]:
    assert isinstance(work, RateWork)
    return work.scales
