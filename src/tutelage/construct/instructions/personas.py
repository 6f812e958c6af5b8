"""People that the teacher thinks of: asked for by the handful, each handful about other topics, alike ones dropped."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.instructions.desk import Desk, lost
from tutelage.construct.ledgers import ledger_of
from tutelage.construct.prompts import render
from tutelage.records import Dropped, Ledger, Request, user
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed
from tutelage.text.rouge import Nearest
from tutelage.text.words import normalize

PROMPT = "instruction_personas"
STEP = "personas"
HANDFUL = 8
"""Personas that are asked for at once: a model that is asked for many repeats itself."""
TOPICS_EACH = 2
NOBODY = "and none can be used: requests are nobody's in particular (personas: [...] in the recipe would give some)"
MOST_SHOWN = 24
"""Personas that are there already and shown when others are asked for."""


class People(BaseModel):
    """Descriptions of people."""

    model_config = ConfigDict(extra="forbid")

    personas: list[str]


FORM = form_of(People)


def write_personas(desk: Desk, number: int, topics: Sequence[str]) -> tuple[list[str], list[Dropped], Ledger]:
    """Return ``number`` different personas, or as many as came, what was dropped, and the counts.

    Two are alike if their ROUGE-L is not below the section's ``novelty``. What is missing is asked for again as often
    as cells order again (``passes``). Where none came the requests are nobody's in particular, and the counts say so.
    Raises what :meth:`Desk.ask` raises.
    """
    kept: list[str] = []
    dropped: list[Dropped] = []
    near = Nearest(desk.section.novelty)
    for again in range(desk.section.passes + 1):
        missing = number - len(kept)
        if not missing:
            break
        label = f"personas{f'-{again + 1}' if again else ''}"
        requests = _requests(desk, label, missing, topics=topics, known=kept)
        for end in desk.ask(label, requests, form=FORM, examine=_examine):
            if end.value is None or end.loss is not None:
                dropped.append(lost(end, STEP))
                continue
            for place, persona in enumerate(" ".join(one.split()) for one in end.value.personas):
                reason = _unfit(persona, near, full=len(kept) == number)
                if reason:
                    dropped.append(Dropped(id=f"{end.request.id}/{place}", step=STEP, reason=reason, row=persona))
                else:
                    near.add([persona])
                    kept.append(persona)
    notes = [f"{number} were asked for"] if kept else [f"{number} were asked for, {NOBODY}"]
    return kept, dropped, ledger_of(STEP, len(kept), dropped, notes)


def _unfit(persona: str, near: Nearest, *, full: bool) -> str:
    if not normalize(persona):
        return "it is empty"
    if found := near.too_near(persona):
        return f"it is too near to another: {found[0][:80]!r}"
    return "there are enough" if full else ""


def _examine(_: Request, value: People) -> Loss | None:
    if any(normalize(persona) for persona in value.personas):
        return None
    return Loss(stage="rejected", reason="there is no persona in it")


def _requests(desk: Desk, label: str, missing: int, *, topics: Sequence[str], known: Sequence[str]) -> list[Request]:
    shown = "\n".join(f"- {persona}" for persona in known[-MOST_SHOWN:])
    found: list[Request] = []
    for handful in range(-(-missing // HANDFUL)):
        begin = (len(known) + handful * TOPICS_EACH) % len(topics)
        about = [topics[(begin + place) % len(topics)] for place in range(min(TOPICS_EACH, len(topics)))]
        size = min(HANDFUL, missing - handful * HANDFUL)
        prompt = render(PROMPT, number=str(size), topics=" or ".join(about), known=shown)
        seed = derive_seed(desk.sampler.seed, desk.section.folder, label, handful)
        found.append(Request(id=f"{label}/{handful}", messages=(user(prompt),), sampling=desk.writing, seed=seed))
    return found
