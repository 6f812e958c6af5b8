"""The judge of a round: a score for answers that no program can check, and which of several that passed is best.

A program's verdict stands whatever a judge says: what failed its check is never shown to one. Only answers to train
items are: the judge is opened by this stage alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutelage.completers.replay import OpenCompleter
from tutelage.construct.missing import count_missing
from tutelage.events import Emit, Event
from tutelage.judging.judge import Court, Judge, Judged
from tutelage.judging.pairwise import hold
from tutelage.judging.pointwise import judge_each
from tutelage.judging.rubric import Criterion, Rubric
from tutelage.judging.summary import words
from tutelage.recipe.judge import JudgeSection
from tutelage.records import Answer, Item, Verdict
from tutelage.records.judging import JudgedSet, Judging
from tutelage.text.repetition import repeated_share

Rank = tuple[int, float, int, float]


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer before the judge, with what its task's program said of it."""

    item: Item
    answer: Answer
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Bench:
    """The judge of one round, its folder, and the sets that it has judged so far."""

    judge: Judge
    section: JudgeSection
    folder: Path
    chunk: int
    emit: Emit
    sets: list[JudgedSet] = field(default_factory=list)

    def passes(self, verdict: Verdict) -> bool:
        """Whether a judged verdict is good enough to keep its answer."""
        return verdict.score is not None and verdict.score >= self.section.threshold

    def score(self, name: str, heard: Sequence[Heard]) -> tuple[list[Verdict], Judging]:
        """Return the verdict on each answer: the program's, and the judge's where the program has none.

        What is empty or was cut off fails unasked. Raises :class:`tutelage.errors.CompletionError` where much did not
        come and may come when it is asked again.
        """
        verdicts = [_by_program(one) for one in heard]
        if not self.section.unchecked:
            return [one.verdict for one in heard], Judging()
        places = [at for at, one in enumerate(heard) if verdicts[at].score is None and one.answer.finish != "error"]
        if not places:
            return verdicts, Judging()
        label = f"{name}-judge"
        found = judge_each(self.judge, [_judged(heard[at]) for at in places], court=self._court(label))
        self._say(found.summary, found.replies, _first_reason(found.verdicts), "kept")
        for at, verdict in zip(places, found.verdicts, strict=True):
            verdicts[at] = verdict
        return verdicts, found.judging

    def rank(self, name: str, groups: Sequence[Sequence[Heard]]) -> tuple[dict[str, Verdict], Judging]:
        """Return by request id what the judge says of answers that passed, where an item has several different ones.

        At most ``candidates`` of an item are shown. Those that have a score of this judge keep it.
        """
        chosen = [self._candidates(group) for group in groups] if self.section.best_of is not None else []
        chosen = [group for group in chosen if len(group) > 1]
        if not chosen:
            return {}, Judging()
        label = f"{name}-best"
        court = self._court(label)
        if self.section.best_of == "pairwise":
            found = hold(self.judge, [[_judged(one) for one in group] for group in chosen], court=court)
            asked = [one for group in chosen for one in group]
            verdicts = [verdict for group in found.verdicts for verdict in group]
            self._say(found.summary, found.replies, found.why, "preferred to others")
            return _by_request(asked, verdicts), found.judging
        asked = [one for group in chosen for one in group if one.verdict.judge is None]
        if not asked:
            return {}, Judging()
        scores = judge_each(self.judge, [_judged(one) for one in asked], court=court)
        self._say(scores.summary, scores.replies, _first_reason(scores.verdicts), "preferred to others")
        return _by_request(asked, scores.verdicts), scores.judging

    def _candidates(self, group: Sequence[Heard]) -> list[Heard]:
        different: dict[str, Heard] = {}
        for one in sorted(group, key=lambda one: repeated_share(one.answer.text)):
            different.setdefault(one.answer.text.strip(), one)
        return list(different.values())[: self.section.candidates]

    def _court(self, label: str) -> Court:
        return Court(self.folder, label, self.chunk, self.emit)

    def _say(self, found: JudgedSet, replies: Sequence[Answer], why: str, lost: str) -> None:
        """Say what came of a set and ``why`` the first is unscored; nothing of what could not be judged is made up."""
        count_missing(replies, label=found.label, emit=self.emit)
        self.sets.append(found)
        said = words(found) + (f"; the first: {why}" if why else "")
        if not found.scored:
            said += f". The judge said nothing that could be read, so none of these answers is {lost}"
        self.emit(Event("note", data={"text": said}))


def _first_reason(verdicts: Sequence[Verdict]) -> str:
    return next((verdict.reason for verdict in verdicts if verdict.score is None), "")


def judge_of(section: JudgeSection, *, open: OpenCompleter, name: str, again: bool) -> Judge:
    """Return the judge that a section describes, asked through ``open``."""
    criteria = tuple(Criterion(key, asks) for key, asks in section.criteria.items())
    return Judge(
        open=open,
        name=name,
        rubric=Rubric(criteria, section.scale, section.combine),
        references=section.references,
        max_tokens=section.max_tokens,
        retries=section.retries,
        again=again,
    )


def rank_of(verdicts: Sequence[Verdict | None], text: str) -> Rank:
    """Return the sort key of an answer, the best first: judged before not, by the first of ``verdicts`` that a judge
    gave a score, then by the mean over its criteria, then by how little the text repeats itself."""
    repeated = repeated_share(text)
    for verdict in verdicts:
        if verdict is not None and verdict.judge is not None and verdict.score is not None:
            return 0, -verdict.score, -sum(one.score for one in verdict.criteria), repeated
    return 1, 0.0, 0, repeated


def _by_program(one: Heard) -> Verdict:
    """The program's verdict; of what it cannot judge, that an answer is no answer needs no judge."""
    if one.verdict.score is not None or one.answer.finish == "error":
        return one.verdict
    if not one.answer.text.strip():
        return Verdict(score=0.0, reason="The answer is empty.")
    if not one.answer.ended:
        return Verdict(score=0.0, reason="The answer does not come to its end.")
    return one.verdict


def _judged(one: Heard) -> Judged:
    return Judged(one.answer.request_id, one.item, one.answer.text.strip())


def _by_request(asked: Sequence[Heard], verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    return {one.answer.request_id: verdict for one, verdict in zip(asked, verdicts, strict=True)}
