"""Agreement of two raters: Cohen's κ (Cohen 1960), weighted where labels are ordered (1968).

No library of the core has it; the values are compared with published ones in the tests.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from tutelage.errors import DataError, Problem

Weights = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """κ over ``n`` items that both scored; ``left_out``: those that one of both did not.

    ``kappa`` is None where it is not defined: nothing in common, or by chance alone both would always agree.
    ``observed`` is the share of agreement, ``expected`` that of chance (weighted, where labels are).
    """

    kappa: float | None
    n: int
    left_out: int = 0
    observed: float | None = None
    expected: float | None = None


def cohen_kappa(
    first: Sequence[Hashable], second: Sequence[Hashable], *, weights: Weights = "none", order: Sequence[Hashable] = ()
) -> Agreement:
    """Return κ = 1 − Σ w·observed / Σ w·expected of two raters' labels of the same items.

    w is 0 for equal labels and else 1, or the distance of their places in ``order``, or its square. Raises
    :class:`DataError` for sequences of different lengths, and for labels that ``order`` lacks where it is needed.
    """
    labels = list(order) if order else list(dict.fromkeys([*first, *second]))
    problems = []
    if len(first) != len(second):
        problems.append(Problem("both rate the same items", "labels", f"{len(first)} and {len(second)}"))
    if weights != "none" and not order:
        problems.append(Problem("weights need the order of the labels", "order", remedy="give it, lowest first"))
    if unknown := [label for label in dict.fromkeys([*first, *second]) if label not in labels]:
        problems.append(Problem("the order lacks labels", "order", ", ".join(map(repr, unknown[:5]))))
    if problems:
        raise DataError("agreement", problems)
    n = len(first)
    if not n:
        return Agreement(kappa=None, n=0)
    place = {label: at for at, label in enumerate(labels)}
    ones, others = [place[label] for label in first], [place[label] for label in second]
    cells, rows, columns = Counter(zip(ones, others, strict=True)), Counter(ones), Counter(others)
    most = len(labels) - 1
    found = sum(_weight(one - other, most, weights) * k for (one, other), k in cells.items()) / n
    chance = sum(_weight(one - other, most, weights) * rows[one] * columns[other] for one in rows for other in columns)
    chance /= n * n
    kappa = None if chance == 0 else 1 - found / chance
    return Agreement(kappa=kappa, n=n, observed=1 - found, expected=1 - chance)


def _weight(gap: int, most: int, weights: Weights) -> float:
    """How much a disagreement over ``gap`` places counts; 1 for the widest there can be."""
    match weights:
        case "none":
            return float(gap != 0)
        case "linear":
            return abs(gap) / max(1, most)
        case "quadratic":
            return (gap / max(1, most)) ** 2
