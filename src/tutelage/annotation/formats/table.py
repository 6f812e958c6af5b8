"""Judgments as CSV: one a row, to be read by people in a spreadsheet, and read again by us.

``question`` and ``said`` are for reading; what begins as a formula would (``=``, ``+``, ``-``, ``@``) gets a quote
before it there, so that no spreadsheet runs what somebody wrote. So do ``item`` and ``annotator``, which are read
without it. ``response`` is what was said, as JSON, and is read.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tutelage.annotation.bundle import Bundle
from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import (
    Choice,
    Correction,
    Labels,
    Ranking,
    Rating,
    Response,
    Spans,
    Writing,
    parse_response,
)
from tutelage.annotation.views import Judgment
from tutelage.errors import DataError, Problem
from tutelage.files import write_atomic
from tutelage.records.jsonl import problems_of
from tutelage.records.tables import Faults, read_rows

COLUMNS = (
    "item",
    "annotator",
    "role",
    "number",
    "seconds",
    "created_at",
    "guidelines_revision",
    "question",
    "said",
    "comment",
    "response",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(path: Path, bundle: Bundle) -> None:
    """Write all judgments of a project, older ones too, atomically."""
    items = {item.id: item for item in bundle.items}
    made = io.StringIO(newline="")
    writer = csv.writer(made)
    writer.writerow(COLUMNS)
    for one in bundle.judgments:
        item = items[one.item]
        seconds = "" if one.seconds is None else repr(one.seconds)
        told = [one.number, seconds, repr(one.created_at), one.guidelines_revision]
        texts = [item.marked("question"), _said(item, one.response), one.response.comment]
        row = [
            _kept(one.item),
            _kept(one.annotator),
            one.role,
            *told,
            *(_harmless(text) for text in texts),
            one.response.to_json(),
        ]
        writer.writerow(row)
    write_atomic(path, made.getvalue())


def read_judgments(path: Path) -> tuple[Judgment, ...]:
    """Read judgments again. Raises :class:`DataError` with every fault by line, :class:`StorageError`."""
    faults = Faults(path)
    found: list[Judgment] = []
    for row in read_rows(path):
        where = f"{path}:{row.line}"
        values = {key: value for key, value in row.values.items() if key in Judgment.model_fields and value != ""}
        values |= {key: str(values[key]).removeprefix("'") for key in ("item", "annotator") if key in values}
        try:
            response = parse_response(values.pop("response", ""), where)
            found.append(Judgment.model_validate({**values, "response": response}))
        except DataError as error:
            for problem in error.problems:
                at = f"{where}: response {problem.where}".rstrip()
                faults.add(Problem(problem.what, at, problem.received, problem.remedy))
        except ValidationError as error:
            for problem in problems_of(error, Judgment, where):
                faults.add(problem)
    faults.raise_if_any()
    return tuple(found)


def _said(item: WorkItem, response: Response) -> str:
    match response:
        case Writing(text=text) | Correction(text=text):
            return text
        case Rating(scores=scores):
            return "; ".join(f"{name}: {score}" for name, score in scores.items())
        case Ranking(order=order):
            return " > ".join(" = ".join(group) for group in order)
        case Choice(better=better):
            return better if better is not None else "neither"
        case Labels(labels=labels):
            return "; ".join(labels)
        case Spans(spans=spans):
            return "; ".join(_marks(item, response)) if spans else "nothing"


def _marks(item: WorkItem, response: Spans) -> Iterator[str]:
    """The marked words; of whichever text the marks fit, for the kind of work is not known here."""
    ends = [span.end for span in response.spans]
    answer = item.answers[0].text if item.answers else ""
    text = answer if answer and max(ends) <= len(answer) else item.marked("question")
    for span in response.spans:
        yield f"{span.label}: {text[span.start : span.end]!r}" + (f" ({span.reason})" if span.reason else "")


def _kept(name: str) -> str:
    """A name that is read again: guarded by one quote before it, which is taken away then."""
    return f"'{name}" if name.startswith(("'", *FORMULA)) else name


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
