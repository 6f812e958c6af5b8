"""Who is asked and where: what all steps of a source share."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from tutelage.completers.structured.asking import Ended, Judge
from tutelage.completers.structured.forms import Form
from tutelage.construct.judged import Bench
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.construct.speaker import Speaker
from tutelage.records import Answer, Paradigm, Request, Sampling
from tutelage.records.judging import Judging
from tutelage.records.lineage import total

V = TypeVar("V")


class Settings(Protocol):
    """What a desk needs to know of the section of its source."""

    @property
    def kind(self) -> str:
        """The kind of the source."""
        ...

    @property
    def folder(self) -> str:
        """The name of its folder."""
        ...

    @property
    def temperature(self) -> float:
        """Of what is written, answers aside."""
        ...

    @property
    def max_tokens(self) -> int:
        """Of the longest text, in tokens."""
        ...

    @property
    def retries(self) -> int:
        """How often is asked again at once."""
        ...


@dataclass(slots=True)
class Desk:
    """A source of one round: its settings, who writes and who reads, its folder, and all that was ever replied.

    ``assessor`` None: who writes reads its own requests. ``judging`` counts what a judge took.
    """

    section: Settings
    sampler: Sampler
    writer: Asker
    assessor: Asker | None = None
    judging: Judging = field(default_factory=Judging)
    _speaker: Speaker = field(init=False)

    def __post_init__(self) -> None:
        """Seat the writer."""
        self._speaker = self._seated(self.writer)

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

    @property
    def bench(self) -> Bench | None:
        """The judge of the round, who writes into the source's folder; None without one."""
        bench = self.sampler.bench
        return None if bench is None else replace(bench, folder=self.folder)

    def ask(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what the writer says in a form; every try is logged as ``<label>.jsonl``."""
        return self._speaker.ask(label, requests, form=form, examine=examine) if requests else []

    def assess(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what the assessor says in a form. What the model of a judge takes is counted as judging."""
        if self.assessor is None:
            return self.ask(label, requests, form=form, examine=examine)
        reader = self._seated(self.assessor)
        ends = reader.ask(label, requests, form=form, examine=examine)
        self.judging = self.judging.plus(
            Judging(
                judged=len(ends),
                unscored=sum(end.loss is not None for end in ends),
                requests=reader.requests,
                prompt_tokens=reader.cost.prompt_tokens,
                completion_tokens=reader.cost.completion_tokens,
                seconds=reader.seconds(),
                money=reader.cost.money,
            )
        )
        return ends

    def answer(self, label: str, requests: Sequence[Request]) -> list[Answer]:
        """Return the writer's answers, logged as ``<label>.jsonl``."""
        return self._speaker.answer(label, requests) if requests else []

    def attempted(self, paradigm: Paradigm, *, answers: int, passed: int, errors: int) -> None:
        """Put what was asked on the meter of a paradigm: attempts, those that gave a row, those that never came."""
        meter = self.sampler.meters.setdefault(paradigm, Meter())
        meter.answers += answers
        meter.passed += passed
        meter.errors += errors
        meter.seconds += self._speaker.seconds()
        meter.tokens = total([meter.tokens, self._speaker.tokens()])
        if self.judging != Judging():
            meter.judging = (meter.judging or Judging()).plus(self.judging)

    def _seated(self, asker: Asker) -> Speaker:
        return Speaker(asker, self.sampler, self.folder, self.section.retries)
