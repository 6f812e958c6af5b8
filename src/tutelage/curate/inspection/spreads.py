"""The quantiles and the histogram of whole numbers."""

from collections.abc import Sequence

import numpy as np

from tutelage.records.inspection import Bin, Spread

MAX_BINS = 20
QUANTILES = (5, 25, 50, 75, 95, 99)


def spread_of(values: Sequence[int]) -> Spread:
    """Return the spread of at least one whole number, none of them negative.

    Bins are equally wide, by 1, 2 or 5 times a power of ten, and at most 20 up to the 99th percentile; what is beyond
    stands in one more.
    """
    numbers = np.asarray(values, dtype=np.int64)
    quantiles = np.percentile(numbers, QUANTILES, method="inverted_cdf")
    p5, p25, median, p75, p95, p99 = (int(value) for value in quantiles)
    return Spread(
        n=len(numbers),
        total=int(numbers.sum()),
        least=int(numbers.min()),
        p5=p5,
        p25=p25,
        median=median,
        p75=p75,
        p95=p95,
        p99=p99,
        most=int(numbers.max()),
        bins=_bins(numbers, p99),
    )


def _bins(numbers: np.ndarray, p99: int) -> tuple[Bin, ...]:
    least, most = int(numbers.min()), int(numbers.max())
    width = _nice(-(-(p99 - least + 1) // (MAX_BINS - 1)))
    start = least // width * width
    edges = [*range(start, p99 + 1, width)]
    edges.append(edges[-1] + width)
    counts, _ = np.histogram(numbers[numbers < edges[-1]], bins=edges)
    bins = [
        Bin(low=low, high=high - 1, count=int(count))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    if beyond := int((numbers >= edges[-1]).sum()):
        bins.append(Bin(low=edges[-1], high=most, count=beyond))
    return tuple(bins)


def _nice(rough: int) -> int:
    """The next of 1, 2, 5 × 10ⁿ that is not below ``rough``."""
    power = 1
    while 10 * power <= rough:
        power *= 10
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
