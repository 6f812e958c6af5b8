"""Label Studio's labeling configuration as a kind of work, and results of its annotations as responses.

| tags | work |
|---|---|
| ``Rating``, ``Number``, one or several | rate; a ``Number`` needs ``min`` and ``max`` |
| ``Pairwise`` | choose, with the two texts that it compares |
| ``Choices`` | choose, where its values are two answers (and ``tie``); else label |
| ``Number`` by the names ``place_1``, ``place_2``, … | rank: the place of each answer, ties allowed |
| ``Labels`` on a ``Text`` | spans; a ``TextArea`` for each region takes the reason |
| ``TextArea`` | correct where it starts with a value of the data, else write |

A further ``TextArea`` named ``comment`` takes comments. Other control tags have no place here and are refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

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

CONTROLS = {"Rating", "Number", "Pairwise", "Choices", "Labels", "TextArea"}
OBJECTS = {"Text", "HyperText", "Paragraphs", "Chat"}
LAYOUT = {"View", "Header", "Style", "Choice", "Label", "Collapse", "Panel", "Filter", "Shortcut"}
COMMENT, REASON, TIE, PLACE, BEFORE = "comment", "reason", "tie", "place_", "before"
MAX_STARS = 10
NOTHING = "nothing to mark"
"""The comment of an annotation without marks: Label Studio takes one without results for no annotation."""
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Controls:
    """The work, the names of its control tags, and what of the data is the question and which are answers by key.

    ``to_names``: the object that each control's results point to; ``question``: the key of the data that asks.
    """

    work: Work
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    to_names: tuple[str, ...]
    question: str
    answers: Mapping[str, str] = field(default_factory=dict)
    comment_to: str = ""

    def results_of(self, item: WorkItem, response: Response) -> list[Values]:
        """Return a response as the results of an annotation."""
        place = {key: f"answer_{at}" for at, key in enumerate(item.keys, start=1)}
        place |= {key: key for key in item.keys if key in self.answers}
        made: list[Values] = []
        match response:
            case Rating(scores=scores):
                assert isinstance(self.work, RateWork)
                for name, kind, scale in zip(self.names, self.kinds, self.work.scales, strict=True):
                    made.append(self._result(name, kind.lower(), {kind.lower(): scores[scale.name]}))
            case Choice(better=better):
                if self.kinds[0] == "Pairwise":
                    selected = ["left", "right"][item.keys.index(better)] if better is not None else None
                    made += [self._result(self.names[0], "pairwise", {"selected": selected})]
                else:
                    made += [self._result(self.names[0], "choices", {"choices": [place[better] if better else TIE]})]
            case Labels(labels=labels):
                made += [self._result(self.names[0], "choices", {"choices": list(labels)})]
            case Ranking(order=order):
                for at, group in enumerate(order, start=1):
                    for key in group:
                        name = PLACE + place[key].removeprefix("answer_")
                        made.append(self._result(name, "number", {"number": at}))
            case Spans(spans=spans):
                text = item.marked(self.work.of) if isinstance(self.work, SpansWork) else ""
                for at, one in enumerate(spans):
                    made += self._marks(text, f"mark-{at}", one)
                made = made or [self._comment(response.comment or NOTHING)]
            case Writing(text=text) | Correction(text=text):
                made += [self._result(self.names[0], "textarea", {"text": [text]})]
        if response.comment and made[-1]["from_name"] != COMMENT:
            made.append(self._comment(response.comment))
        return made

    def response_of(self, item: WorkItem, results: list[Values]) -> Response:
        """Return results as a response; raises :class:`DataError` for what is missing, ``KeyError`` and the like."""
        said: dict[str, Values] = {one["from_name"]: one["value"] for one in results}
        comment = "\n".join(said[COMMENT]["text"]) if COMMENT in said else ""
        missing = [name for name in self.names if name not in said]
        if isinstance(self.work, SpansWork):
            return Spans(spans=self._spans(item, results), comment="" if comment == NOTHING else comment)
        if isinstance(self.work, RankWork):
            missing = [f"{PLACE}{at}" for at in range(1, len(item.answers) + 1) if f"{PLACE}{at}" not in said]
        if missing:
            raise DataError("result", [Problem("a control has no value", name) for name in missing])
        keys = {f"answer_{at}": key for at, key in enumerate(item.keys, start=1)} | {
            key: key for key in self.answers if key in item.keys
        }
        first = said.get(self.names[0], {})
        match self.work:
            case RateWork(scales=scales):
                scores = {
                    scale.name: said[name][kind.lower()]
                    for scale, name, kind in zip(scales, self.names, self.kinds, strict=True)
                }
                return Rating(scores=scores, comment=comment)
            case ChooseWork() if self.kinds[0] == "Pairwise":
                selected = first.get("selected")
                better = item.keys[["left", "right"].index(selected)] if selected else None
                return Choice(better=better, comment=comment)
            case ChooseWork():
                [chosen] = first["choices"]
                return Choice(better=None if chosen == TIE else keys.get(chosen, chosen), comment=comment)
            case LabelWork():
                return Labels(labels=tuple(first["choices"]), comment=comment)
            case RankWork():
                groups: dict[int, list[str]] = {}
                for at, key in enumerate(item.keys, start=1):
                    groups.setdefault(int(said[f"{PLACE}{at}"]["number"]), []).append(key)
                return Ranking(order=tuple(tuple(group) for _, group in sorted(groups.items())), comment=comment)
            case CorrectWork():
                return Correction(text="\n".join(first["text"]), comment=comment)
            case _:
                return Writing(text="\n".join(first["text"]), comment=comment)

    def _result(self, name: str, kind: str, value: Values) -> Values:
        target = dict(zip(self.names, self.to_names, strict=True)).get(name, self.to_names[0])
        return {"from_name": name, "to_name": target, "type": kind, "value": value}

    def _comment(self, text: str) -> Values:
        return {**self._result(COMMENT, "textarea", {"text": [text]}), "to_name": self.comment_to or self.to_names[0]}

    def _marks(self, text: str, region: str, span: Span) -> list[Values]:
        where = {"start": _units(text[: span.start]), "end": _units(text[: span.end])}
        words = text[span.start : span.end]
        made = {**self._result(self.names[0], "labels", {**where, "text": words, "labels": [span.label]}), "id": region}
        if not span.reason:
            return [made]
        return [made, {**self._result(REASON, "textarea", {**where, "text": [span.reason]}), "id": region}]

    def _spans(self, item: WorkItem, results: list[Values]) -> tuple[Span, ...]:
        assert isinstance(self.work, SpansWork)
        text = item.marked(self.work.of)
        reasons = {one.get("id"): "\n".join(one["value"]["text"]) for one in results if one["from_name"] == REASON}
        found = []
        for one in results:
            if one["from_name"] != self.names[0]:
                continue
            value, words = one["value"], one["value"].get("text")
            ends = (int(value["start"]), int(value["end"]))
            counted = tuple(len(text.encode("utf-16-le")[: 2 * end].decode("utf-16-le", "ignore")) for end in ends)
            start, end = counted
            if words is not None and text[start:end] != words and text[slice(*ends)] == words:
                start, end = ends
            if words is not None and text[start:end] != words:
                raise DataError("result", [Problem("the marked words are not there", "value.text", str(words)[:60])])
            label = value["labels"][0]
            found.append(Span(start=start, end=end, label=label, reason=reasons.get(one.get("id"), "")))
        return tuple(found)


def controls_of(config: str, where: str) -> Controls:
    """Return what a configuration asks as one kind of work. Raises :class:`DataError` by the name of each tag."""
    if "<!DOCTYPE" in config or "<!ENTITY" in config:
        raise DataError(where, [Problem("a configuration declares no entities", "<!DOCTYPE", remedy="remove it")])
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise DataError(where, [Problem(f"not valid XML: {error}")]) from error
    tags = list(root.iter())
    unknown = sorted({tag.tag for tag in tags} - CONTROLS - OBJECTS - LAYOUT)
    objects = {tag.get("name", ""): str(tag.get("value", "")).lstrip("$") for tag in tags if tag.tag in OBJECTS}
    controls = [
        tag for tag in tags if tag.tag in CONTROLS and tag.get("name") not in (COMMENT, REASON) and not _for_region(tag)
    ]
    kinds = {tag.tag for tag in controls}
    problems = [Problem("this tag has no place here", f"<{tag}>", remedy="take it out") for tag in unknown]
    if not controls or (len(controls) > 1 and not kinds <= {"Rating", "Number"}):
        names = ", ".join(f"<{tag.tag} name={tag.get('name')!r}>" for tag in controls)
        remedy = (
            "one control tag for the work, several only of Rating and Number; a TextArea named comment for comments"
        )
        problems.append(Problem("these controls are no one kind of work", received=names or "none", remedy=remedy))
    if not objects:
        problems.append(Problem("nothing is shown", remedy="add <Text name=... value=...>"))
    if problems:
        raise DataError(where, problems)
    try:
        found = _controls(controls, objects)
    except (ValueError, TypeError) as error:
        raise DataError(where, [Problem(str(error), f"<{controls[0].tag}>")]) from error
    comments = [str(tag.get("toName")) for tag in tags if tag.tag == "TextArea" and tag.get("name") == COMMENT]
    return replace(found, comment_to=comments[0] if comments else "")


def _for_region(tag: ElementTree.Element) -> bool:
    return str(tag.get("perRegion", "")).lower() == "true"


def _controls(tags: list[ElementTree.Element], objects: Mapping[str, str]) -> Controls:
    first = tags[0]
    names, kinds = tuple(str(tag.get("name")) for tag in tags), tuple(tag.tag for tag in tags)
    to_names = tuple(str(tag.get("toName")) for tag in tags)
    targets = to_names[0].split(",")
    values = [str(one.get("value")) for one in first.iter() if one.tag in ("Choice", "Label")]
    fields = list(objects.values())
    answers = {one: one for one in fields if one.startswith("answer") or one in values}
    if first.tag == "Pairwise":
        answers = {objects[one]: objects[one] for one in targets}
    asks = next((one for one in fields if one not in answers and one != BEFORE), fields[0])
    work: Work
    if first.tag == "Pairwise" or (first.tag == "Choices" and len(answers) == 2 and {*values} <= {*answers, TIE}):
        work = ChooseWork(ties=TIE in values or first.tag == "Pairwise")
    elif first.tag == "Choices":
        work = LabelWork(labels=tuple(values), several=first.get("choice") == "multiple")
    elif first.tag == "Labels":
        marked = objects.get(to_names[0], asks)
        asks = asks if marked in answers else marked
        work = SpansWork(labels=tuple(values), of="answer" if marked in answers else "question", reasons=False)
    elif first.tag == "TextArea":
        start = str(first.get("value", "")).lstrip("$")
        answers = {start: start} if start else {}
        work = CorrectWork() if start else WriteWork()
    elif all(name.startswith(PLACE) for name in names):
        work = RankWork()
    else:
        work = RateWork(scales=tuple(_scale(tag) for tag in tags))
    return Controls(work, names, kinds, to_names, asks, answers)


def _scale(tag: ElementTree.Element) -> Scale:
    if tag.tag == "Rating":
        return Scale(name=str(tag.get("name")), low=1, high=int(tag.get("maxRating") or 5))
    low, high = tag.get("min"), tag.get("max")
    if low is None or high is None:
        raise ValueError(f"<Number name={tag.get('name')!r}> needs min and max")
    return Scale(name=str(tag.get("name")), low=int(low), high=int(high))


def config_of(bundle: Bundle) -> str:
    """Return the configuration for a project that was made here."""
    work, most = bundle.project.work, max((len(item.answers) for item in bundle.items), default=0)
    lines = ["<View>"]
    if bundle.project.guidelines:
        lines.append(f"  <Header value={quoteattr(bundle.project.guidelines)} />")
    if any(len(item.messages) > 1 for item in bundle.items):
        lines.append(f'  <Text name="{BEFORE}" value="${BEFORE}" />')
    lines.append('  <Text name="question" value="$question" />')
    shown = 0 if work.kind == "correct" else most
    lines += [f'  <Text name="answer_{at}" value="$answer_{at}" />' for at in range(1, shown + 1)]
    lines += [f"  {line}" for line in _control_lines(work, most)]
    lines.append('  <TextArea name="comment" toName="question" editable="true" />')
    return "\n".join([*lines, "</View>", ""])


def _control_lines(work: Work, most: int) -> list[str]:
    to = 'toName="question"'
    match work:
        case RateWork(scales=scales):
            made = []
            for at, one in enumerate(scales, start=1):
                stars = one.low == 1 and one.high <= MAX_STARS
                ends = f'maxRating="{one.high}"' if stars else f'min="{one.low}" max="{one.high}"'
                made.append(f"<Header value={quoteattr(one.question or one.name)} />")
                made.append(f'<{"Rating" if stars else "Number"} name="scale_{at}" {to} {ends} required="true" />')
            return made
        case ChooseWork(ties=ties):
            values = ["answer_1", "answer_2", *([TIE] if ties else [])]
            return [
                f'<Choices name="choice" {to} choice="single" required="true">',
                *_values("Choice", values),
                "</Choices>",
            ]
        case LabelWork(labels=labels, several=several):
            how = "multiple" if several else "single"
            return [f'<Choices name="label" {to} choice="{how}">', *_values("Choice", labels), "</Choices>"]
        case RankWork():
            return [f'<Number name="{PLACE}{at}" {to} min="1" max="{most}" />' for at in range(1, most + 1)]
        case SpansWork(labels=labels, of=of):
            to = 'toName="question"' if of == "question" else 'toName="answer_1"'
            reason = f'<TextArea name="{REASON}" {to} perRegion="true" />'
            return [f'<Labels name="marks" {to}>', *_values("Label", labels), "</Labels>", reason]
        case CorrectWork():
            return [f'<TextArea name="text" {to} value="$answer_1" maxSubmissions="1" editable="true" />']
    return [f'<TextArea name="text" {to} maxSubmissions="1" editable="true" required="true" />']


def _values(tag: str, values: Any) -> list[str]:
    return [f"  <{tag} value={quoteattr(str(value))} />" for value in values]


def _units(text: str) -> int:
    """The length of a text in UTF-16 units, as JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2
