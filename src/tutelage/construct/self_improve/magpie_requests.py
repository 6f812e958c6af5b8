"""Magpie, its first half: a model writes requests in the user's place, and they are sifted and read.

Xu et al. 2024, sections 2 and 3. Deviations: what is near to another request is found by ROUGE-L in place of the
distance of embeddings; lengths are limits of form, and not a choice of the longest; nothing is scored by a reward
model. Where there is no judge, who wrote a request reads how good it is, as the paper lets models rate their own.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct import desk
from tutelage.construct.instructions.checks import faults_of_words
from tutelage.construct.instructions.form import MOST_REPEATED
from tutelage.construct.instructions.requests import Asked
from tutelage.construct.instructions.requests import Written as WrittenRequest
from tutelage.construct.prompts import render
from tutelage.construct.speaker import lost
from tutelage.judging.fence import mark_for
from tutelage.recipe.sources import MagpieSource
from tutelage.recipe.sources.magpie import Difficulty, Quality
from tutelage.records import LEVELS, Answer, Dropped, Level, Request, Sampling, system, user
from tutelage.records.instructions import Assessment, Order
from tutelage.seeds import derive_seed
from tutelage.text.repetition import repeated_share
from tutelage.text.rouge import Nearest

READING = "magpie_reading"
REQUESTS, READINGS = "requests", "readings"
NEVER_CAME = "no request came"
QUALITIES: tuple[Quality, ...] = get_args(Quality)
READ_TOKENS = 160
"""Longest reading, in tokens, where ``max_tokens`` is not more: a model that reasons first needs that."""
OF_LEVEL: dict[Difficulty, Level] = {
    "very easy": "basic",
    "easy": "basic",
    "medium": "intermediate",
    "hard": "advanced",
    "very hard": "expert",
}

_MARKS = re.compile(r"<[|｜][^|｜<>\n]{1,40}[|｜]>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|</?think>")


class Reading(BaseModel):
    """How good and how hard a request is."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    quality: Quality
    difficulty: Difficulty


FORM = form_of(Reading)


@dataclass(slots=True)
class Desk(desk.Desk):
    """A desk whose writer speaks as the user with settings of its own, and answers with others."""

    section: MagpieSource

    @property
    def writing(self) -> Sampling:
        """How requests are drawn."""
        section = self.section
        return Sampling(temperature=section.temperature, top_p=section.top_p, max_tokens=section.max_tokens)

    @property
    def answering(self) -> Sampling:
        """How answers are drawn."""
        drawn, top_p = self.section, self.sampler.section.top_p if self.section.answer_temperature else 1.0
        return Sampling(temperature=drawn.answer_temperature, top_p=top_p, max_tokens=drawn.max_tokens)


@dataclass(frozen=True, slots=True)
class Thought:
    """A request that a model thought of, and every reply that it took; with level and assessment once it was read."""

    id: str
    text: str
    replies: tuple[Answer, ...]
    level: Level | None = None
    assessment: Assessment | None = None

    def asked(self, section: MagpieSource) -> Asked:
        """Return what is to be answered. An unknown level is given as the lowest: nobody is shown it."""
        order = Order(id=self.id, dimension=section.dimension, level=self.level or LEVELS[0], language=section.language)
        return Asked(order, WrittenRequest(request=self.text), self.replies, self.assessment)


def think_of(desk: Desk) -> tuple[list[Thought], list[Dropped]]:
    """Return the requests that are right in form and new, and the others, with the reason.

    Raises what :meth:`Desk.answer` raises.
    """
    section, sampler = desk.section, desk.sampler
    before = (system(section.system),) if section.system is not None else ()
    requests = [
        Request(
            id=f"{sampler.round}/{number}",
            messages=before,
            turn="user",
            sampling=desk.writing,
            seed=derive_seed(sampler.seed, section.folder, REQUESTS, number),
        )
        for number in range(section.requests)
    ]
    order = Order(id="", dimension=section.dimension, level=LEVELS[0], language=section.language)
    near = Nearest(section.novelty)
    kept: list[Thought] = []
    dropped: list[Dropped] = []
    for answer in desk.answer(REQUESTS, requests):
        text = answer.text.strip()
        reason = next(_faults(answer, text, order), "")
        if not reason and (found := near.too_near(text)):
            reason = f"the request is too near to one before: ROUGE-L {found[1]:.2f} to {found[0][:80]!r}"
        if reason:
            dropped.append(Dropped(id=answer.request_id, step=REQUESTS, reason=reason, row=answer.to_json()))
        else:
            near.add([text])
            kept.append(Thought(answer.request_id, text, (answer,)))
    return kept, dropped


def read(desk: Desk, thoughts: Sequence[Thought]) -> tuple[list[Thought], list[Dropped], list[str]]:
    """Return the requests that are read as good enough, with their level, the others with the reason, and notes.

    Raises what :meth:`Desk.assess` raises.
    """
    section, reader = desk.section, desk.assessor or desk.writer
    assert section.quality is not None
    sampling = Sampling(temperature=0.0, max_tokens=max(READ_TOKENS, section.max_tokens))
    requests = [
        Request(
            id=f"{one.id}/reading",
            messages=(user(render(READING, mark=mark_for([one.text]), request=one.text)),),
            sampling=sampling,
        )
        for one in thoughts
    ]
    kept: list[Thought] = []
    dropped: list[Dropped] = []
    found: Counter[str] = Counter()
    ends = desk.assess(READINGS, requests, form=FORM) if requests else []
    for one, end in zip(thoughts, ends, strict=True):
        if end.value is None:
            row = lost(end, READINGS)
            dropped.append(row.model_copy(update={"reason": f"nobody could read it: {row.reason}"}))
            continue
        found[end.value.quality] += 1
        if QUALITIES.index(end.value.quality) < QUALITIES.index(section.quality):
            reason = f"its quality is below {section.quality}: {end.value.quality}, {end.value.reason}"
            dropped.append(Dropped(id=end.request.id, step=READINGS, reason=reason, row=one.replies[0].to_json()))
            continue
        level = OF_LEVEL[end.value.difficulty]
        said = Assessment(by=reader.name, dimension=section.dimension, level=level, reason=end.value.reason)
        replies = one.replies if desk.assessor is not None else (*one.replies, *end.answers)
        kept.append(Thought(one.id, one.text, replies, level, said))
    notes = [", ".join(f"{found[name]:,} {name}" for name in reversed(QUALITIES) if found[name])]
    return kept, dropped, notes if found else []


def _faults(answer: Answer, text: str, order: Order) -> Iterator[str]:
    """Why a reply is no request of a user."""
    if answer.finish == "error":
        yield f"{NEVER_CAME}: {answer.error}"
        return
    if not answer.ended:
        yield "the request does not come to its end"
    if found := _MARKS.search(text):
        yield f"the request holds marks of a chat template: {found[0]!r}"
    if repeated_share(text) > MOST_REPEATED:
        yield "the request repeats itself"
    for reason, detail in faults_of_words(text, order):
        yield f"{reason}: {detail}" if detail else reason
