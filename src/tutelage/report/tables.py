"""What the tables of the page say: before and after, the data of a round, where the time went."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tutelage.records import PARADIGMS, Example, Ledger
from tutelage.records.judging import Judging
from tutelage.records.scores import Score
from tutelage.records.tradeoff import TradeOff
from tutelage.report.names import PARADIGM_HEADS, facet, title
from tutelage.report.names import PARADIGMS as PARADIGM_NAMES
from tutelage.report.numbers import count, decimal, duration, share
from tutelage.report.reading import START, RunData
from tutelage.statistics import Difference


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A measure before and after; ``kind`` is macro, dimension, facet or transfer."""

    kind: str
    name: str
    before: Score
    after: Score
    difference: Difference | None
    p_holm: float | None = None


@dataclass(frozen=True, slots=True)
class TradeOffRow:
    """One paradigm's figures in words; the columns are those of the trade-off table."""

    paradigm: str
    used: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A step's line in the ledger: what it dropped, and why."""

    step: str
    reason: str
    rows: int


COMPOSITION_COLUMNS = (*(PARADIGM_HEADS[name] for name in PARADIGMS), "All")
TRADEOFF_COLUMNS = (
    "Attempted",
    "Accepted",
    "Acceptance",
    "Distinct‑2",
    "Tokens",
    "Computing",
    "Rows an hour",
    "Tokens a row",
    "Seconds a row",
    "Human minutes",
)


def score_rows(data: RunData) -> list[ScoreRow]:
    """Return the rows of the before/after table: the mean, each dimension followed by its facets, transfer.

    None where no item of either model has a score.
    """
    before, after = data.scores.get(START), data.scores.get(data.shown or "")
    if before is None or after is None or before is after or before.n == after.n == 0:
        return []
    found = data.against_start
    rows = [ScoreRow("macro", "Mean over cells", before.macro, after.macro, found.macro if found else None)]
    for name in (name for name in before.dimensions if name in after.dimensions):
        pair = before.dimensions[name], after.dimensions[name]
        difference = found.dimensions.get(name) if found else None
        p = found.p_holm.get(name) if found else None
        rows.append(ScoreRow("dimension", title(name), *pair, difference, p))
        for key in facets_of(name, before.facets):
            if key in after.facets:
                pair = before.facets[key], after.facets[key]
                rows.append(ScoreRow("facet", facet(key), *pair, found.facets.get(key) if found else None))
    if before.transfer and after.transfer:
        rows.append(
            ScoreRow("transfer", "Transfer", before.transfer, after.transfer, found.transfer if found else None)
        )
    return rows


def facets_of(dimension: str, facets: Iterable[str]) -> list[str]:
    """Return those of ``facets`` that divide a dimension: a single one says no more than the dimension itself."""
    inside = [name for name in facets if name.partition("/")[0] == dimension]
    return inside if len(inside) > 1 else []


def tradeoff_rows(tradeoffs: Sequence[TradeOff]) -> list[TradeOffRow]:
    """Return one row for each paradigm, used or not."""
    by_paradigm = {row.paradigm: row for row in tradeoffs}
    return [
        TradeOffRow(PARADIGM_NAMES[name], used=True, values=_tradeoff(by_paradigm[name]))
        if name in by_paradigm
        else TradeOffRow(PARADIGM_NAMES[name], used=False)
        for name in PARADIGMS
    ]


def _tradeoff(row: TradeOff) -> tuple[str, ...]:
    none = "no row"
    return (
        _attempted(row),
        count(row.accepted),
        share(row.acceptance) if row.attempted else "none judged" if row.errors or row.unjudged else "none asked",
        decimal(row.diversity, 3) if row.accepted else none,
        count(row.tokens),
        duration(row.seconds),
        count(row.rows_per_hour),
        count(row.tokens_per_row) if row.accepted else none,
        decimal(row.seconds_per_row, 2) if row.accepted else none,
        decimal(row.human_minutes, 1),
    )


def _attempted(row: TradeOff) -> str:
    """The judged answers, and beside them those that never came or could not be judged, if there are any."""
    apart = [(row.errors, "never came"), (row.unjudged, "not judged")]
    said = ", ".join(f"{count(number)} {what}" for number, what in apart if number)
    return f"{count(row.attempted)} ({said})" if said else count(row.attempted)


def judging_lines(tradeoffs: Sequence[TradeOff]) -> list[str]:
    """Return what a judge took for each paradigm, in words; none where nobody judged."""
    return [
        f"{PARADIGM_NAMES[row.paradigm]}: {judging_words(row.judging)}"
        for row in tradeoffs
        if row.judging is not None and row.judging.judged
    ]


def judging_words(found: Judging) -> str:
    """Return what judging took, in words; unscored answers are no zeros."""
    unscored = f" ({count(found.unscored)} unscored)" if found.unscored else ""
    said = [f"{count(found.judged)} answers or pairs judged{unscored}", f"{count(found.requests)} replies"]
    said.append(f"tokens read {count(found.prompt_tokens)} and written {count(found.completion_tokens)}")
    said.append(duration(found.seconds))
    said += [] if found.money is None else [f"{decimal(found.money, 4)} in money"]
    return ", ".join(said)


def ledger_rows(ledger: Ledger) -> list[LedgerRow]:
    """Return what each step dropped, in the order of the steps' names."""
    rows = []
    for key, number in ledger.dropped.items():
        step, _, reason = key.partition(": ")
        rows.append(LedgerRow(step, reason, number))
    return rows


def composition(kept: Sequence[Example]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the rows that are trained on by dimension: how many in each of ``COMPOSITION_COLUMNS``."""
    counts = Counter((row.dimension, row.lineage.paradigm) for row in kept)
    dimensions = sorted({dimension for dimension, _ in counts})
    rows = [(title(name) or "Other", [counts[name, paradigm] for paradigm in PARADIGMS]) for name in dimensions]
    totals = [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]
    return [(name, (*numbers, sum(numbers))) for name, numbers in [*rows, ("All", totals)]]


def times(data: RunData) -> list[tuple[str, float, str]]:
    """Return each finished stage with its seconds and their share of all."""
    whole = sum(state.seconds for state in data.stages.values())
    return [
        (name, state.seconds, share(state.seconds / whole) if whole else "")
        for name, state in sorted(data.stages.items(), key=lambda pair: _stage_order(pair[0]))
    ]


def _stage_order(name: str) -> tuple[int, int, int, str]:
    """Rounds before the final stages; in a round the order of the loop."""
    parts = name.split("/")
    order = ("plan", "construct", "curate", "tune", "evaluate", "gate")
    if parts[0] != "rounds":
        return 1, 0, 0, name
    return 0, int(parts[1]), order.index(parts[2]) if parts[2] in order else len(order), name
