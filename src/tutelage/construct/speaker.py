"""One who is asked beside the items of tasks: every reply is logged in a folder, and what it took is counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tutelage.completers.replay import Spent, answer_all, seconds_of
from tutelage.completers.structured.asking import Ended, Judge, Way, ask_structured
from tutelage.completers.structured.forms import Form
from tutelage.construct.missing import count_missing
from tutelage.construct.sampling import Asker, Sampler
from tutelage.records import Answer, Cost, Dropped, Request
from tutelage.records.jsonl import RecordLog
from tutelage.records.lineage import total

V = TypeVar("V")


@dataclass(slots=True)
class Speaker:
    """Who is asked, for which round, where it is logged, how often again where a form came out wrong; and all that was
    ever replied."""

    asker: Asker
    sampler: Sampler
    folder: Path
    retries: int
    _replies: list[Answer] = field(default_factory=list)
    _labels: list[str] = field(default_factory=list)

    def ask(
        self, label: str, requests: Sequence[Request], *, form: Form[V], examine: Judge[V] | None = None
    ) -> list[Ended[V]]:
        """Return what is said in a form; every try is logged as ``<label>.jsonl``.

        Raises what :func:`ask_structured` and :func:`count_missing` raise.
        """
        way = Way(
            self.folder,
            label,
            self.sampler.chunk,
            retries=self.retries,
            again=self.asker.again,
            emit=self.sampler.emit,
        )
        ends, _ = ask_structured(self.asker.open, requests, form=form, way=way, judge=examine)
        self._took([answer for end in ends for answer in end.answers], way.labels())
        count_missing([end.answers[-1] for end in ends], label=label, emit=self.sampler.emit)
        return ends

    def answer(self, label: str, requests: Sequence[Request]) -> list[Answer]:
        """Return answers in words, logged as ``<label>.jsonl``.

        Raises what :func:`answer_all` and :func:`count_missing` raise.
        """
        answers = answer_all(
            self.asker.open,
            requests,
            log=RecordLog(self.folder / f"{label}.jsonl", Answer),
            chunk=self.sampler.chunk,
            emit=self.sampler.emit,
            label=label,
            timing=RecordLog(self.folder / "timing.jsonl", Spent),
            again=self.asker.again,
        )
        self._took(answers, [label])
        count_missing(answers, label=label, emit=self.sampler.emit)
        return answers

    @property
    def cost(self) -> Cost:
        """What all replies cost, tries that came to nothing included."""
        return Cost.of(self._replies)

    @property
    def requests(self) -> int:
        """How many replies that was."""
        return len(self._replies)

    def seconds(self) -> float:
        """What they took."""
        timing = RecordLog(self.folder / "timing.jsonl", Spent)
        return sum(seconds_of(timing, label) for label in self._labels)

    def tokens(self) -> int | None:
        """What was written; None: unknown."""
        return total([self.cost.completion_tokens])

    def _took(self, replies: Sequence[Answer], labels: Sequence[str]) -> None:
        self._replies += replies
        self._labels += [one for one in labels if one not in self._labels]


def lost(end: Ended[V], step: str) -> Dropped:
    """Return what a request that ended in a loss is dropped as."""
    assert end.loss is not None
    reason = f"{end.loss.reason}: {end.loss.detail}" if end.loss.detail else end.loss.reason
    return Dropped(id=end.request.id, step=step, reason=reason, row=end.answers[-1].to_json())
