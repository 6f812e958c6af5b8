"""What somebody types in a terminal as a response."""

import json
import sys

from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import (
    Choice,
    Correction,
    Labels,
    Ranking,
    Rating,
    Response,
    Writing,
    parse_response,
)
from tutelage.annotation.work import ChooseWork, LabelWork, RankWork, RateWork, SpansWork, Work
from tutelage.cli.readable import UTF8
from tutelage.errors import DataError, Problem

NEITHER = "neither"
SPANS = '{"kind": "spans", "spans": [{"start": 0, "end": 5, "label": "...", "reason": "..."}]}'


def response_from(work: Work, item: WorkItem, said: str, comment: str) -> Response:
    """Return what was typed as a response: JSON, or the short form of the kind of work. Raises :class:`DataError`.

    A text that somebody writes may begin with a brace: it is taken as JSON only if it is an object with a ``kind``.
    """
    if said.lstrip().startswith("{") and (work.kind not in ("write", "correct") or _is_response(said)):
        found = parse_response(said, "response")
        return found.model_copy(update={"comment": comment}) if comment else found
    match work.kind:
        case "write":
            return Writing(text=said, comment=comment)
        case "correct":
            return Correction(text=said, comment=comment)
        case "rate":
            assert isinstance(work, RateWork)
            return Rating(scores=_scores(work, said), comment=comment)
        case "choose":
            return Choice(
                better=None if said.strip() == NEITHER and NEITHER not in item.keys else said.strip(), comment=comment
            )
        case "rank":
            groups = [tuple(key.strip() for key in group.split("=")) for group in said.split(">")]
            return Ranking(order=tuple(groups), comment=comment)
        case "label":
            return Labels(labels=tuple(label.strip() for label in said.split(",") if label.strip()), comment=comment)
    raise DataError("response", [Problem("marks are given as JSON", received=said[:60], remedy=f"write {SPANS}")])


def read_said() -> str:
    """Return what is on the input, less the one line break that ends a file. Raises :class:`DataError` unless UTF-8."""
    try:
        said = sys.stdin.read()
        said.encode()
    except UnicodeError as error:
        raise DataError("the input", [Problem("it is not UTF-8", "SAID", remedy=UTF8)]) from error
    return said.removesuffix("\n").removesuffix("\r")


def short_form(work: Work, item: WorkItem) -> str:
    """Return what to type, as an example."""
    match work:
        case RateWork(scales=[only]):
            return f"{only.low} to {only.high}"
        case RateWork(scales=scales):
            return ",".join(f"{scale.name}={scale.high}" for scale in scales)
        case ChooseWork(ties=ties):
            return " or ".join([*item.keys, *([NEITHER] if ties else [])])
        case RankWork():
            return " > ".join(item.keys) + ", the best first" + ("; = between equals" if work.ties else "")
        case LabelWork(labels=labels, several=several):
            return (", ".join(labels) + ": those that apply") if several else " or ".join(labels)
        case SpansWork():
            return SPANS
    return "the text, or - and the text on the input"


def _scores(work: RateWork, said: str) -> dict[str, int]:
    problems, scores = [], {}
    only = work.scales[0].name if len(work.scales) == 1 else ""
    for part in said.split(","):
        name, equals, number = part.rpartition("=")
        name = name.strip() if equals else only
        if name in scores:
            remedy = "give each scale one number"
            problems.append(Problem("the scale has a number already", name, part.strip(), remedy))
            continue
        if not name or not number.strip().lstrip("-").isdecimal():
            remedy = f"write {','.join(f'{scale.name}={scale.high}' for scale in work.scales)}"
            problems.append(Problem("expected a scale and a whole number", received=part.strip(), remedy=remedy))
        else:
            scores[name] = int(number)
    if problems:
        raise DataError("response", problems)
    return scores


def _is_response(said: str) -> bool:
    try:
        found = json.loads(said)
    except ValueError:
        return False
    return isinstance(found, dict) and "kind" in found
