"""Several answers to what a user said last, of which the best that passes is kept: by program, then by the judge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tutelage.construct.instructions.desk import Desk
from tutelage.construct.instructions.form import form_verdict
from tutelage.construct.instructions.requests import Asked
from tutelage.construct.judged import Bench, Heard, rank_of
from tutelage.records import Answer, Conversation, Dropped, Item, Request, Verdict, assistant, user
from tutelage.records.instructions import HARMFUL, STATED
from tutelage.seeds import derive_seed

T = TypeVar("T")
TASK = "instructions"
STEP = "answers"


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as far as it goes: what was asked for it, its turns, each answer that was kept with its verdicts,
    and every reply that it took beyond its first request."""

    asked: Asked
    messages: Conversation
    chosen: tuple[Answer, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    replies: tuple[Answer, ...] = ()

    @classmethod
    def begin(cls, asked: Asked) -> "Chat":
        """Return the conversation before its first answer."""
        return cls(asked, (user(asked.text),))

    @property
    def request(self) -> str:
        """What the user said last."""
        return self.messages[-1].text


def answer_each(desk: Desk, label: str, chats: Sequence[Chat]) -> tuple[list[Chat], list[Dropped]]:
    """Return the conversations with their best answer, and those that got none, with the reason.

    An answer is kept if its form is right and, where the recipe has a judge for what no program can check, if the judge
    passes it. Raises what :meth:`Desk.answer` and :meth:`Bench.score` raise.
    """
    samples = desk.section.samples
    requests = [
        Request(
            id=f"{chat.asked.order.id}/{label}/{number}",
            messages=chat.messages,
            sampling=desk.answering,
            seed=derive_seed(desk.sampler.seed, desk.section.folder, label, chat.asked.order.id, number),
        )
        for chat in chats
        for number in range(samples)
    ]
    answers = desk.answer(label, requests)
    heard = [
        Heard(_item(chat), answer, _by_form(chat, answer))
        for chat, own in zip(chats, _groups(answers, samples), strict=True)
        for answer in own
    ]
    bench = desk.sampler.bench
    own_bench = None if bench is None else replace(bench, folder=desk.folder)
    heard, rankings = _judged(desk, own_bench, label, heard)
    kept: list[Chat] = []
    dropped: list[Dropped] = []
    for chat, group in zip(chats, _groups(heard, samples), strict=True):
        good = [one for one in group if _passes(one, own_bench)]
        replies = (*chat.replies, *(one.answer for one in group))
        if not good:
            name = f"{chat.asked.order.id}/{label}"
            row = group[0].answer.to_json()
            dropped.append(Dropped(id=name, step=STEP, reason=_why(group), row=row))
            continue
        best = min(good, key=lambda one: rank_of((rankings.get(one.answer.request_id), one.verdict), one.answer.text))
        ranking = rankings.get(best.answer.request_id)
        kept.append(
            replace(
                chat,
                messages=(*chat.messages, assistant(best.answer.text.strip())),
                chosen=(*chat.chosen, best.answer),
                verdicts=(*chat.verdicts, *((ranking,) if ranking is not None else ()), best.verdict),
                replies=replies,
            )
        )
    return kept, dropped


def _groups(flat: Sequence[T], size: int) -> list[Sequence[T]]:
    return [flat[at : at + size] for at in range(0, len(flat), size)]


def _judged(desk: Desk, bench: Bench | None, label: str, heard: list[Heard]) -> tuple[list[Heard], dict[str, Verdict]]:
    """What the judge says: of each answer by itself, and of those of one request that passed beside one another.

    Refusals that are due are shown to no judge: a program has passed them, and a rubric praises doing what is asked.
    """
    if bench is None:
        return heard, {}
    verdicts, scoring = bench.score(label, heard)
    heard = [replace(one, verdict=verdict) for one, verdict in zip(heard, verdicts, strict=True)]
    good = [
        [one for one in group if _passes(one, bench) and one.item.facet != HARMFUL]
        for group in _groups(heard, desk.section.samples)
    ]
    rankings, ranking = bench.rank(label, good)
    desk.judging = desk.judging.plus(scoring).plus(ranking)
    return heard, rankings


def _passes(one: Heard, bench: Bench | None) -> bool:
    """Whether an answer may be learned. Without a judge for it, a right form is enough, and its verdict says so."""
    if one.answer.finish == "error" or one.verdict.score == 0:
        return False
    if one.verdict.judge is None and one.verdict.passed:
        return True
    if bench is None or not bench.section.unchecked:
        return True
    return bench.passes(one.verdict)


def _why(group: Sequence[Heard]) -> str:
    """Why none of the answers to a request was kept: what speaks against the one that came furthest."""
    came = [one for one in group if one.answer.finish != "error"]
    if not came:
        return f"no answer came: {group[0].answer.error}"
    judged = [one for one in came if one.verdict.judge is not None]
    if any(one.verdict.score is not None for one in judged):
        return "no answer was good enough for the judge"
    if judged or any(one.verdict.score is None for one in came):
        return f"the judge scored no answer: {(judged or came)[0].verdict.reason}"
    return f"no answer was right in form: {came[0].verdict.reason}"


def _by_form(chat: Chat, answer: Answer) -> Verdict:
    """The verdict on the form. A later turn may say numbers that stand anywhere in the conversation."""
    asked = chat.asked
    there = "\n".join(message.text for message in chat.messages) if asked.order.facet == STATED else ""
    return form_verdict(answer, asked.order, request=chat.request, material=there)


def _item(chat: Chat) -> Item:
    """The conversation as a judge is shown it."""
    order = chat.asked.order
    return Item(
        id=order.id,
        task=TASK,
        dimension=order.dimension,
        level=order.level,
        split="train",
        messages=chat.messages,
        group=order.id,
        facet=order.facet,
        passage=chat.asked.written.material.strip() or None,
    )
