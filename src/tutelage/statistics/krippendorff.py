"""Agreement of any number of raters, not all of whom rated everything: Krippendorff's α.

Source: Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), whose four steps these are, and Hayes and
Krippendorff 2007 on reading it: 1 is perfect agreement, 0 what chance would give, below 0 systematic disagreement.
Compared with the values of the paper's own example and with the ``krippendorff`` package in the tests.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tutelage.errors import DataError, Problem
from tutelage.statistics.intervals import Interval, tail

Metric = Literal["nominal", "ordinal", "interval"]
Floats = NDArray[np.float64]
RESAMPLES = 1000
AT_ONCE = 100
MIN_DEFINED = 0.9


@dataclass(frozen=True, slots=True)
class Alpha:
    """α over ``n`` items that two raters or more rated, with ``pairable`` ratings; ``left_out``: items with fewer.

    ``alpha`` is None where it is not defined, for the ``reason``: nothing to compare, or one value throughout.
    ``interval`` is None where it cannot be estimated: fewer than two items, or α is undefined in over a tenth of the
    resamples.
    """

    alpha: float | None
    n: int
    pairable: int
    left_out: int = 0
    interval: Interval | None = None
    reason: str = ""


def krippendorff_alpha(
    items: Sequence[Sequence[Hashable]],
    metric: Metric,
    *,
    order: Sequence[Hashable] = (),
    confidence: float = 0.95,
    seed: int = 0,
) -> Alpha:
    """Return α = 1 − D_o/D_e of the ratings of each item, the missing ones left out; who gave which does not matter.

    δ² is 0 for equal values and else 1 (``nominal``), the squared number of ratings between the two, each end counted
    half (``ordinal``, values in ``order``, lowest first, or by size), or (c − k)² (``interval``, numbers).

    The interval is that of a percentile bootstrap over items (1,000 resamples, ``seed``). This is not the bootstrap of
    Hayes and Krippendorff, which draws pairs of ratings as if they were independent, and it is the wider of the two
    where items have several.

    Raises :class:`DataError` for values that ``order`` lacks and for values that are no numbers where numbers are
    needed.
    """
    rated = [ratings for ratings in items if len(ratings) > 1]
    left_out, pairable = len(items) - len(rated), sum(map(len, rated))
    values = _values(rated, metric, order)
    if not rated:
        return Alpha(None, 0, 0, left_out, reason="no item has two ratings")
    place = {value: at for at, value in enumerate(values)}
    counts = np.zeros((len(rated), len(values)))
    for row, ratings in enumerate(rated):
        for value in ratings:
            counts[row, place[value]] += 1
    numbers = np.array([float(str(value)) if metric == "interval" else 0.0 for value in values])
    [found] = _alphas(counts, np.ones((1, len(rated))), metric, numbers)
    if np.isnan(found):
        reason = "one value throughout: chance alone would agree as much"
        return Alpha(None, len(rated), pairable, left_out, reason=reason)
    interval = _interval(counts, metric, numbers, outside=tail(confidence, 2), seed=seed) if len(rated) > 1 else None
    return Alpha(float(found), len(rated), pairable, left_out, interval)


def _interval(counts: Floats, metric: Metric, numbers: Floats, *, outside: float, seed: int) -> Interval | None:
    draw, size = np.random.default_rng(seed), len(counts)
    drawn = []
    for start in range(0, RESAMPLES, AT_ONCE):
        weights = draw.multinomial(size, np.full(size, 1 / size), size=min(AT_ONCE, RESAMPLES - start))
        drawn.append(_alphas(counts, weights.astype(float), metric, numbers))
    found = np.concatenate(drawn)
    defined = found[~np.isnan(found)]
    if len(defined) < MIN_DEFINED * RESAMPLES:
        return None
    low, high = np.quantile(defined, [outside, 1 - outside])
    return Interval(float(low), float(high))


def _alphas(counts: Floats, weights: Floats, metric: Metric, numbers: Floats) -> Floats:
    """α of items × values ``counts`` for each row of resamples × items ``weights``; NaN where all ratings are equal.

    Without the matrix of coincidences, whose size is that of values squared for every resample: with n_uc ratings c of
    item u, m_u in all, D_o = Σ_u Σ_ck n_uc n_uk δ²_ck / (m_u − 1) and D_e = Σ_ck n_c n_k δ²_ck / (n − 1), both over n.
    """
    totals = weights @ counts  # resamples × values
    n, sizes = totals.sum(axis=1), counts.sum(axis=1)
    per_item = weights / (sizes - 1)
    if metric == "nominal":
        seen = per_item @ (sizes**2 - (counts**2).sum(axis=1))
        by_chance = n**2 - (totals**2).sum(axis=1)
    else:
        # Σ_ck n_c n_k (x_c − x_k)² = 2 (n Σ n_c x_c² − (Σ n_c x_c)²). Ordinal: x is the middle rank of a value, for the
        # ratings between two values, their ends counted half, are the difference of those.
        ranks = np.cumsum(totals, axis=1) - totals / 2
        points = np.broadcast_to(numbers - numbers.mean(), totals.shape) if metric == "interval" else ranks
        sums, squares = points @ counts.T, points**2 @ counts.T
        seen = 2 * (per_item * (sizes * squares - sums**2)).sum(axis=1)
        by_chance = 2 * (n * (totals * points**2).sum(axis=1) - (totals * points).sum(axis=1) ** 2)
    varied = np.count_nonzero(totals, axis=1) > 1
    share = np.divide((n - 1) * seen, by_chance, out=np.full(len(weights), np.nan), where=varied)
    return np.asarray(1 - share)


def _values(rated: Sequence[Sequence[Hashable]], metric: Metric, order: Sequence[Hashable]) -> list[Hashable]:
    found = list(dict.fromkeys(value for ratings in rated for value in ratings))
    if order and metric == "ordinal":
        if unknown := [value for value in found if value not in order]:
            raise DataError("alpha", [Problem("the order lacks values", "order", ", ".join(map(repr, unknown[:5])))])
        return list(order)
    if metric == "nominal":
        return found
    if strange := [value for value in found if isinstance(value, bool) or not isinstance(value, int | float)]:
        remedy = "give the order of the values" if metric == "ordinal" else "give numbers, or take another metric"
        what = f"expected numbers for the {metric} metric"
        raise DataError("alpha", [Problem(what, "ratings", ", ".join(map(repr, strange[:5])), remedy)])
    return sorted(found, key=lambda value: float(str(value)))
