"""How many rows may be dropped before something must be wrong with them, or with a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tutelage.errors import DataError, Problem
from tutelage.records import Dropped

EXAMPLES = 3
MAX_REASON = 120
REMEDY = (
    "mend the rows or the step, or allow more, and give the same command again; to see every dropped row, curate the "
    "file (of a run: rounds/K/construct/records.jsonl) into another folder with --set curate.max_loss=1"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest shares that may be dropped: of all rows, by any one step of those that reach it, and by steps with a name
    of their own in ``steps``."""

    overall: float = 1.0
    step: float = 1.0
    steps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passed:
    """How many rows a step was given and how many it dropped, with the first of them."""

    name: str
    rows: int
    dropped: int
    some: Sequence[Dropped]


def refuse_losses(passed: Sequence[Passed], limits: Limits) -> None:
    """Raise :class:`DataError` with every limit that was broken: by which step, how many rows, and some of them."""
    problems = []
    for one in passed:
        where, limit = _limit(one.name, limits)
        if _is_more(one.dropped, limit, one.rows):
            problems.append(_problem(one.name, where, one.dropped, one.rows, limit, one.some))
    rows = passed[0].rows if passed else 0
    dropped = sum(one.dropped for one in passed)
    if _is_more(dropped, limits.overall, rows):
        by = sorted(passed, key=lambda one: -one.dropped)
        most = ", ".join(f"{one.name} {one.dropped:,}" for one in by if one.dropped)
        problems.append(_problem(f"all steps ({most})", "curate.max_loss", dropped, rows, limits.overall, by[0].some))
    if problems:
        raise DataError("curation drops more rows than it may, and nothing was written", problems)


def _is_more(dropped: int, limit: float, rows: int) -> bool:
    """Whether more than the share went; 29 of 100 are no more than 0.29, which in floating point they would be."""
    return dropped > limit * rows + 1e-9


def _limit(name: str, limits: Limits) -> tuple[str, float]:
    if name in limits.steps:
        return f"curate.max_loss.steps.{name}", limits.steps[name]
    return "curate.max_loss.step", limits.step


def _problem(who: str, where: str, dropped: int, rows: int, limit: float, rows_lost: Sequence[Dropped]) -> Problem:
    verb = "drop" if where == "curate.max_loss" else "drops"
    what = f"{who} {verb} {dropped:,} of {rows:,} rows ({dropped / rows:.1%}), at most {limit:.1%} may go"
    some = "; ".join(f"{row.id}: {row.reason[:MAX_REASON]}" for row in rows_lost[:EXAMPLES])
    return Problem(what, where, f"for example {some}", REMEDY)
