"""How much there is to learn from a row, and how good it is: from a model, a judge or a file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.curate.selection.reading import RowReader
from tutelage.errors import Problem
from tutelage.recipe.curate.selection import FileScore, IfdScore, JudgedScore, Score, VerdictScore
from tutelage.records import Example
from tutelage.records.tables import Faults, read_rows, shown


def scores_of(
    rows: Sequence[Example], score: Score, *, reader: RowReader | None, files: Mapping[str, Mapping[str, float]]
) -> list[float | str]:
    """Return the score of each row, or why it has none; ``files`` are the numbers of files by their :func:`label`."""
    match score:
        case IfdScore():
            assert reader is not None, "build_steps refuses such a step without one"
            return [one if isinstance(one, str) else one.ifd for one in reader.likelihoods(rows)]
        case VerdictScore():
            return [_verdict(row) for row in rows]
        case JudgedScore(name=name):
            return [_criterion(row, name) for row in rows]
        case FileScore():
            numbers = files[label(score)]
            return [numbers.get(row.id, f"{score.path} has no row of this id") for row in rows]


def label(score: Score) -> str:
    """Return what a score is called in ``scores.jsonl`` and in reasons."""
    match score:
        case JudgedScore(name=name):
            return f"criterion {name}"
        case FileScore(path=path, column=column):
            return f"{column} of {path}"
        case _:
            return score.kind


def read_scores(score: FileScore, folder: Path | None) -> dict[str, float]:
    """Return the numbers of a file by the id of their rows.

    Raises
    ------
    DataError: with every row that has no id, no number of 0 or more, or an id that was there before. StorageError: the
    file cannot be read.
    """
    path = (folder or Path()) / score.path
    faults = Faults(path)
    found: dict[str, float] = {}
    for row in read_rows(path):
        where = f"{path}:{row.line}"
        given, id = row.values.get(score.column), row.values.get("id")
        number = _number(given)
        if not isinstance(id, str | int) or isinstance(id, bool):
            faults.add(Problem("expected an id", f"{where}: id", shown(id), "give the id of the row that is scored"))
        elif number is None:
            remedy = f"the columns are: {', '.join(row.values)}" if score.column not in row.values else ""
            faults.add(Problem("expected a number of 0 or more", f"{where}: {score.column}", shown(given), remedy))
        elif str(id) in found:
            faults.add(Problem("this id was there before", f"{where}: id", shown(id), "score each row once"))
        else:
            found[str(id)] = number
    faults.raise_if_any()
    return found


def _number(value: object) -> float | None:
    """A number of 0 or more, also where a table wrote it as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _verdict(row: Example) -> float | str:
    verdicts = row.lineage.verdicts
    last = verdicts[-1].score if verdicts else None  # those before may be of its own writer, or of an earlier answer
    return last if last is not None else "it has no verdict with a score, or not as its last"


def _criterion(row: Example, name: str) -> float | str:
    given = [one for verdict in row.lineage.verdicts for one in verdict.criteria]
    named = [one.score for one in given if one.name == name]
    if named:
        return float(named[-1])
    others = ", ".join(dict.fromkeys(one.name for one in given))
    return f"no judge scored it for {name}" + (f", only for {others}" if others else "")
