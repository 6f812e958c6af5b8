"""Where a record comes from and what it cost."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from tutelage.records.answers import Answer, Sampling
from tutelage.records.base import Paradigm, Record
from tutelage.records.instructions import Assessment, Order
from tutelage.records.verdicts import Verdict


class Cost(Record):
    """What a record cost. None is unknown, never zero by assumption."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    money: float | None = None
    human_minutes: float | None = None

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Self:
        """Return the tokens of those of ``answers`` that came; unknown if one of them does not say its own.

        Their money is summed with that of those that never came, where a price is known.
        """
        came = [answer for answer in answers if answer.finish != "error"]
        money = [answer.money for answer in answers if answer.money is not None]
        return cls(
            prompt_tokens=total([answer.prompt_tokens for answer in came]),
            completion_tokens=total([answer.completion_tokens for answer in came]),
            money=sum(money) if money else None,
        )


def total(counts: Sequence[int | None]) -> int | None:
    """Return the sum; None, unknown, if one of ``counts`` is."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class Evidence(Record):
    """Words of a document that an answer rests on: characters ``start`` to ``end`` of its text, in a section."""

    document: str
    section: str
    start: int
    end: int
    text: str


class Lineage(Record):
    """Paradigm, parents, author, prompt, sampling, seed, verdicts, evidence and cost of one record.

    ``source`` names the method inside the paradigm (``examples``, ``context_distillation``, ``rejection``,
    ``revision``, ``replay``, ``documents``, ``instructions``, ``self_instruct``, ``evolve``, ``back_translation``,
    ``star``, ``magpie``, ``self_rewarding``, ``constitution``, ``reflection``, ``templates``); ``author`` the model
    or person that wrote the answer; ``prompt`` the hash or name of the prompt that asked for it; ``evidence`` what
    of a document proves it; ``order`` what of a request was ordered, and ``assessment`` what a reader who did not
    know took it for; ``operations`` how a model came to it from what experts wrote, the last one last;
    ``estimated_level``: nobody gave the level or read it, it was reckoned from these; ``principles`` by what the
    answer was criticized, in this order, each with a mark of its text; ``changes`` what steps of curation changed
    in the text after that, each as ``step: what``, in their order; ``cost.completion_tokens`` counts the record's
    own tokens and those of the attempts that were thrown away for it.
    """

    paradigm: Paradigm
    source: str
    author: str
    parents: tuple[str, ...] = ()
    prompt: str = ""
    sampling: Sampling | None = None
    seed: int | None = None
    round: int | None = None
    verdicts: tuple[Verdict, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    order: Order | None = None
    assessment: Assessment | None = None
    operations: tuple[str, ...] = ()
    estimated_level: bool = False
    principles: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    cost: Cost = Field(default_factory=Cost)
