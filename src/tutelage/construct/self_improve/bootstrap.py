"""Self-Instruct, its first half: the pool of instructions grows step by step; each is told to be classification or not.

Wang et al. 2023, section 2.2. Each request shows instructions of experts and some that the model wrote, and asks for
new ones; what passes the filters joins the pool before the next step. Deviations: models that follow instructions are
asked for JSON in place of a list that a base model continues; there is no presence penalty, and nucleus sampling is
that of the recipe.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.desk import Desk
from tutelage.construct.ledgers import ledger_of
from tutelage.construct.prompts import render
from tutelage.construct.self_improve.filters import faults_of_instruction
from tutelage.construct.self_improve.seeds import Seed, drawn_seeds
from tutelage.construct.speaker import lost
from tutelage.recipe.sources import BootstrapSource, SelfInstructSource
from tutelage.records import Answer, Dropped, Ledger, Request, Sampling, user
from tutelage.records.seed_tasks import Pooled
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed, stream
from tutelage.text.languages import NAMES
from tutelage.text.rouge import Nearest
from tutelage.text.words import normalize

TASKS_PROMPT, KIND_PROMPT = "self_instruct_tasks", "self_instruct_kind"

_NUMBER = re.compile(r"^\s*(?:task\s*)?\d{1,3}\s*[.):]\s+", re.IGNORECASE)


class Proposals(BaseModel):
    """New instructions."""

    model_config = ConfigDict(extra="forbid")

    instructions: list[str]


class Kind(BaseModel):
    """Whether a task is classification."""

    model_config = ConfigDict(extra="forbid")

    classification: bool


PROPOSALS, KIND = form_of(Proposals), form_of(Kind)


@dataclass(slots=True)
class Pool:
    """Instructions that were kept, what was dropped on the way, how many replies were of the form, never came."""

    kept: list[Pooled] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    read: int = 0
    absent: int = 0
    steps: int = 0

    @property
    def proposed(self) -> int:
        """All instructions that were proposed."""
        return len(self.kept) + sum(row.step == "instructions" for row in self.dropped)

    def ledgers(self, wanted: int) -> list[Ledger]:
        """Return the counts: requests that gave instructions, instructions that were kept, how many are missing."""
        requests = [row for row in self.dropped if row.step == "requests"]
        proposals = [row for row in self.dropped if row.step == "instructions"]
        short = wanted - len(self.kept)
        return [
            ledger_of("requests", self.read, requests, [f"{self.steps} steps"]),
            ledger_of("instructions", len(self.kept), proposals),
            Ledger(stage="wanted", rows_in=wanted, kept=len(self.kept), dropped={"missing": short} if short else {}),
        ]


def bootstrap(desk: Desk, section: BootstrapSource, seeds: Sequence[Seed]) -> Pool:
    """Return a pool of at most ``section.tasks`` new instructions, or as many as came in ``section.steps``.

    Raises what :meth:`Desk.ask` raises.
    """
    pool = Pool()
    near = Nearest(section.novelty)
    near.add(seed.task.instruction for seed in seeds)
    for step in range(1, section.steps + 1):
        missing = section.tasks - len(pool.kept)
        if not missing:
            break
        number = min(section.prompts, -(-missing // section.proposals))
        asked = [_request(desk, section, seeds, pool.kept, name=(step, place)) for place in range(number)]
        shown = {request.id: ids for request, ids in asked}
        pool.steps = step
        for end in desk.ask(
            f"instructions-{step}", [request for request, _ in asked], form=PROPOSALS, examine=_says_some
        ):
            if end.value is None or end.loss is not None:
                pool.dropped.append(lost(end, "requests"))
                pool.absent += end.loss is not None and end.loss.stage in ("error", "refused")
                continue
            pool.read += 1
            for place, text in enumerate(end.value.instructions):
                one = Pooled(
                    id=f"{end.request.id}/{place}", instruction=bare(text), step=step, shown=shown[end.request.id]
                )
                _take(one, pool, near, section)
    return pool


def bare(text: str) -> str:
    """Return a proposed instruction in one line, without the number that stood before it."""
    return _NUMBER.sub("", " ".join(text.split()))


def _take(one: Pooled, pool: Pool, near: Nearest, section: BootstrapSource) -> None:
    """Keep an instruction that passes all filters, or drop it with the first reason."""
    reason = _unfit(one.instruction, near, section, full=len(pool.kept) == section.tasks)
    if reason:
        pool.dropped.append(Dropped(id=one.id, step="instructions", reason=reason, row=one.to_json()))
        return
    near.add([one.instruction])
    pool.kept.append(one)


def _unfit(text: str, near: Nearest, section: BootstrapSource, *, full: bool) -> str:
    for reason, detail in faults_of_instruction(text, section.language):
        return f"{reason}: {detail}" if detail else reason
    if found := near.too_near(text):
        return f"the instruction is too near to one in the pool: ROUGE-L {found[1]:.2f} to {found[0][:80]!r}"
    return "there are enough" if full else ""


def _says_some(_: Request, value: Proposals) -> Loss | None:
    if any(normalize(text) for text in value.instructions):
        return None
    return Loss(stage="rejected", reason="there is no instruction in it")


def _request(
    desk: Desk, section: BootstrapSource, seeds: Sequence[Seed], kept: Sequence[Pooled], *, name: tuple[int, int]
) -> tuple[Request, tuple[str, ...]]:
    """A request for new instructions, and the ids of those that it shows."""
    own = stream(desk.sampler.seed, section.folder, "own", *name).sample(kept, min(section.generated, len(kept)))
    number = section.shown - len(own)
    theirs = drawn_seeds(seeds, number, section.folder, "theirs", *name, seed=desk.sampler.seed)
    shown = [(one.id, one.instruction) for one in own] + [(one.task.id, one.task.instruction) for one in theirs]
    stream(desk.sampler.seed, section.folder, "order", *name).shuffle(shown)
    prompt = render(
        TASKS_PROMPT,
        number=str(section.proposals),
        language=NAMES[section.language],
        shown="\n".join(f"- {' '.join(text.split())}" for _, text in shown),
    )
    request = Request(
        id=f"{desk.sampler.round}/{name[0]}/{name[1]}",
        messages=(user(prompt),),
        sampling=desk.writing,
        seed=derive_seed(desk.sampler.seed, section.folder, "instructions", *name),
    )
    return request, tuple(one for one, _ in shown)


@dataclass(frozen=True, slots=True)
class Told:
    """An instruction of which it is told whether it is classification, with the replies that this took."""

    pooled: Pooled
    replies: tuple[Answer, ...]

    @property
    def classification(self) -> bool:
        """Whether it is."""
        return self.pooled.is_classification is True


def tell_apart(
    desk: Desk, section: SelfInstructSource, pool: Sequence[Pooled], seeds: Sequence[Seed]
) -> tuple[list[Told], list[Dropped]]:
    """Return the instructions, each told to be classification or not, and those of which nobody could say it.

    Shown are seeds that say what they are; where none does, as with demonstrations, the definition alone.
    Raises what :meth:`Desk.ask` raises.
    """
    requests = [_kind_request(desk, section, one, seeds) for one in pool]
    told: list[Told] = []
    dropped: list[Dropped] = []
    for one, end in zip(pool, desk.ask("kinds", requests, form=KIND), strict=True):
        if end.value is None:
            row = lost(end, "kinds")
            dropped.append(row.model_copy(update={"reason": f"nobody could say what kind it is: {row.reason}"}))
        else:
            known = one.model_copy(update={"is_classification": end.value.classification})
            told.append(Told(known, tuple(end.answers)))
    return told, dropped


def _kind_request(desk: Desk, section: SelfInstructSource, one: Pooled, seeds: Sequence[Seed]) -> Request:
    each = -(-section.examples // 2)
    shown: list[Seed] = []
    for kind in (True, False):
        own = [seed for seed in seeds if seed.task.is_classification is kind]
        shown += drawn_seeds(own, each, section.folder, "kinds", one.id, str(kind), seed=desk.sampler.seed)
    shown = shown[: section.examples]
    stream(desk.sampler.seed, section.folder, "kinds", one.id).shuffle(shown)
    examples = [
        {"task": " ".join(seed.task.instruction.split()), "kind": "true" if seed.task.is_classification else "false"}
        for seed in shown
    ]
    prompt = render(KIND_PROMPT, examples=examples, task=one.instruction)
    sampling = Sampling(temperature=0.0, max_tokens=section.max_tokens)
    return Request(id=f"{one.id}/kind", messages=(user(prompt),), sampling=sampling)
