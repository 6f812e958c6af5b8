"""Who is asked and where: what all steps of the source share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tutelage.completers.replay import Spent, answer_all, seconds_of
from tutelage.completers.structured.asking import Ended, Judge, Way, ask_structured
from tutelage.completers.structured.forms import Form
from tutelage.construct.missing import count_missing
from tutelage.construct.sampling import Asker, Sampler
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.records import Answer, Cost, Dropped, Request, Sampling
from tutelage.records.jsonl import RecordLog
from tutelage.records.judging import Judging
from tutelage.records.lineage import total

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
    _replies: list[Answer] = field(default_factory=list)
    _labels: list[str] = field(default_factory=list)

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
        way = self._way(label, self.teacher)
        ends, _ = ask_structured(self.teacher.open, requests, form=form, way=way, judge=examine)
        self._took(label, [answer for end in ends for answer in end.answers], way.labels())
        count_missing([end.answers[-1] for end in ends], label=label, emit=self.sampler.emit)
        return ends

    def assess(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what the assessor says in a form. What the model of a judge takes is counted as judging."""
        if self.assessor is None:
            return self.ask(label, requests, form=form, examine=examine)
        way = self._way(label, self.assessor)
        ends, counts = ask_structured(self.assessor.open, requests, form=form, way=way, judge=examine)
        replies = [answer for end in ends for answer in end.answers]
        cost = Cost.of(replies)
        timing = RecordLog(self.folder / "timing.jsonl", Spent)
        self.judging = self.judging.plus(
            Judging(
                judged=len(ends),
                unscored=len(ends) - counts.values,
                requests=len(replies),
                prompt_tokens=cost.prompt_tokens,
                completion_tokens=cost.completion_tokens,
                seconds=sum(seconds_of(timing, label) for label in way.labels()),
                money=cost.money,
            )
        )
        count_missing([end.answers[-1] for end in ends], label=label, emit=self.sampler.emit)
        return ends

    def answer(self, label: str, requests: Sequence[Request]) -> list[Answer]:
        """Return the teacher's answers, logged as ``<label>.jsonl``."""
        answers = answer_all(
            self.teacher.open,
            requests,
            log=RecordLog(self.folder / f"{label}.jsonl", Answer),
            chunk=self.sampler.chunk,
            emit=self.sampler.emit,
            label=label,
            timing=RecordLog(self.folder / "timing.jsonl", Spent),
            again=self.teacher.again,
        )
        self._took(label, answers, [label])
        count_missing(answers, label=label, emit=self.sampler.emit)
        return answers

    def seconds(self) -> float:
        """What the teacher took."""
        timing = RecordLog(self.folder / "timing.jsonl", Spent)
        return sum(seconds_of(timing, label) for label in self._labels)

    def tokens(self) -> int | None:
        """What the teacher wrote; None: unknown."""
        return total([Cost.of(self._replies).completion_tokens])

    def _way(self, label: str, asker: Asker) -> Way:
        sampler = self.sampler
        return Way(
            self.folder, label, sampler.chunk, retries=self.section.retries, again=asker.again, emit=sampler.emit
        )

    def _took(self, label: str, replies: Sequence[Answer], labels: Sequence[str]) -> None:
        self._replies += replies
        self._labels += [one for one in labels if one not in self._labels]


def lost(end: Ended[V], step: str) -> Dropped:
    """Return what a request that ended in a loss is dropped as."""
    assert end.loss is not None
    reason = f"{end.loss.reason}: {end.loss.detail}" if end.loss.detail else end.loss.reason
    return Dropped(id=end.request.id, step=step, reason=reason, row=end.answers[-1].to_json())
