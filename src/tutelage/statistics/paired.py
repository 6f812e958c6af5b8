"""Two models on the same items: differences, the exact test of McNemar, Holm over several comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from tutelage.errors import TutelageError
from tutelage.statistics.bootstrap import Bounds, Design, clustered_bootstrap, stratified_mean


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus before, paired by item.

    ``estimate``, ``before`` and ``after`` are None when no pair has both scores. ``low`` and ``high`` belong to
    ``confidence`` and ``sides`` (1: each end is a one-sided bound). ``error`` is the standard error, ``below_zero`` the
    share of resampled differences below zero: like a one-sided p-value, but not one. ``unscored`` counts the pairs left
    out because at least one side has no score; ``reason`` says why an interval is not an ordinary one.
    """

    estimate: float | None
    low: float
    high: float
    before: float | None = None
    after: float | None = None
    error: float | None = None
    below_zero: float | None = None
    n: int = 0
    clusters: int = 0
    unscored: int = 0
    confidence: float = 0.95
    sides: int = 2
    reason: str = ""


def paired_clustered_bootstrap(
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    design: Design,
    confidence: float = 0.95,
    sides: int = 2,
    bounds: Bounds = (-1.0, 1.0),
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return the weighted mean over strata of the mean difference ``after`` − ``before`` with its clustered interval.

    ``before`` and ``after`` [n] are scores of the same items in the same order; ``bounds`` are those of a difference
    (None for a scale without ends). The method is that of ``clustered_bootstrap`` applied to the differences, which is
    what pairing means. Raises ``TutelageError`` when lengths differ or a value is not finite.
    """
    if len(before) != len(after):
        raise TutelageError(
            "paired scores must be of the same items", received=f"{len(before)} and {len(after)} scores"
        )
    pairs = [None if b is None or a is None else (b, a) for b, a in zip(before, after, strict=True)]
    changes = [None if pair is None else pair[1] - pair[0] for pair in pairs]
    result = clustered_bootstrap(
        changes, design, confidence=confidence, sides=sides, bounds=bounds, resamples=resamples, seed=seed
    )
    return Difference(
        estimate=result.value,
        low=result.low,
        high=result.high,
        before=stratified_mean([None if pair is None else pair[0] for pair in pairs], design),
        after=stratified_mean([None if pair is None else pair[1] for pair in pairs], design),
        error=result.error,
        below_zero=result.below_zero,
        n=result.n,
        clusters=result.clusters,
        unscored=result.unscored,
        confidence=confidence,
        sides=sides,
        reason=result.reason,
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """Pairs that changed: ``only_before`` right before and wrong after, ``only_after`` the reverse; two-sided p."""

    only_before: int
    only_after: int
    p: float
    n: int
    unscored: int


def mcnemar_exact(before: Sequence[bool | None], after: Sequence[bool | None]) -> McNemar:
    """Return the exact two-sided test of equal marginal rates (McNemar 1947, binomial form); p = 1 if none changed.

    It takes pairs for independent: where items share a source, use ``paired_clustered_bootstrap``.
    """
    if len(before) != len(after):
        raise TutelageError(
            "paired scores must be of the same items", received=f"{len(before)} and {len(after)} scores"
        )
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if b is not None and a is not None]
    lost = sum(bool(b) and not a for b, a in pairs)
    won = sum(bool(a) and not b for b, a in pairs)
    p = min(1.0, 2 * float(bdtr(min(lost, won), lost + won, 0.5)))
    return McNemar(lost, won, p, len(pairs), len(before) - len(pairs))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted for their number (Holm 1979), in the order given; each holds at any level."""
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise TutelageError("a p-value lies in [0, 1]", received=str(wrong[0]))
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (count - rank) * p_values[int(index)]))
        adjusted[int(index)] = largest
    return tuple(adjusted)
