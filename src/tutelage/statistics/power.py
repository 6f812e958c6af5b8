"""What a paired comparison can see: power, the smallest detectable difference, the items that would do.

An item's difference after − before is −1, 0 or 1; ``discordance`` ψ is the share that is not 0. Its variance is
ψ − δ² for a mean difference δ, and ψ under the hypothesis of none, which gives (Connor 1987)

    n = (z_α √ψ + z_β √(ψ − δ²))² / δ²,

times the design effect for items that share clusters (Kish 1965). A difference beyond ψ cannot be, so a comparison
with too few items detects nothing: None.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from tutelage.errors import TutelageError
from tutelage.statistics.intervals import tail


def design_effect(sizes: Sequence[int], correlation: float) -> float:
    """Return the factor on the variance for clusters of these sizes (Kish 1965: 1 + (Σm²/Σm − 1)·ρ), at least 1."""
    total = sum(sizes)
    if not total:
        return 1.0
    return max(1.0, 1 + (sum(size * size for size in sizes) / total - 1) * correlation)


def effective_items(counts: Sequence[int], weights: Sequence[float] = ()) -> float:
    """Return the number of items of one stratum that would give the variance of these strata: (Σw)² / Σ(w²/n)."""
    used = list(weights) or [1.0] * len(counts)
    if len(used) != len(counts):
        raise TutelageError("every stratum needs one weight", received=f"{len(used)} for {len(counts)}")
    pairs = [(count, weight) for count, weight in zip(counts, used, strict=True) if count > 0]
    return sum(weight for _, weight in pairs) ** 2 / sum(weight**2 / count for count, weight in pairs) if pairs else 0.0


def power_of(
    difference: float,
    n: float,
    *,
    discordance: float = 0.3,
    design_effect: float = 1.0,
    confidence: float = 0.95,
    sides: int = 2,
) -> float:
    """Return the probability that a paired test of ``n`` items finds a true ``difference`` > 0."""
    _check_discordance(discordance)
    if n <= 0 or difference <= 0:
        return tail(confidence, sides) if n > 0 and difference == 0 else 0.0
    if difference >= discordance:
        difference = discordance
    items = n / design_effect
    critical = -NormalDist().inv_cdf(tail(confidence, sides)) * math.sqrt(discordance / items)
    spread = math.sqrt(max(discordance - difference**2, 1e-12) / items)
    return NormalDist().cdf((difference - critical) / spread)


def detectable_difference(
    n: float,
    *,
    discordance: float = 0.3,
    design_effect: float = 1.0,
    confidence: float = 0.95,
    sides: int = 2,
    power: float = 0.8,
) -> float | None:
    """Return the smallest difference that ``n`` items find with this power; None if even the largest is missed."""

    _check_discordance(discordance)
    z_alpha, z_beta = _quantiles(confidence, sides, power=power)
    if n <= 0:
        return None
    # With A = √(n / design effect), c = z_α √ψ: (Aδ − c)² = z_β² (ψ − δ²), of which the larger δ is the answer.
    root, c = math.sqrt(n / design_effect), z_alpha * math.sqrt(discordance)
    under = discordance * (root**2 + z_beta**2) - c * c
    if under < 0:
        return None
    found = (root * c + z_beta * math.sqrt(under)) / (root**2 + z_beta**2)
    return found if found <= discordance else None


def needed_items(
    difference: float,
    *,
    discordance: float = 0.3,
    design_effect: float = 1.0,
    confidence: float = 0.95,
    sides: int = 2,
    power: float = 0.8,
) -> int | None:
    """Return how many items find a true ``difference`` with this power (Connor 1987); None if none is to be found."""
    _check_discordance(discordance)
    if not 0 < difference <= discordance:
        return None
    z_alpha, z_beta = _quantiles(confidence, sides, power=power)
    root = z_alpha * math.sqrt(discordance) + z_beta * math.sqrt(max(discordance - difference**2, 0.0))
    return math.ceil(design_effect * (root / difference) ** 2 - 1e-9)


def items_to_decide(
    n: int, *, distance: float, error: float, confidence: float = 0.95, sides: int = 2, power: float = 0.8
) -> int | None:
    """Return how many items would do if what ``n`` items showed is true.

    ``distance`` is the observed difference minus the bound that it has to clear, ``error`` its standard error, which is
    taken to fall with √n (more clusters, not more items of the same). None if the difference is on the wrong side.
    """
    if distance <= 0 or n <= 0:
        return None
    z = sum(_quantiles(confidence, sides, power=power))
    return max(n, math.ceil(n * (z * error / distance) ** 2 - 1e-9))


def _quantiles(confidence: float, sides: int, *, power: float) -> tuple[float, float]:
    """Return z_α and z_β."""
    if not 0.5 <= power < 1:
        raise TutelageError("a power worth planning for lies in [0.5, 1)", where="power", received=str(power))
    return -NormalDist().inv_cdf(tail(confidence, sides)), NormalDist().inv_cdf(power)


def _check_discordance(discordance: float) -> None:
    if not 0 < discordance <= 1:
        raise TutelageError(
            "the share of items that change lies in (0, 1]", where="discordance", received=str(discordance)
        )
