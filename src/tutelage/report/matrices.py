"""Heat maps of the instruction-alignment matrix: a table per dimension, rows levels, columns rounds.

A column of a round holds its candidate's scores; where the gate did not promote it, the cell also says what the kept
model scores. A last column holds the teacher's, where it was asked. For safety both rates stand in every cell.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from tutelage.records import LEVELS, Level
from tutelage.records.scores import SAFETY, CellScore, MacroScore, Matrix, Score, ScoreSummary
from tutelage.report.names import level as level_words
from tutelage.report.names import short_facet, symbol, title, tone
from tutelage.report.numbers import plural, rate, span

SHADES = 10
TEACHER = "teacher"
"""The control that stands beside the rounds: what they could become."""


@dataclass(frozen=True, slots=True)
class Column:
    """A round: its heading, and whether its model was promoted. ``control``: it is no round but this control."""

    round: int
    heading: str
    verdict: str
    symbol: str
    tone: str
    control: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one field; ``shade`` 0 to 10 is its color, ``note`` what a pointer shows."""

    value: str
    interval: str
    n: str
    shade: int | None
    note: str
    kept: str
    rates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One dimension's table; a row is its heading and a cell per column (None: not scored).

    ``estimated``: its levels were estimated and not stated.
    """

    heading: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    estimated: bool = False


def heat_maps(matrix: Matrix, verdicts: dict[int, str], *, estimated: Collection[str] = ()) -> list[HeatMap]:
    """Return the maps of a matrix, the mean over its cells first.

    ``verdicts`` are the gate's by round, ``estimated`` the dimensions whose levels were estimated.
    """
    columns = tuple(_column(number, verdicts.get(number, "")) for number in matrix.rounds)
    columns += (Column(0, "Teacher", "control", "", "", TEACHER),) if matrix.control(TEACHER) else ()
    means = tuple(_cell(*_means(matrix, c), what=f"Mean over cells, {c.heading}") for c in columns)
    maps = [HeatMap("All dimensions", columns, (("Mean over cells", means),))]
    for dimension in matrix.dimensions:
        levels = [level for level in LEVELS if any((x.dimension, x.level) == (dimension, level) for x in matrix.cells)]
        rows = tuple(
            (
                title(level),
                tuple(
                    _cell(
                        *_cells(matrix, c, dimension, level),
                        what=f"{title(dimension)}, {level_words(level, dimension in estimated)}, {c.heading}",
                    )
                    for c in columns
                ),
            )
            for level in levels
        )
        maps.append(HeatMap(title(dimension), columns, rows, dimension in estimated))
    return maps


def _means(matrix: Matrix, column: Column) -> tuple[Score | None, Score | None]:
    """The mean of a column's model, and of the one that was kept."""
    if control := matrix.control(column.control):
        return control.macro, None
    return matrix.macro(round=column.round, role=_role(column)), matrix.macro(round=column.round)


def _cells(matrix: Matrix, column: Column, dimension: str, level: Level) -> tuple[Score | None, Score | None]:
    """The same for one cell."""
    if control := matrix.control(column.control):
        return next((cell for cell in control.cells if (cell.dimension, cell.level) == (dimension, level)), None), None
    own = matrix.cell(dimension, level, round=column.round, role=_role(column))
    return own, matrix.cell(dimension, level, round=column.round)


def transfer_maps(summaries: dict[str, ScoreSummary]) -> list[HeatMap]:
    """Return the maps of the transfer cells, all of them together first; columns are the models by label."""
    columns = tuple(Column(i, label, "", "", "") for i, label in enumerate(summaries))
    means = tuple(_cell(found.transfer, None, what=f"Transfer, {label}") for label, found in summaries.items())
    maps = [HeatMap("All transfer cells", columns, (("Mean over cells", means),))]
    cells = [cell for found in summaries.values() for cell in found.transfer_cells]
    for dimension in dict.fromkeys(cell.dimension for cell in cells):
        levels = [level for level in LEVELS if any((c.dimension, c.level) == (dimension, level) for c in cells)]
        rows = tuple(
            (
                title(level),
                tuple(
                    _cell(
                        _transfer_cell(found, dimension, level), None, what=f"Transfer, {dimension}, {level}, {label}"
                    )
                    for label, found in summaries.items()
                ),
            )
            for level in levels
        )
        maps.append(HeatMap(title(dimension), columns, rows))
    return maps


def _transfer_cell(found: ScoreSummary, dimension: str, level: Level) -> CellScore | None:
    return next((cell for cell in found.transfer_cells if (cell.dimension, cell.level) == (dimension, level)), None)


def shade(value: float | None) -> int | None:
    """Return which of the eleven steps of the color scale a score has."""
    return None if value is None else min(max(round(value * SHADES), 0), SHADES)


def _role(column: Column) -> Literal["candidate", "promoted"]:
    return "candidate" if column.round else "promoted"


def _column(number: int, verdict: str) -> Column:
    if not number:
        return Column(0, "Start", "before tuning", "", "")
    return Column(number, f"Round {number}", verdict or "candidate", symbol(verdict) if verdict else "", tone(verdict))


def _cell(found: Score | None, kept: Score | None, *, what: str) -> Cell | None:
    if found is None:
        return None
    rates: tuple[tuple[str, str], ...] = ()
    if isinstance(found, CellScore) and found.dimension == SAFETY:
        rates = tuple((short_facet(f"{SAFETY}/{name}"), _value(score)) for name, score in found.facets.items())
    other = kept is not None and (kept.value, kept.n, kept.low, kept.high) != (
        found.value,
        found.n,
        found.low,
        found.high,
    )
    note = f"{what}: {_value(found)}"
    if found.value is not None:
        note += f", 95 % interval {span(found.low, found.high)}, {plural(found.n, 'item')}"
        note += f" in {plural(found.clusters, 'group')}" if found.clusters else ""
    note += f", {found.unscored} unscored" if found.unscored else ""
    note += f", mean over {plural(found.cells, 'cell')}" if isinstance(found, MacroScore) else ""
    note += f" ({found.reason})" if found.reason else ""
    return Cell(
        value=_value(found),
        interval=f"{found.low:.2f}–{found.high:.2f}" if found.value is not None else "",
        n=f"n {found.n:,}",
        shade=shade(found.value),
        note=note,
        kept=_value(kept) if kept is not None and other else "",
        rates=rates,
    )


def _value(score: Score) -> str:
    return "unscored" if score.value is None else rate(score.value)
