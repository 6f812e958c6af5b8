"""How far people agree: over a project by Krippendorff's α and Cohen's κ, and on each item by itself.

What is compared, by kind of work: scores on each scale (ordinal), the choice (nominal; a tie is one), labels (nominal;
each label for itself where several apply), of every two ranked answers which is better (nominal), whether an answer was
changed (nominal). Stretches of text have no α here, which would need Krippendorff's α for units (2004, ch. 11): for
them it is the mean overlap of two people's marks. Answers that people wrote are not compared. Adjudicators are left
out: they see the others' disagreement before they decide.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import Choice, Correction, Labels, Ranking, Rating, Response, Spans
from tutelage.annotation.views import Judgment
from tutelage.annotation.work import LabelWork, RateWork, Work
from tutelage.errors import DataError, Problem
from tutelage.statistics import Agreement, Alpha, Metric, cohen_kappa, krippendorff_alpha

TIE = "tie"
Unit = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """κ of two annotators on what both of them rated (quadratic weights on a scale)."""

    first: str
    second: str
    kappa: Agreement


@dataclass(frozen=True, slots=True)
class Measure:
    """Agreement on one thing that was asked; ``name`` is that of the scale or label, or of what was compared.

    ``overlap`` stands in the place of ``alpha`` for stretches of text: the mean Dice coefficient of two people's marks.
    """

    name: str
    metric: Metric | None
    alpha: Alpha | None
    pairs: tuple[PairAgreement, ...] = ()
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    metric: Metric
    order: tuple[Hashable, ...]
    values: Callable[[WorkItem, Response], Iterator[tuple[Unit, Hashable]]]


def people_only(judgments: Sequence[Judgment]) -> dict[str, dict[str, Response]]:
    """Return by item what each annotator said last, adjudicators left out."""
    found: dict[str, dict[str, tuple[int, Response]]] = defaultdict(dict)
    for one in judgments:
        there = found[one.item].get(one.annotator)
        if one.role == "annotator" and (there is None or there[0] < one.number):
            found[one.item][one.annotator] = (one.number, one.response)
    return {item: {who: said for who, (_, said) in those.items()} for item, those in found.items() if those}


def agreement_of(
    work: Work, items: Sequence[WorkItem], judgments: Sequence[Judgment], *, seed: int = 0
) -> tuple[Measure, ...]:
    """Return how far people agree on each thing that was asked; nothing for answers that they wrote.

    Where more than two answers are ranked, the pairs of one item hang together, so that α there has no interval.
    """
    said = people_only(judgments)
    if work.kind == "spans":
        distances = [distance for distance in disagreements(work, items, judgments).values() if distance is not None]
        overlap = 1 - sum(distances) / len(distances) if distances else None
        return (Measure("marks", None, None, overlap=overlap),)
    return tuple(_measure(asked, items, said, seed) for asked in _asked(work))


def disagreements(work: Work, items: Sequence[WorkItem], judgments: Sequence[Judgment]) -> dict[str, float | None]:
    """Return for each item the mean distance of two people's responses, from 0 (all say the same) to 1.

    None: fewer than two people, or answers that they wrote. Distances: of ratings, the difference on the scale where it
    is largest over the length of that scale; of one label or choice, whether it differs; of several labels, 1 − their
    Jaccard index; of rankings, the share of pairs in another order (half for one that is a tie for one of both); of
    marks, 1 − the Dice coefficient of marked characters with their labels; of corrections, whether one of both changed
    nothing and the other something.
    """
    said, asked = people_only(judgments), {item.id: item for item in items}
    found: dict[str, float | None] = {}
    for item in asked.values():
        pairs = list(combinations(said.get(item.id, {}).values(), 2))
        distances = [_distance(work, item, first, second) for first, second in pairs]
        known = [one for one in distances if one is not None]
        found[item.id] = sum(known) / len(known) if known else None
    return found


def disputed(found: Mapping[str, float | None], threshold: float) -> list[str]:
    """Return the items on which people disagree by more than ``threshold``, the most disputed first."""
    if not 0 <= threshold <= 1:
        raise DataError("disagreement", [Problem("a threshold lies between 0 and 1", "threshold", str(threshold))])
    above = [(value, item) for item, value in found.items() if value is not None and value > threshold + 1e-9]
    return [item for _, item in sorted(above, key=lambda pair: -pair[0])]


def _measure(
    asked: _Asked, items: Sequence[WorkItem], said: Mapping[str, Mapping[str, Response]], seed: int
) -> Measure:
    units: dict[Unit, dict[str, Hashable]] = defaultdict(dict)
    for item in items:
        for who, response in said.get(item.id, {}).items():
            for unit, value in asked.values(item, response):
                units[unit][who] = value
    alpha = krippendorff_alpha(
        [list(those.values()) for those in units.values()], asked.metric, order=asked.order, seed=seed
    )
    if len({unit[0] for unit in units}) < len(units):
        alpha = replace(alpha, interval=None)
    people = sorted({who for those in units.values() for who in those}, key=_number)
    pairs = []
    for first, second in combinations(people, 2):
        both = [those for those in units.values() if first in those and second in those]
        if both:
            ordered = asked.metric == "ordinal"
            kappa = cohen_kappa(
                [those[first] for those in both],
                [those[second] for those in both],
                weights="quadratic" if ordered else "none",
                order=asked.order if ordered else (),
            )
            pairs.append(PairAgreement(first, second, kappa))
    return Measure(asked.name, asked.metric, alpha, tuple(pairs))


def _asked(work: Work) -> Iterator[_Asked]:
    match work:
        case RateWork(scales=scales):
            for scale in scales:
                yield _Asked(scale.name, "ordinal", tuple(range(scale.low, scale.high + 1)), _score_on(scale.name))
        case LabelWork(several=True, labels=labels):
            for label in labels:
                yield _Asked(label, "nominal", (), _has(label))
        case _:
            names = {"choose": "choice", "label": "label", "rank": "pairs", "correct": "changed"}
            if work.kind in names:
                yield _Asked(names[work.kind], "nominal", (), _values)


def _score_on(scale: str) -> Callable[[WorkItem, Response], Iterator[tuple[Unit, Hashable]]]:
    def values(item: WorkItem, response: Response) -> Iterator[tuple[Unit, Hashable]]:
        if isinstance(response, Rating):
            yield (item.id,), response.scores[scale]

    return values


def _has(label: str) -> Callable[[WorkItem, Response], Iterator[tuple[Unit, Hashable]]]:
    def values(item: WorkItem, response: Response) -> Iterator[tuple[Unit, Hashable]]:
        if isinstance(response, Labels):
            yield (item.id,), label in response.labels

    return values


def _values(item: WorkItem, response: Response) -> Iterator[tuple[Unit, Hashable]]:
    match response:
        case Choice(better=better):
            yield (item.id,), better if better is not None else (TIE,)  # no key is a tuple
        case Labels(labels=labels):
            yield (item.id,), labels[0]
        case Correction(text=text):
            yield (item.id,), text != item.answers[0].text
        case Ranking():
            for first, second in combinations(item.keys, 2):
                yield (item.id, first, second), _sign(response.place(second) - response.place(first))


def _distance(work: Work, item: WorkItem, first: Response, second: Response) -> float | None:
    match first, second:
        case Rating(), Rating():
            assert isinstance(work, RateWork)
            return max(
                abs(scale.placed(first.scores[scale.name]) - scale.placed(second.scores[scale.name]))
                for scale in work.scales
            )
        case Choice(), Choice():
            return float(first.better != second.better)
        case Labels(), Labels():
            union = set(first.labels) | set(second.labels)
            return 1 - len(set(first.labels) & set(second.labels)) / len(union) if union else 0.0
        case Ranking(), Ranking():
            signs = [
                [_sign(one.place(b) - one.place(a)) for a, b in combinations(item.keys, 2)] for one in (first, second)
            ]
            return sum(abs(one - other) / 2 for one, other in zip(signs[0], signs[1], strict=True)) / len(signs[0])
        case Spans(), Spans():
            ones, others = _marked(first), _marked(second)
            return 1 - 2 * len(ones & others) / (len(ones) + len(others)) if ones or others else 0.0
        case Correction(), Correction():
            own = item.answers[0].text
            return float((first.text == own) != (second.text == own))
    return None


def _marked(response: Spans) -> set[tuple[int, str]]:
    return {(at, span.label) for span in response.spans for at in range(span.start, span.end)}


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)


def _number(who: str) -> tuple[int, str]:
    """Annotators in the order of their numbers: the second before the tenth."""
    tail = who.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 0, who)
