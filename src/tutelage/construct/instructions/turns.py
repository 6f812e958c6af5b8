"""The teacher as the user: it sees the conversation, and asks on under the same persona, or ends it.

What the teacher answers to what a simulated user says is learned like all else, so both are checked as in the first
turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.instructions.answers import Chat, answer_each
from tutelage.construct.instructions.checks import faults_of_words
from tutelage.construct.instructions.desk import Desk, lost
from tutelage.construct.ledgers import ledger_of
from tutelage.construct.prompts import render
from tutelage.judging.fence import mark_for
from tutelage.records import Dropped, Ledger, Request, user
from tutelage.records.instructions import HARMFUL
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.languages import NAMES
from tutelage.text.rouge import Nearest

PROMPT = "instruction_turn"
STEP = "turns"
DONE = "the user had what was wanted"


class Said(BaseModel):
    """What the user says next; ``done``: nothing more."""

    model_config = ConfigDict(extra="forbid")

    done: bool
    message: str = ""


FORM = form_of(Said)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Says what is wrong with what the user says next; None: nothing."""

    chats: Mapping[str, Chat]
    novelty: float

    def __call__(self, request: Request, value: Said) -> Loss | None:
        if value.done:
            return None
        chat = self.chats[request.id]
        for reason, detail in faults_of_words(value.message, chat.asked.order):
            return Loss(stage="rejected", reason=reason, detail=detail[:300])
        before = Nearest(self.novelty)
        before.add(message.text for message in chat.messages)
        if near := before.too_near(value.message):
            return Loss(stage="rejected", reason="it was said before in the conversation", detail=repr(near[0][:80]))
        return None


def go_on(desk: Desk, label: str, chats: Sequence[Chat]) -> tuple[list[Chat], list[Dropped], Ledger | None]:
    """Return the conversations with up to ``turns`` requests each, what turns came to nothing, and their counts.

    A conversation whose next turn or its answer cannot be used ends before it. After a refusal of harm nothing follows.
    Raises what :func:`answer_each` raises.
    """
    there = {chat.asked.order.id: chat for chat in chats}
    open_chats = [chat for chat in chats if chat.asked.order.facet != HARMFUL]
    dropped: list[Dropped] = []
    kept = 0
    for number in range(2, desk.section.turns + 1):
        if not open_chats:
            break
        said, ended = _next(desk, f"{label}turns-{number}", open_chats)
        open_chats, failed = answer_each(desk, f"{label}answers-{number}", said)
        dropped += [*ended, *(row.model_copy(update={"step": STEP}) for row in failed)]
        kept += len(open_chats)
        there |= {chat.asked.order.id: chat for chat in open_chats}
    counts = ledger_of(STEP, kept, dropped) if desk.section.turns > 1 else None
    return list(there.values()), dropped, counts


def _next(desk: Desk, label: str, chats: Sequence[Chat]) -> tuple[list[Chat], list[Dropped]]:
    """The conversations with one more thing that the user says, and those that end."""
    requests = [_request(desk, label, chat) for chat in chats]
    known = {request.id: chat for request, chat in zip(requests, chats, strict=True)}
    ends = desk.ask(label, requests, form=FORM, examine=Examiner(known, desk.section.novelty))
    said: list[Chat] = []
    dropped: list[Dropped] = []
    for end in ends:
        chat = known[end.request.id]
        if end.loss is not None or end.value is None:
            dropped.append(lost(end, STEP))
        elif end.value.done:
            dropped.append(Dropped(id=end.request.id, step=STEP, reason=DONE, row=end.answers[-1].to_json()))
        else:
            said.append(
                replace(
                    chat,
                    messages=(*chat.messages, user(end.value.message.strip())),
                    replies=(*chat.replies, *end.answers),
                )
            )
    return said, dropped


def _request(desk: Desk, label: str, chat: Chat) -> Request:
    order = chat.asked.order
    turns = [{"role": message.role, "text": message.text} for message in chat.messages]
    prompt = render(
        PROMPT,
        mark=mark_for([turn["text"] for turn in turns]),
        turns=turns,
        persona=order.persona,
        topic=order.topic,
        language=NAMES[order.language],
    )
    return Request(
        id=f"{order.id}/{label}",
        messages=(user(prompt),),
        sampling=desk.writing,
        seed=derive_seed(desk.sampler.seed, desk.section.folder, label, order.id),
    )
