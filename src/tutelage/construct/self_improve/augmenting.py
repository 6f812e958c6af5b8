"""Instruction back-translation, its first half: the request that a text answers is written (self-augmentation).

Li et al. 2023, section 2.2. Deviations: the paper tunes a model on the seeds turned round (answer → request) and has it
write; here a model that follows instructions is asked, and shown such seeds. It is asked for JSON, and what cannot be a
request to this text is dropped by program before anybody scores it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.desk import Desk
from tutelage.construct.documents.asking import points_at
from tutelage.construct.instructions.checks import faults_of_words
from tutelage.construct.instructions.form import MOST_REPEATED, other_language
from tutelage.construct.prompts import render
from tutelage.construct.self_improve.seeds import Seed, drawn_seeds
from tutelage.construct.speaker import lost
from tutelage.judging.fence import mark_for
from tutelage.recipe.sources import BackTranslationSource
from tutelage.records import LEVELS, Answer, Dropped, Request, user
from tutelage.records.documents import Passage
from tutelage.records.instructions import Order
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.languages import NAMES
from tutelage.text.repetition import longest_echo, repeated_share
from tutelage.text.words import normalize

PROMPT = "back_translation"
TEXTS, REQUESTS = "texts", "requests"
GIVEN_AWAY = 12
"""Words of the text in a row that its request may not have."""
LONGEST_EXAMPLE = 1500
"""Characters of a seed's answer that can be shown."""


class Asked(BaseModel):
    """What somebody asked."""

    model_config = ConfigDict(extra="forbid")

    request: str


FORM = form_of(Asked)


@dataclass(frozen=True, slots=True)
class Pair:
    """A passage, the request that it is to answer, and every reply that this took."""

    passage: Passage
    request: str
    replies: tuple[Answer, ...]

    @property
    def id(self) -> str:
        """That of its passage."""
        return self.passage.id

    @property
    def text(self) -> str:
        """The answer."""
        return self.passage.text.strip()


def sift_texts(passages: Sequence[Passage], section: BackTranslationSource) -> tuple[list[Passage], list[Dropped]]:
    """Return the passages that may be answers, and the others: in another language, or going round in circles."""
    kept: list[Passage] = []
    dropped: list[Dropped] = []
    for passage in passages:
        reason = ""
        if found := other_language(passage.text, section.language):
            reason = f"the text is in another language: it reads as {found}"
        elif repeated_share(passage.text) > MOST_REPEATED:
            reason = "the text repeats itself"
        if reason:
            dropped.append(Dropped(id=passage.id, step=TEXTS, reason=reason, row=passage.to_json()))
        else:
            kept.append(passage)
    return kept, dropped


def shown_seeds(seeds: Sequence[Seed]) -> list[Seed]:
    """Return the seeds that can be shown turned round: those with an answer that is not too long."""
    return [
        seed
        for seed in seeds
        if seed.task.instances
        and normalize(seed.task.instances[0].output)
        and len(seed.task.instances[0].output) <= LONGEST_EXAMPLE
    ]


def augment(
    desk: Desk, section: BackTranslationSource, passages: Sequence[Passage], seeds: Sequence[Seed]
) -> tuple[list[Pair], list[Dropped], int]:
    """Return the passages with their requests, those that got none with the reason, and how many replies never came.

    Raises what :meth:`Desk.ask` raises.
    """
    requests = [_request(desk, section, passage, seeds) for passage in passages]
    texts = {request.id: passage.text for request, passage in zip(requests, passages, strict=True)}
    order = Order(id="", dimension=section.dimension, level=LEVELS[0], language=section.language)

    def examine(request: Request, value: Asked) -> Loss | None:
        for reason, detail in _faults(value.request, texts[request.id], order):
            return Loss(stage="rejected", reason=reason, detail=detail[:300])
        return None

    pairs: list[Pair] = []
    dropped: list[Dropped] = []
    absent = 0
    for passage, end in zip(passages, desk.ask(REQUESTS, requests, form=FORM, examine=examine), strict=True):
        if end.value is None or end.loss is not None:
            dropped.append(lost(end, REQUESTS))
            absent += end.loss is not None and end.loss.stage in ("error", "refused")
        else:
            pairs.append(Pair(passage, end.value.request.strip(), tuple(end.answers)))
    return pairs, dropped, absent


def _faults(request: str, text: str, order: Order) -> Iterator[tuple[str, str]]:
    """What no request may be, and what no request to this text may be."""
    yield from faults_of_words(request.strip(), order)
    if pointing := points_at(request):
        yield "the request points at a text that its reader does not have", repr(pointing)
    run = longest_echo(text, request)
    if run >= GIVEN_AWAY:
        yield "the request gives the answer away", f"{run} words of it in a row"


def _request(desk: Desk, section: BackTranslationSource, passage: Passage, seeds: Sequence[Seed]) -> Request:
    chosen = drawn_seeds(seeds, section.examples, section.folder, "examples", passage.id, seed=desk.sampler.seed)
    examples = [
        {
            "answer": seed.task.instances[0].output.strip(),
            "reply": json.dumps({"request": seed.request}, ensure_ascii=False),
        }
        for seed in chosen
    ]
    prompt = render(
        PROMPT,
        examples=examples,
        mark=mark_for([passage.text, *(text for example in examples for text in example.values())]),
        answer=passage.text.strip(),
        language=NAMES[section.language],
    )
    return Request(
        id=f"{desk.sampler.round}/{passage.id}",
        messages=(user(prompt),),
        sampling=desk.writing,
        seed=derive_seed(desk.sampler.seed, section.folder, REQUESTS, passage.id),
    )
