"""The rows of a labelled data set, and those of a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from tutelage.construct.given import of_round
from tutelage.errors import Problem
from tutelage.recipe.sources.templates import TemplatesSource
from tutelage.records.tables import Faults, read_rows, shown
from tutelage.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row: file and line, the name of its label ("" where the data set has none) and its filled columns."""

    id: str
    label: str
    values: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows, the names of all columns, and the names of all labels in their order."""

    rows: Sequence[Labelled]
    columns: Sequence[str]
    labels: Sequence[str]


def read_labelled(section: TemplatesSource, base: Path) -> DataSet:
    """Return the data set that ``section`` names.

    A column is called as its file calls it, with low lines in the place of what no name in Jinja has ("review text" is
    "review_text").

    Raises
    ------
    DataError: with every fault: two columns of one name, no column of the label or none in a row, a label that
    ``labels`` has no name for. StorageError: the file cannot be read.
    """
    path = base / section.path
    faults = Faults(section.path)
    found = read_rows(path)
    _check_columns(sorted({key for row in found for key in row.values}), section, faults)
    rows: list[Labelled] = []
    for row in found:
        values = {column_name(key): value for key, value in row.values.items() if _filled(value)}
        file = row.file.relative_to(path) if path.is_dir() else row.file.name
        where = f"{file}:{row.line}"
        label = ""
        if section.label is not None:
            label = _label(values.get(column_name(section.label)), section, where, faults)
        rows.append(Labelled(where, label, values))
    faults.raise_if_any()
    columns = sorted({name for row in rows for name in row.values})
    there = sorted({row.label for row in rows})
    return DataSet(rows, columns, list(section.labels.values()) or ([] if section.label is None else there))


def rows_of_round(data: DataSet, section: TemplatesSource, *, round: int, seed: int) -> list[Labelled]:
    """Return the rows of a round; with ``balance`` equally many of each label that the data has. ``seed`` is the
    run's."""
    own = derive_seed(seed, section.folder)
    if not section.balance:
        return of_round(data.rows, section.rows, round=round, seed=own)
    groups = {label: [row for row in data.rows if row.label == label] for label in data.labels}
    there = {label: rows for label, rows in groups.items() if rows}
    each = min(map(len, there.values()))
    if section.rows is not None:
        each = min(each, section.rows // len(there))
    return [
        row for label, rows in there.items() for row in of_round(rows, each, round=round, seed=derive_seed(own, label))
    ]


def _check_columns(columns: Sequence[str], section: TemplatesSource, faults: Faults) -> None:
    """Raise :class:`DataError` where the label's column is not there, or two columns get one name."""
    named: dict[str, list[str]] = {}
    for column in columns:
        named.setdefault(column_name(column), []).append(column)
    for name, same in named.items():
        if len(same) > 1:
            received = ", ".join(map(shown, same))
            faults.add(Problem(f"two columns are both called {name}", section.path, received, "rename one of them"))
    if section.label is not None and column_name(section.label) not in named:
        remedy = f"label names one of {', '.join(columns)}, or is null"
        faults.add(Problem("there is no column of this name", "label", section.label, shown(remedy, 200)))
    faults.raise_if_any()


def _label(given: JsonValue, section: TemplatesSource, where: str, faults: Faults) -> str:
    """The name of a row's label; what is wrong with it goes to ``faults``."""
    if given is None or isinstance(given, list | dict):
        what = "the label is missing" if given is None else "a label is one value"
        remedy = "give it one, remove the row, or name another column (label)"
        faults.add(Problem(what, f"{where}: {section.label}", "" if given is None else shown(given), remedy))
        return ""
    written = _written(given)
    if section.labels and written not in section.labels:
        names = ", ".join(section.labels)
        remedy = f"name it in labels, which has {names}, or remove the row"
        faults.add(Problem("this label has no name", f"{where}: {section.label}", shown(written), remedy))
        return ""
    return section.labels.get(written, written)


def _written(value: JsonValue) -> str:
    """A value as a text: true and false as JSON has them, 1.0 as 1."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _filled(value: JsonValue) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def column_name(column: str) -> str:
    """Return what a column is called in a template."""
    return "".join(sign if sign.isalnum() or sign == "_" else "_" for sign in column.strip())
