"""Intervals of a proportion."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from tutelage.errors import TutelageError


@dataclass(frozen=True, slots=True)
class Interval:
    """A range with both ends."""

    low: float
    high: float


def tail(confidence: float, sides: int) -> float:
    """Return the probability outside each end of an interval; one-sided bounds leave all of it on one side."""
    if not 0 < confidence < 1:
        raise TutelageError("a confidence lies between 0 and 1", received=str(confidence), remedy="give 0.95, say")
    if sides not in (1, 2):
        raise TutelageError("an interval has one or two sides", received=str(sides), remedy="give 1 or 2")
    if (1 - confidence) / sides >= 0.5:
        raise TutelageError("a one-sided bound needs a confidence above 0.5", received=str(confidence))
    return (1 - confidence) / sides


def wilson(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson 1927); ``(0, 1)`` when nothing was counted (``n`` = 0).

    ``successes`` may be a fraction: scores in [0, 1] have at most the variance of a proportion with the same mean, so
    the interval of their sum is then wider than it has to be. Raises ``TutelageError`` unless 0 ≤ successes ≤ n.
    """
    if n < 0 or not -1e-9 <= successes <= n + 1e-9:
        raise TutelageError("successes must lie between 0 and n", received=f"{successes} of {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    z = -NormalDist().inv_cdf(tail(confidence, 2))
    rate = min(max(successes / n, 0.0), 1.0)
    shrink = 1 + z * z / n
    center = (rate + z * z / (2 * n)) / shrink
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / shrink
    # Rounding must not push an end past the observed rate: at 0 and n the exact end is 0 and 1.
    return Interval(min(max(center - half, 0.0), rate), max(min(center + half, 1.0), rate))
