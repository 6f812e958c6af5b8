"""Two answers side by side, in both orders: a verdict that changes with the order is a tie (Zheng et al. 2023).

Of several answers to one item every two are compared, both ways: n(n−1) requests for n answers. A knock-out would ask
2(n−1), but its winner depends on who meets whom, a tie needs a rule of its own, and its rounds wait for one another.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from tutelage.judging.fence import mark_for
from tutelage.judging.judge import Court, Judge, Judged, Question, Ruling, ask_judge, pair_id, shown, texts_of
from tutelage.judging.reading import PREFERENCE, Better, Kind, read_better
from tutelage.judging.summary import summarize
from tutelage.records import Answer, Verdict
from tutelage.records.judging import JudgedSet, Judging
from tutelage.records.verdicts import JudgeIdentity

PROMPT = "pairwise"
Preferred = Literal["first", "second", "tie"]
Read = tuple[Better, str]


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """Which of two answers is better; None: unscored, with the ``kind`` and the reason.

    ``swapped``: the two orders did not agree, so it is a tie.
    """

    preferred: Preferred | None
    reason: str
    judge: JudgeIdentity | None
    kind: Kind | None = None
    swapped: bool = False

    @property
    def points(self) -> float | None:
        """What the first of the two gets: 1, ½ for a tie, 0; None where it is unscored."""
        return None if self.preferred is None else {"first": 1.0, "tie": 0.5, "second": 0.0}[self.preferred]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """A verdict for each pair, in order; the cost, and every reply."""

    verdicts: list[PairVerdict]
    judging: Judging
    replies: list[Answer]


@dataclass(frozen=True, slots=True)
class Tournaments:
    """A verdict for each answer of each group: its share of the points that it could win; why the first unscored pair
    is, the set, the cost, every reply."""

    verdicts: list[list[Verdict]]
    why: str
    summary: JudgedSet
    judging: Judging
    replies: list[Answer]


def compare(judge: Judge, pairs: Sequence[tuple[Judged, Judged]], *, court: Court) -> Comparisons:
    """Return which of each two answers to one item ``judge`` prefers, asked in both orders.

    Exchanging the two of a pair sends the same requests and exchanges the verdict. Two equal texts tie unasked.
    """
    questions: dict[str, Question[Read]] = {}
    for one, other in pairs:
        if one.is_text and one.text.strip() != other.text.strip():
            for first, second in ((one, other), (other, one)):
                asked = _question(first, second, judge)
                questions.setdefault(asked.id, asked)
    # In an order of their own: what a batch holds then does not depend on the order of pairs.
    ordered = [questions[name] for name in sorted(questions)]
    found = ask_judge(judge, ordered, prompt=PROMPT, court=court)
    rulings = {question.id: ruling for question, ruling in zip(ordered, found.rulings, strict=True)}
    verdicts = [_verdict(one, other, rulings) for one, other in pairs]
    unscored = sum(verdict.preferred is None for verdict in verdicts)
    return Comparisons(verdicts, found.judging(judged=len(pairs), unscored=unscored), found.replies)


def hold(judge: Judge, groups: Sequence[Sequence[Judged]], *, court: Court) -> Tournaments:
    """Compare every two answers of each of ``groups``, and return each answer's share of the points.

    A pair that is unscored gives no points and takes none; an answer without a scored pair is unscored.
    """
    pairs = [pair for group in groups for pair in combinations(group, 2)]
    found = compare(judge, pairs, court=court)
    played: dict[str, list[tuple[float, PairVerdict]]] = {one.id: [] for group in groups for one in group}
    for (one, other), verdict in zip(pairs, found.verdicts, strict=True):
        if verdict.points is not None:
            played[one.id].append((verdict.points, verdict))
            played[other.id].append((1 - verdict.points, verdict))
    lost = {one.id: verdict for pair, verdict in zip(pairs, found.verdicts, strict=True) for one in pair}
    verdicts = [[_standing(played[one.id], lost.get(one.id)) for one in group] for group in groups]
    lengths = [len(one.text.split()) for group in groups for one in group]
    summary = _of_pairs(court.label, found.verdicts, [one for group in verdicts for one in group], lengths)
    why = next((verdict.reason for verdict in found.verdicts if verdict.preferred is None), "")
    return Tournaments(verdicts, why, summary, found.judging, found.replies)


def _of_pairs(
    label: str, pairs: Sequence[PairVerdict], verdicts: Sequence[Verdict], lengths: Sequence[int]
) -> JudgedSet:
    """The set, counted in pairs: the mean share of points is one half whatever a judge says."""
    scored = [pair for pair in pairs if pair.preferred is not None]
    counted = {
        "of": "pairs",
        "n": len(pairs),
        "scored": len(scored),
        "mean": None,
        "unscored": dict(sorted(Counter(pair.kind for pair in pairs if pair.kind is not None).items())),
        "swapped": sum(pair.swapped for pair in scored) / len(scored) if scored else None,
    }
    return summarize(label, verdicts, (), lengths=lengths).model_copy(update=counted)


def _question(first: Judged, second: Judged, judge: Judge) -> Question[Read]:
    values = shown(first, judge)
    values |= {
        "mark": mark_for([*texts_of(values), first.text, second.text]),
        "first": first.text,
        "second": second.text,
        "criteria": judge.rubric.criteria,
    }
    return Question(pair_id(first, second), values, PREFERENCE, read_better)


def _verdict(one: Judged, other: Judged, rulings: Mapping[str, Ruling[Read]]) -> PairVerdict:
    if one.text.strip() == other.text.strip():
        return PairVerdict("tie", "The two answers are the same.", None)
    if not one.is_text:
        return PairVerdict(None, "The request holds more than text.", None, "not text")
    there, back = rulings[pair_id(one, other)], rulings[pair_id(other, one)]
    for ruling in (there, back):
        if ruling.value is None:
            return PairVerdict(None, f"Not judged ({ruling.kind}): {ruling.why}", ruling.judge, ruling.kind)
    assert there.value is not None
    assert back.value is not None
    ways: dict[Better, Preferred] = {"A": "first", "B": "second", "tie": "tie"}
    turned: dict[Better, Preferred] = {"A": "second", "B": "first", "tie": "tie"}
    straight, crossed = ways[there.value[0]], turned[back.value[0]]
    if straight != crossed:
        return PairVerdict("tie", "The verdict changed with the order of the two answers.", there.judge, swapped=True)
    # The shorter of two reasons for one verdict, so that exchanging the answers does not exchange it.
    reason = min((there.value[1], back.value[1]), key=lambda text: (len(text), text))
    return PairVerdict(straight, reason, there.judge)


def _standing(played: Sequence[tuple[float, PairVerdict]], last: PairVerdict | None) -> Verdict:
    if not played:
        reason = last.reason if last is not None else "There was no other answer to compare it with."
        return Verdict(score=None, reason=reason, judge=last.judge if last is not None else None)
    score = sum(points for points, _ in played) / len(played)
    points, best = max(played, key=lambda pair: pair[0])
    judge = next((verdict.judge for _, verdict in played if verdict.judge is not None), None)
    reason = best.reason if points == 1 else f"It won none of {len(played)} comparisons."
    return Verdict(score=score, reason=reason, judge=judge)
