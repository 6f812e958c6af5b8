"""Rows of one's own: a file in any form of the field, a data set of the hub, or the rows themselves."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.errors import DataError, Problem
from tutelage.pipeline.encoding import TrainingRow
from tutelage.pipeline.hub_rows import pinned_rows
from tutelage.recipe.data import DataSection
from tutelage.records import Example, Item, Preference, UnpairedPreference
from tutelage.records.base import RowKind
from tutelage.records.importers import import_examples, import_preferences, import_unpaired, kind_of

Rows = Path | str | Sequence[Example]
AnyRows = Path | str | Sequence[TrainingRow]
AUTHOR = "expert"

FORMS: dict[RowKind, str] = {
    "examples": "messages, conversations, instruction + output, prompt + completion",
    "pairs": "a question, chosen and rejected",
    "unpaired": "a question, an answer and a label of true or false",
    "prompts": "the recipe's tasks have them, leave the file out",
}
"""What rows of each kind look like."""
OBJECTIVES: dict[RowKind, str] = {
    "examples": "sft, kd or kd_answers",
    "pairs": "dpo, ipo, orpo, simpo or reward",
    "unpaired": "kto",
}
"""What learns from them."""


def read_rows(data: Rows) -> list[Example]:
    """Return rows as examples: a file in any form of ``tutelage.records.importers``, or the examples themselves.

    Raises
    ------
    DataError: with every fault of the file. StorageError: it cannot be read.
    """
    return import_examples(data, author=AUTHOR) if isinstance(data, Path | str) else list(data)


def read_training_rows(data: AnyRows, kind: RowKind) -> list[TrainingRow]:
    """Return rows as what an objective of ``kind`` learns from; for ``unpaired``, a pair counts as two answers. No file
    holds prompts: they are those of tasks.

    Raises
    ------
    DataError: with every fault of the file, or because it holds rows of another kind. StorageError: it cannot be read.
    """
    if not isinstance(data, Path | str):
        return list(data)
    found = kind_of(data)
    if found != kind and not (kind == "unpaired" and found == "pairs"):
        remedy = f"give it {kind} ({FORMS[kind]}), or set tune.objective to {OBJECTIVES[found]}"
        raise DataError(str(data), [Problem(f"the objective learns from {kind}", received=found, remedy=remedy)])
    match kind:
        case "pairs":
            return list(import_preferences(data, author=AUTHOR))
        case "unpaired":
            return list(import_unpaired(data, author=AUTHOR))
        case _:
            return list(read_rows(data))


def given_rows(
    data: AnyRows | DataSection | None, folder: Path, *, out: Path, offline: bool
) -> tuple[AnyRows | None, AnyRows | None]:
    """Return the rows or their file, and what people call it; a section's file is relative to ``folder``.

    Of the hub it is the commit that a tuning in ``out`` began with. Raises what
    :func:`tutelage.pipeline.hub_rows.rows_file` raises.
    """
    if not isinstance(data, DataSection):
        return data, data
    found = pinned_rows(data, folder, out=out, offline=offline)
    return found.file, found.name


def what_they_are(data: AnyRows | None, rows: Sequence[TrainingRow]) -> str:
    """Return a sentence on what rows were read as; ``data`` is what people call them."""
    of = f" of {data}" if isinstance(data, Path | str) else ""
    match rows[0] if rows else None:
        case Preference():
            return f"{len(rows):,} rows{of}: pairs of answers, the chosen one and the rejected one."
        case UnpairedPreference():
            wanted = sum(isinstance(row, UnpairedPreference) and row.wanted for row in rows)
            return f"{len(rows):,} answers{of}: {wanted:,} are wanted, {len(rows) - wanted:,} are not."
        case Item():
            asked = ", ".join(dict.fromkeys(row.task for row in rows if isinstance(row, Item)))
            return (
                f"{len(rows):,} prompts of {asked}, train split: the model answers them and learns from the verdicts."
            )
        case _:
            return f"{len(rows):,} rows{of}: conversations, whose answers are learned."
