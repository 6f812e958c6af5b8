"""What the people who judged an item decided together: by majority and mean, or weighing their skill."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from statistics import mean
from typing import Literal

from pydantic import Field

from tutelage.annotation.agreement import TIE, disagreements, people_only
from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import Choice, Labels, Ranking, Rating, Response
from tutelage.annotation.views import Judgment
from tutelage.annotation.work import LabelWork, RankWork, RateWork, Work
from tutelage.errors import DataError, Problem
from tutelage.records import Record
from tutelage.statistics import dawid_skene, wilson

Way = Literal["majority", "dawid_skene"]


class Better(Record):
    """Of two answers of an item the better; ``share`` of those who judged that say so (Dawid-Skene: its chance)."""

    better: str
    worse: str
    share: float


class Decision(Record):
    """What holds of one item, and how many ``people`` judged it.

    ``scores`` by scale: means; ``score``: the weakest scale, placed between 0 and 1. ``labels``: None where as many say
    one thing as another. ``better``: pairs of answers on which more than half say so. ``adjudicated``: one person, who
    saw the others' judgments, has decided.
    """

    item: str
    people: int
    disagreement: float | None = None
    adjudicated: bool = False
    score: float | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    better: tuple[Better, ...] = ()


class Quality(Record):
    """Q, the share of ``n`` rated items whose score reaches ``threshold``, with its 95 % interval (Wilson)."""

    share: float | None
    n: int
    low: float
    high: float
    threshold: float


def decide(
    work: Work, items: Sequence[WorkItem], judgments: Sequence[Judgment], *, way: Way = "majority"
) -> dict[str, Decision]:
    """Return what was decided of every item that somebody judged; texts that people wrote are not decided about.

    ``majority``: ratings by their mean, labels and choices by votes, ranked answers by votes on every two.
    ``dawid_skene``: the likeliest label or choice, the expected score. Raises :class:`DataError` for rankings and
    marks, which Dawid and Skene's model does not have.
    """
    if way == "dawid_skene" and work.kind in ("rank", "spans", "write", "correct"):
        remedy = "take majority; it weighs labels, choices and ratings"
        raise DataError("decisions", [Problem(f"Dawid-Skene has no model of {work.kind}", "way", way, remedy)])
    said = people_only(judgments)
    apart = disagreements(work, items, judgments)
    final: dict[str, Response] = {}
    last = [one for those in last_by_item(judgments).values() for one in those]
    for one in sorted(last, key=lambda one: one.created_at):
        if one.role == "adjudicator":
            final[one.item] = one.response
    chances = _chances(work, said) if way == "dawid_skene" else {}
    found = {}
    for item in items:
        people = said.get(item.id, {})
        if not people and item.id not in final:
            continue
        known: dict[str, object] = {"item": item.id, "people": len(people), "disagreement": apart[item.id]}
        responses = [final[item.id]] if item.id in final else list(people.values())
        known["adjudicated"] = item.id in final
        weighed = {} if item.id in final else {asked: those[item.id] for asked, those in chances.items()}
        found[item.id] = Decision.model_validate({**known, **_decided(work, item, responses, weighed)})
    return found


def last_by_item(judgments: Sequence[Judgment]) -> dict[str, list[Judgment]]:
    """Return by item what holds of each person, adjudicators too: the judgment with the highest number."""
    last: dict[tuple[str, str], Judgment] = {}
    for one in judgments:
        if (one.item, one.annotator) not in last or last[one.item, one.annotator].number < one.number:
            last[one.item, one.annotator] = one
    found: dict[str, list[Judgment]] = defaultdict(list)
    for (item, _), one in last.items():
        found[item].append(one)
    return found


def quality(decisions: Mapping[str, Decision], threshold: float) -> Quality:
    """Return Q of the items that have a score."""
    scores = [one.score for one in decisions.values() if one.score is not None]
    good = sum(score >= threshold - 1e-9 for score in scores)
    interval = wilson(good, len(scores))
    share = good / len(scores) if scores else None
    return Quality(share=share, n=len(scores), low=interval.low, high=interval.high, threshold=threshold)


Chances = Mapping[str, Mapping[Hashable, float]]


def _decided(
    work: Work, item: WorkItem, responses: Sequence[Response], weighed: Mapping[str, Mapping[Hashable, float]]
) -> dict[str, object]:
    match work:
        case RateWork():
            scores = {
                scale.name: sum(float(str(value)) * chance for value, chance in weighed[scale.name].items())
                if weighed
                else mean(one.scores[scale.name] for one in responses if isinstance(one, Rating))
                for scale in work.scales
            }
            return {"scores": scores, "score": min(scale.placed(scores[scale.name]) for scale in work.scales)}
        case LabelWork():
            votes = [one.labels for one in responses if isinstance(one, Labels)]
            return {"labels": _labels(work, votes, weighed)}
        case _ if work.kind == "choose":
            votes_for = Counter(one.better for one in responses if isinstance(one, Choice))
            shares = {key: votes_for[key] / len(responses) for key in item.keys}
            if weighed:
                shares = {key: weighed["choice"].get(key, 0.0) for key in item.keys}
            first, second = item.keys
            return {"better": [*_better(first, second, shares[first], shares[second])]}
        case RankWork():
            rankings = [one for one in responses if isinstance(one, Ranking)]
            pairs = []
            for first, second in combinations(item.keys, 2):
                before = sum(one.place(first) < one.place(second) for one in rankings) / len(rankings)
                after = sum(one.place(first) > one.place(second) for one in rankings) / len(rankings)
                pairs += _better(first, second, before, after)
            return {"better": pairs}
    return {}


def _better(first: str, second: str, one: float, other: float) -> list[Better]:
    """The pair if more than half say so; who says that neither is better counts among all."""
    if max(one, other) <= 0.5 + 1e-9:
        return []
    best, rest = (first, second) if one > other else (second, first)
    return [Better(better=best, worse=rest, share=max(one, other))]


def _labels(
    work: LabelWork, votes: Sequence[Sequence[str]], weighed: Mapping[str, Mapping[Hashable, float]]
) -> tuple[str, ...] | None:
    if work.several:
        if weighed:
            return tuple(label for label in work.labels if weighed[label].get(True, 0.0) > 0.5)
        counts = Counter(label for those in votes for label in those)
        if any(2 * counts[label] == len(votes) for label in work.labels):
            return None
        return tuple(label for label in work.labels if 2 * counts[label] > len(votes))
    shares = weighed["label"] if weighed else Counter(those[0] for those in votes)
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    if len(ranked) > 1 and abs(ranked[0][1] - ranked[1][1]) < 1e-9:
        return None
    return (str(ranked[0][0]),)


def _chances(work: Work, said: Mapping[str, Mapping[str, Response]]) -> dict[str, dict[str, dict[Hashable, float]]]:
    """By what is asked and by item the chances of each value."""
    every = [(item, who, response) for item, those in said.items() for who, response in those.items()]
    asked: dict[str, list[tuple[str, str, Hashable]]] = {}
    match work:
        case RateWork():
            for scale in work.scales:
                asked[scale.name] = [
                    (item, who, one.scores[scale.name]) for item, who, one in every if isinstance(one, Rating)
                ]
        case LabelWork(several=True):
            for label in work.labels:
                asked[label] = [(item, who, label in one.labels) for item, who, one in every if isinstance(one, Labels)]
        case LabelWork():
            asked["label"] = [(item, who, one.labels[0]) for item, who, one in every if isinstance(one, Labels)]
        case _:
            asked["choice"] = [
                (item, who, one.better if one.better is not None else (TIE,))
                for item, who, one in every
                if isinstance(one, Choice)
            ]
    found = {}
    for name, ratings in asked.items():
        if ratings:
            consensus = dawid_skene(ratings)
            found[name] = {
                item: dict(zip(consensus.classes, those, strict=True)) for item, those in consensus.chances.items()
            }
    return found
