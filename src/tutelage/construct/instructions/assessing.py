"""A blind reader: told what dimensions and levels are, not what was ordered, it says what a request is."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.asking import Ended
from tutelage.completers.structured.forms import Form, form_of_schema
from tutelage.completers.structured.json_text import JsonObject
from tutelage.construct.instructions.checks import FEWEST_MATERIAL
from tutelage.construct.instructions.definitions import LEVEL_WORDS, definitions
from tutelage.construct.instructions.desk import Desk, lost
from tutelage.construct.instructions.requests import Asked
from tutelage.construct.prompts import render
from tutelage.judging.fence import mark_for
from tutelage.recipe.sources.instructions import REFUSALS_IN, InstructionsSource
from tutelage.records import LEVELS, Dropped, Level, Request, Sampling, user
from tutelage.records.instructions import HARMFUL, HARMLESS, STATED, Assessment, Order
from tutelage.text.rouge import units

PROMPT = "instruction_assessment"
STEP = "assessment"
MOST_TOKENS = 256


class Read(BaseModel):
    """What a reader takes a request for."""

    model_config = ConfigDict(frozen=True)

    reason: str
    dimension: str
    level: Level
    harmful: bool


def form_of_assessment(section: InstructionsSource) -> Form[Read]:
    """Return the form of an assessment: the reason first, then one of the dimensions, one of the levels."""
    properties = {
        "reason": {"type": "string"},
        "dimension": {"type": "string", "enum": list(definitions(section))},
        "level": {"type": "string", "enum": list(LEVELS)},
        "harmful": {"type": "boolean"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    form = form_of_schema("Assessment", cast(JsonObject, schema))
    return Form(form.schema, lambda value: Read.model_validate_json(json.dumps(form.read(value))))


def assess(desk: Desk, label: str, asked: Sequence[Asked]) -> tuple[list[Asked], list[Dropped]]:
    """Return the requests that are of the cell that they were ordered for, or with ``relabel`` of any that can be
    checked, each with its assessment; and those that are not, or that nobody could sort.

    Raises what :meth:`Desk.assess` raises.
    """
    requests = [_request(desk, one) for one in asked]
    ends = desk.assess(label, requests, form=form_of_assessment(desk.section))
    by = (desk.assessor or desk.teacher).name
    kept: list[Asked] = []
    dropped: list[Dropped] = []
    for one, end in zip(asked, ends, strict=True):
        if end.value is None:
            dropped.append(_unsorted(end))
            continue
        read = Assessment(
            by=end.answers[-1].by or by,
            dimension=end.value.dimension,
            level=end.value.level,
            harmful=end.value.harmful,
            reason=end.value.reason,
        )
        order, reason = settle(one, read, relabel=desk.section.mismatch == "relabel")
        if order is None:
            dropped.append(Dropped(id=end.request.id, step=STEP, reason=reason, row=read.to_json()))
            continue
        replies = (*one.replies, *(end.answers if desk.assessor is None else ()))
        kept.append(replace(one, order=order, assessment=read, replies=replies))
    return kept, dropped


def settle(asked: Asked, read: Assessment, *, relabel: bool) -> tuple[Order | None, str]:
    """Return the order that a request counts for, as it was read; or None, and why it counts for none.

    Harm is never relabeled: what is read as harmful was ordered so, or is left out.
    """
    order = asked.order
    facet = HARMFUL if read.harmful else HARMLESS if read.dimension == "safety" else ""
    if read.harmful and order.facet != HARMFUL:
        return None, "it is read as harmful, and nothing harmful was ordered"
    if order.facet == HARMFUL and not read.harmful:
        return None, "it is read as innocent, and something harmful was ordered"
    if (read.dimension, read.level) == order.cell:
        return order, ""
    if not relabel or order.facet == HARMFUL:
        where = f"{read.dimension}, {read.level}; ordered was {order.dimension}, {order.level}"
        return None, f"{_mismatch(read, order)}: {where}"
    if read.dimension == "safety" and order.language != REFUSALS_IN:
        return None, "it is read as of safety, which is checked in English alone"
    if read.dimension == "faithfulness" and len(units(asked.written.material)) < FEWEST_MATERIAL:
        return None, "it is read as of faithfulness, and brings no text"
    facet = STATED if read.dimension == "faithfulness" else facet
    return order.model_copy(update={"dimension": read.dimension, "level": read.level, "facet": facet}), ""


def _mismatch(read: Assessment, order: Order) -> str:
    return f"it is read as of another {'dimension' if read.dimension != order.dimension else 'level'}"


def _unsorted(end: Ended[Read]) -> Dropped:
    row = lost(end, STEP)
    return row.model_copy(update={"reason": f"nobody could say what it is: {row.reason}"})


def _request(desk: Desk, asked: Asked) -> Request:
    dimensions = "\n".join(f"- {name}: {text}" for name, text in definitions(desk.section).items())
    levels = "\n".join(f"- {name}: {text}" for name, text in LEVEL_WORDS.items())
    text = asked.text
    prompt = render(PROMPT, mark=mark_for([text]), request=text, dimensions=dimensions, levels=levels)
    return Request(
        id=f"{asked.order.id}/assessment",
        messages=(user(prompt),),
        sampling=Sampling(temperature=0.0, max_tokens=min(MOST_TOKENS, desk.section.max_tokens)),
    )
