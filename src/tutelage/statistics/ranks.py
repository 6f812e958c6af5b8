"""Spearman's rank correlation, without ``scipy.stats``: that takes over a second of processor time to import."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Pearson's correlation of the average ranks of ``one`` and ``other``, number by number of equal length.

    None where one of both never varies: there is no such number then.
    """
    if len(one) != len(other):
        raise ValueError(f"spearman: {len(one)} numbers and {len(other)}; give as many of one as of the other")
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    ours, theirs = average_ranks(one), average_ranks(other)
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return float(np.clip(ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs)), -1, 1))


def average_ranks(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Return the rank of each number, from 1; equal ones share the mean of their ranks."""
    _, places, counts = np.unique(np.asarray(numbers, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
