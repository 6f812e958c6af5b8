"""Who is asked and where: what all steps of the source share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tutelage.completers.structured.asking import Ended, Judge
from tutelage.completers.structured.forms import Form
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.speaker import Speaker
from tutelage.construct.speaker import lost as lost
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.records import Answer, Request, Sampling
from tutelage.records.judging import Judging

V = TypeVar("V")


@dataclass(slots=True)
class Desk:
    """A source of one round: its settings, who writes and who reads, its folder, and all that was ever replied.

    ``assessor`` None: the teacher reads its own requests. ``judging`` counts what a judge took.
    """

    section: InstructionsSource
    sampler: Sampler
    teacher: Asker
    assessor: Asker | None
    judging: Judging = field(default_factory=Judging)
    _writer: Speaker = field(init=False)

    def __post_init__(self) -> None:
        """Seat the teacher."""
        self._writer = self._speaker(self.teacher)

    @property
    def folder(self) -> Path:
        """Where everything of the source lies."""
        return self.sampler.folder / self.section.folder

    @property
    def writing(self) -> Sampling:
        """How requests, personas and the user's turns are drawn."""
        section = self.section
        return Sampling(
            temperature=section.temperature, top_p=self.sampler.section.top_p, max_tokens=section.max_tokens
        )

    @property
    def answering(self) -> Sampling:
        """How answers are drawn."""
        drawn = self.sampler.section
        return Sampling(temperature=drawn.temperature, top_p=drawn.top_p, max_tokens=self.section.max_tokens)

    def ask(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what the teacher says in a form; every try is logged as ``<label>.jsonl``."""
        return self._writer.ask(label, requests, form=form, examine=examine)

    def assess(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what the assessor says in a form. What the model of a judge takes is counted as judging."""
        if self.assessor is None:
            return self.ask(label, requests, form=form, examine=examine)
        reader = self._speaker(self.assessor)
        ends = reader.ask(label, requests, form=form, examine=examine)
        cost = reader.cost
        self.judging = self.judging.plus(
            Judging(
                judged=len(ends),
                unscored=sum(end.loss is not None for end in ends),
                requests=reader.requests,
                prompt_tokens=cost.prompt_tokens,
                completion_tokens=cost.completion_tokens,
                seconds=reader.seconds(),
                money=cost.money,
            )
        )
        return ends

    def answer(self, label: str, requests: Sequence[Request]) -> list[Answer]:
        """Return the teacher's answers, logged as ``<label>.jsonl``."""
        return self._writer.answer(label, requests)

    def seconds(self) -> float:
        """What the teacher took."""
        return self._writer.seconds()

    def tokens(self) -> int | None:
        """What the teacher wrote; None: unknown."""
        return self._writer.tokens()

    def _speaker(self, asker: Asker) -> Speaker:
        return Speaker(asker, self.sampler, self.folder, self.section.retries)
