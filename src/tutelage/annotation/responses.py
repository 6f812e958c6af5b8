"""What people say of an item: one record for each kind of work, and the check that it fits the item."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from tutelage.annotation.items import WorkItem
from tutelage.annotation.work import (
    ChooseWork,
    Kinded,
    LabelWork,
    RankWork,
    RateWork,
    SpansWork,
    Work,
    WriteWork,
)
from tutelage.errors import DataError, Problem
from tutelage.records import Record
from tutelage.records.tables import shown

MAX_CHARACTERS = 1_000_000


class Writing(Kinded):
    """An answer."""

    kind: Literal["write"] = "write"
    text: str
    comment: str = ""


class Correction(Kinded):
    """The answer as it should be; the item's own where nothing was wrong."""

    kind: Literal["correct"] = "correct"
    text: str
    comment: str = ""


class Rating(Kinded):
    """A score for each scale."""

    kind: Literal["rate"] = "rate"
    scores: dict[str, int]
    comment: str = ""


class Ranking(Kinded):
    """Keys of the answers, the best first; those that share a place stand together."""

    kind: Literal["rank"] = "rank"
    order: tuple[tuple[str, ...], ...]
    comment: str = ""

    @field_validator("order")
    @classmethod
    def _sorted(cls, order: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        """Those that share a place have no order, so that equal rankings are equal records."""
        return tuple(tuple(sorted(group)) for group in order)

    def place(self, key: str) -> int:
        """Return the place of an answer, 0 for the best."""
        return next(at for at, group in enumerate(self.order) if key in group)


class Choice(Kinded):
    """The key of the better answer; None: neither is."""

    kind: Literal["choose"] = "choose"
    better: str | None
    comment: str = ""


class Labels(Kinded):
    """The labels that apply."""

    kind: Literal["label"] = "label"
    labels: tuple[str, ...]
    comment: str = ""


class Span(Record):
    """Characters ``start`` to ``end`` of the text, counted as Python does, with a label and why."""

    start: int = Field(ge=0)
    end: int
    label: str
    reason: str = ""


class Spans(Kinded):
    """Stretches of text; none is an answer too."""

    kind: Literal["spans"] = "spans"
    spans: tuple[Span, ...]
    comment: str = ""


Response = Annotated[Writing | Correction | Rating | Ranking | Choice | Labels | Spans, Field(discriminator="kind")]
RESPONSE: TypeAdapter[Response] = TypeAdapter(Response)


def parse_response(value: object, where: str) -> Response:
    """Return a response from JSON or from what JSON holds. Raises :class:`DataError` with all that is wrong."""
    try:
        return RESPONSE.validate_json(value) if isinstance(value, str | bytes) else RESPONSE.validate_python(value)
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            key = ".".join(map(str, detail["loc"]))
            what = detail["msg"].replace("Input should be", "expected")
            problems.append(Problem(what, key, shown(detail["input"])))
        raise DataError(where, problems) from error


def check_response(work: Work, item: WorkItem, response: Response) -> None:
    """Raise :class:`DataError` with all that does not fit: kind, scales, keys, labels, stretches outside the text."""
    if response.kind != work.kind:
        remedy = f"answer with kind {work.kind}"
        problems = [Problem("the response is of another kind of work", "kind", response.kind, remedy)]
    else:
        problems = list(_faults(work, item, response))
    if len(response.to_json()) > MAX_CHARACTERS:
        problems.append(Problem(f"the response is longer than {MAX_CHARACTERS:,} characters", remedy="shorten it"))
    if problems:
        raise DataError(f"item {item.id}", problems)


def _faults(work: Work, item: WorkItem, response: Response) -> Iterator[Problem]:
    match response:
        case Writing(text=text) | Correction(text=text):
            yield from _text_faults(work, text)
        case Rating(scores=scores):
            assert isinstance(work, RateWork)
            yield from _rating_faults(work, scores)
        case Ranking(order=order):
            assert isinstance(work, RankWork)
            yield from _ranking_faults(work, item, order)
        case Choice(better=better):
            assert isinstance(work, ChooseWork)
            if better is None and not work.ties:
                yield Problem("one of the answers must be chosen", "better", remedy=f"use {_keys(item)}")
            elif better is not None and better not in item.keys:
                yield Problem("no such answer", "better", shown(better), f"use {_keys(item)}")
        case Labels(labels=labels):
            assert isinstance(work, LabelWork)
            yield from _label_faults(work, labels)
        case Spans(spans=spans):
            assert isinstance(work, SpansWork)
            yield from _span_faults(work, item, spans)


def _text_faults(work: Work, text: str) -> Iterator[Problem]:
    if not text.strip():
        yield Problem("the answer is empty", "text", shown(text), "write it, or skip the item")
    most = work.max_words if isinstance(work, WriteWork) else None
    if most is not None and (count := len(text.split())) > most:
        yield Problem(f"at most {most} words are asked for", "text", f"{count} words", "shorten it")


def _rating_faults(work: RateWork, scores: dict[str, int]) -> Iterator[Problem]:
    scales = {scale.name: scale for scale in work.scales}
    for name in scales.keys() - scores.keys():
        yield Problem("this scale has no score", f"scores.{name}", remedy="rate every scale")
    for name, score in scores.items():
        if name not in scales:
            yield Problem("no such scale", f"scores.{name}", remedy=f"use {', '.join(scales)}")
        elif not scales[name].low <= score <= scales[name].high:
            range_ = f"{scales[name].low} to {scales[name].high}"
            yield Problem(f"expected a whole number from {range_}", f"scores.{name}", str(score))


def _ranking_faults(work: RankWork, item: WorkItem, order: tuple[tuple[str, ...], ...]) -> Iterator[Problem]:
    flat = [key for group in order for key in group]
    if sorted(flat) != sorted(item.keys) or not all(order):
        yield Problem("expected every answer once", "order", shown([*map(list, order)]), f"rank {_keys(item)}")
    if not work.ties and any(len(group) > 1 for group in order):
        yield Problem("no two answers may share a place", "order", shown([*map(list, order)]))


def _label_faults(work: LabelWork, labels: tuple[str, ...]) -> Iterator[Problem]:
    if not work.several and len(labels) != 1:
        yield Problem("expected exactly one label", "labels", shown([*labels]))
    if len(set(labels)) < len(labels):
        yield Problem("a label stands there twice", "labels", shown([*labels]))
    for label in labels:
        if label not in work.labels:
            yield Problem("no such label", "labels", shown(label), f"use {', '.join(work.labels)}")


def _span_faults(work: SpansWork, item: WorkItem, spans: tuple[Span, ...]) -> Iterator[Problem]:
    text = item.marked(work.of)
    for place, span in enumerate(spans):
        key = f"spans.{place}"
        if not span.start < span.end <= len(text):
            what = f"expected characters inside the text, which has {len(text)}"
            yield Problem(what, key, f"{span.start} to {span.end}")
        if span.label not in work.labels:
            yield Problem("no such label", f"{key}.label", shown(span.label), f"use {', '.join(work.labels)}")
        if work.reasons and not span.reason.strip():
            yield Problem("a reason is asked for", f"{key}.reason", remedy="say why it is marked")
    if len({(span.start, span.end, span.label) for span in spans}) < len(spans):
        yield Problem("a stretch has the same label twice", "spans")


def _keys(item: WorkItem) -> str:
    return ", ".join(item.keys)
