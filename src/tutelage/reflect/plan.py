"""How the next budget of attempts is divided over the cells of the matrix (docs: methods, section 5).

    B_cell ∝ weight × gap × expected yield × progress

* gap: target − value; a cell that was never measured is taken to be all gap.
* expected yield: accepted rows per 1,000 sampled tokens. The rate of acceptance has a Beta(1, 1) prior; its posterior
  mean plus one standard deviation is used, which favors what was tried little (an optimistic index in the sense of
  Bayes-UCB, Kaufmann et al. 2012): untried 0.79, after 10 of 100 accepted 0.14.
* progress: the change of value per accepted row, relative to the mean over cells that rose, between ¼ and 4; 1 where it
  is not known, so that a cell that stalls once is heard again.
* a cell with less than 2 % accepted after 100 attempts spends on its neighbor: the level below if that is not as barren
  and still has a gap, else the teacher. It then competes with the yield of where it spends. Without a teacher it stays
  where it is, with its own poor yield, and gets little more than the floor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tutelage.errors import DataError, Problem
from tutelage.records import LEVELS, Level
from tutelage.records.scores import Allocation, CellState, Plan

MIN_YIELD = 0.02
MIN_ATTEMPTS = 100
PROGRESS_RANGE = (0.25, 4.0)


class Policy(Protocol):
    """What divides a budget: ``allocate``, ``uniform`` or a function of one's own."""

    def __call__(self, cells: Sequence[CellState], budget: int, *, floor: int = 0, target: float = 1.0) -> Plan:
        """Return a plan whose attempts sum to ``budget``."""
        ...


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a cell's attempts are spent, by whom, on whose record of yield (None: nobody's yet), and why."""

    level: Level
    by: Literal["student", "teacher"]
    record: CellState | None
    reason: str = ""


def allocate(
    cells: Sequence[CellState], budget: int, *, floor: int = 0, target: float = 1.0, teacher: bool = True
) -> Plan:
    """Divide ``budget`` attempts by weight × gap × expected yield × progress; ``teacher``: whether there is one.

    Every cell with a gap gets at least ``floor`` (less if the budget does not reach). If no cell has one, the budget is
    divided evenly, which the plan says. Raises ``DataError`` without cells, for a cell given twice and for a negative
    budget or floor.
    """
    _check(cells, budget, floor=floor)
    routes = [_route(cell, cells, target=target, teacher=teacher) for cell in cells]
    tokens = _tokens_per_attempt(cells)
    rises = [cell.progress for cell in cells if cell.progress is not None and cell.progress > 0]
    mean_rise = sum(rises) / len(rises) if rises else None
    yields = [_expected_yield(route.record, tokens) for route in routes]
    paces = [_pace(cell, mean_rise) for cell in cells]
    gaps = [_gap(cell, target) for cell in cells]
    shares = [c.weight * g * y * p for c, g, y, p in zip(cells, gaps, yields, paces, strict=True)]
    if not any(shares):
        plan = uniform(cells, budget, floor=floor, target=target)
        words = "No cell with a weight has a gap to its target: the budget is divided evenly."
        return plan.model_copy(update={"policy": "matrix", "words": words})
    open_cells = [cell.weight > 0 and gap > 0 for cell, gap in zip(cells, gaps, strict=True)]
    least = min(floor, budget // sum(open_cells))
    rest = round_shares(shares, budget - least * sum(open_cells))
    allocations = tuple(
        Allocation(
            dimension=cell.dimension,
            level=cell.level,
            attempts=more + (least if is_open else 0),
            spent_at=route.level,
            by=route.by,
            reason=f"weight {cell.weight:g} × gap {gap:.2f} × yield {rate:.2f} a 1,000 tokens × progress {pace:.2f}"
            + (f"; {route.reason}" if route.reason else "; not measured yet" if cell.value is None else ""),
        )
        for cell, more, is_open, route, gap, rate, pace in zip(
            cells, rest, open_cells, routes, gaps, yields, paces, strict=True
        )
    )
    moved = sum((route.level, route.by) != (cell.level, "student") for cell, route in zip(cells, routes, strict=True))
    words = f"{budget:,} attempts over {sum(open_cells)} of {len(cells)} cells, at least {least} each."
    if moved:
        words += f" {moved} with too low a yield spend{'s' if moved == 1 else ''} elsewhere."
    return Plan(policy="matrix", budget=budget, allocations=allocations, words=words)


def uniform(cells: Sequence[CellState], budget: int, *, floor: int = 0, target: float = 1.0) -> Plan:
    """Divide ``budget`` evenly over the cells with a weight and a gap (all, if there is none): the control.

    An even share cannot fall below a ``floor`` that the budget reaches; errors are those of ``allocate``.
    """
    _check(cells, budget, floor=floor)
    chosen = [float(cell.weight > 0 and _gap(cell, target) > 0) for cell in cells]
    shares = chosen if any(chosen) else [1.0] * len(cells)
    allocations = tuple(
        Allocation(
            dimension=cell.dimension,
            level=cell.level,
            attempts=attempts,
            spent_at=cell.level,
            reason="an even share" if share else "no weight or no gap",
        )
        for cell, share, attempts in zip(cells, shares, round_shares(shares, budget), strict=True)
    )
    words = f"{budget:,} attempts divided evenly over {int(sum(shares))} of {len(cells)} cells."
    return Plan(policy="uniform", budget=budget, allocations=allocations, words=words)


def round_shares(shares: Sequence[float], total: int) -> list[int]:
    """Return whole numbers in proportion to ``shares`` that sum to ``total`` (largest remainder, ties to the first)."""
    whole = sum(shares)
    exact = [share / whole * total for share in shares]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], i))
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _check(cells: Sequence[CellState], budget: int, *, floor: int) -> None:
    problems = []
    if not cells:
        problems.append(Problem("there is no cell to spend on", "cells"))
    if budget < 0 or floor < 0:
        problems.append(Problem("budget and floor cannot be negative", "budget", f"{budget}, floor {floor}"))
    names = [f"{cell.dimension}/{cell.level}" for cell in cells]
    problems += [Problem("the cell is given twice", name) for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise DataError("plan", problems)


def _gap(cell: CellState, target: float) -> float:
    return target if cell.value is None else max(target - cell.value, 0.0)


def _barren(cell: CellState) -> bool:
    return cell.attempted >= MIN_ATTEMPTS and cell.accepted < MIN_YIELD * cell.attempted


def _route(cell: CellState, cells: Sequence[CellState], *, target: float, teacher: bool) -> _Route:
    if not _barren(cell):
        return _Route(cell.level, "student", cell)
    spent = f"{cell.accepted} of {cell.attempted} attempts were accepted"
    below = LEVELS[: LEVELS.index(cell.level)]
    neighbors = [other for other in cells if other.dimension == cell.dimension and other.level in below]
    neighbor = max(neighbors, key=lambda other: LEVELS.index(other.level), default=None)
    if neighbor and not _barren(neighbor) and _gap(neighbor, target) > 0:
        return _Route(neighbor.level, "student", neighbor, f"{spent}: spends on the level below, {neighbor.level}")
    if not teacher:
        return _Route(cell.level, "student", cell, f"{spent}, the level below is no better and there is no teacher")
    return _Route(cell.level, "teacher", None, f"{spent} and the level below is no better: spends on the teacher")


def _tokens_per_attempt(cells: Sequence[CellState]) -> float:
    """The mean over all attempts whose tokens are known; 1,000 if none are (only proportions matter then)."""
    known = [cell for cell in cells if cell.tokens and cell.attempted]
    return sum(cell.tokens for cell in known) / sum(cell.attempted for cell in known) if known else 1000.0


def _expected_yield(record: CellState | None, mean_tokens: float) -> float:
    """Accepted rows per 1,000 tokens: posterior mean plus one standard deviation of Beta(1 + accepted, 1 + others)."""
    accepted, attempted = (record.accepted, record.attempted) if record else (0, 0)
    a, b = 1 + accepted, 1 + attempted - accepted
    rate = a / (a + b) + math.sqrt(a * b / (a + b + 1)) / (a + b)
    tokens = record.tokens / record.attempted if record and record.tokens and record.attempted else mean_tokens
    return rate * 1000 / tokens


def _pace(cell: CellState, mean_rise: float | None) -> float:
    if cell.progress is None or mean_rise is None:
        return 1.0
    return min(max(cell.progress / mean_rise, PROGRESS_RANGE[0]), PROGRESS_RANGE[1])
