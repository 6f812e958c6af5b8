"""Requests that the teacher writes: asked for in a form, checked by program, held against all that were kept before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.asking import Ended
from tutelage.completers.structured.forms import form_of
from tutelage.construct.instructions.checks import faults
from tutelage.construct.instructions.definitions import FACETS, LEVEL_WORDS, definitions
from tutelage.construct.instructions.desk import Desk, lost
from tutelage.construct.prompts import render
from tutelage.records import Answer, Demonstration, Dropped, Request, user
from tutelage.records.instructions import STATED, Assessment, Order
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.languages import NAMES
from tutelage.text.rouge import Nearest

PROMPT = "instruction_request"
STEP = "requests"


class Written(BaseModel):
    """A request, and the text that it is about, if there is one; that text stands before it."""

    model_config = ConfigDict(extra="forbid")

    material: str = ""
    request: str


FORM = form_of(Written)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was kept: its order, what was written, every reply that was needed for it.

    ``assessment`` is there once somebody has read it blind; the order is then of the cell that it counts for.
    """

    order: Order
    written: Written
    replies: tuple[Answer, ...]
    assessment: Assessment | None = None

    @property
    def text(self) -> str:
        """What the user says."""
        return said(self.written)


def said(written: Written) -> str:
    """Return the material and the request as one turn."""
    material, request = written.material.strip(), written.request.strip()
    return f"{material}\n\n{request}" if material else request


class Examiner:
    """Says what is wrong with a request by program; None: nothing. ``shown`` are requests that it must not repeat."""

    def __init__(self, orders: Mapping[str, Order], shown: Nearest) -> None:
        self._orders, self._shown = orders, shown

    def __call__(self, request: Request, value: Written) -> Loss | None:
        order = self._orders[request.id]
        for reason, detail in faults(value.request, value.material, order):
            return Loss(stage="rejected", reason=reason, detail=detail[:300])
        if near := self._shown.too_near(said(value)):
            return Loss(stage="rejected", reason="the request repeats one of an expert", detail=repr(near[0][:80]))
        return None


def write_requests(
    desk: Desk, label: str, orders: Sequence[Order], demonstrations: Sequence[Demonstration], *, before: Nearest
) -> tuple[list[Asked], list[Dropped], list[Order]]:
    """Return the requests that are right in form and new, what was dropped, and the orders that never came.

    ``before`` holds what was kept so far and gets what is kept now. Of two that are near to one another the first of
    ``orders`` stays. Raises what :meth:`Desk.ask` raises.
    """
    experts = Nearest(desk.section.novelty)
    experts.add(one.item.prompt for one in demonstrations)
    shown = {one.item.id: one.item.prompt for one in demonstrations}
    requests = [_request(desk, order, shown) for order in orders]
    known = {request.id: order for request, order in zip(requests, orders, strict=True)}
    ends = desk.ask(label, requests, form=FORM, examine=Examiner(known, experts))
    kept: list[Asked] = []
    dropped: list[Dropped] = []
    absent: list[Order] = []
    for end in ends:
        order = known[end.request.id]
        if end.loss is not None:
            dropped.append(lost(end, STEP))
            absent += [order] if end.loss.stage in ("error", "refused") else []
            continue
        one = _asked(end, order)
        if near := before.too_near(one.text):
            reason = f"the request is too near to one before: ROUGE-L {near[1]:.2f} to {near[0][:80]!r}"
            dropped.append(Dropped(id=end.request.id, step=STEP, reason=reason, row=end.answers[-1].to_json()))
            continue
        before.add([one.text])
        kept.append(one)
    return kept, dropped, absent


def _asked(end: Ended[Written], order: Order) -> Asked:
    assert end.value is not None
    return Asked(order, end.value, tuple(end.answers))


def _request(desk: Desk, order: Order, shown: Mapping[str, str]) -> Request:
    examples = "\n".join(f"- {' '.join(shown[name].split())}" for name in order.seeds)
    prompt = render(
        PROMPT,
        dimension=definitions(desk.section)[order.dimension],
        facet=FACETS.get(order.facet, ""),
        level=LEVEL_WORDS[order.level],
        topic=order.topic,
        persona=order.persona,
        language=NAMES[order.language],
        examples=examples,
        needs_material="yes" if order.facet == STATED else "",
    )
    return Request(
        id=f"{order.id}/request",
        messages=(user(prompt),),
        sampling=desk.writing,
        seed=derive_seed(desk.sampler.seed, desk.section.folder, "request", order.id),
    )
