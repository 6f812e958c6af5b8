"""A file of rows of whatever kind: what it holds, in which forms, and the rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.records.base import RowKind
from tutelage.records.examples import Example, Preference, UnpairedPreference
from tutelage.records.importers.examples import example_of, form_of
from tutelage.records.importers.preferences import kind_of_row, pair_of, unpaired_of
from tutelage.records.importers.reading import converted
from tutelage.records.importers.turns import Values
from tutelage.records.lineage import Lineage
from tutelage.records.tables import Faults, read_rows

OWN = "records of this library"
FORMS = {
    "messages": "messages",
    "sharegpt": "conversations (ShareGPT)",
    "alpaca": "instruction + output (Alpaca)",
    "prompt": "prompt + completion",
    "example": OWN,
}
"""What the forms of examples are called."""
QUESTIONS = ("prompt", "messages", "conversations", "instruction")
"""Keys under which pairs have their question, the first that is there counts."""

SOURCES: Mapping[RowKind, str] = {"examples": "examples", "pairs": "preferences", "unpaired": "unpaired"}


@dataclass(frozen=True, slots=True)
class Imported:
    """The rows of a file, of one ``kind``; ``forms`` counts them by the form that their keys have."""

    kind: RowKind
    forms: Mapping[str, int]
    rows: Sequence[Example] | Sequence[Preference] | Sequence[UnpairedPreference]


def import_rows(path: Path | str, *, author: str) -> Imported:
    """Return the rows of a file or folder; the keys of the first one tell their kind, as :func:`kind_of` does.

    Raises
    ------
    DataError: with every fault of the file, each by file, line and key. StorageError: the file cannot be read.
    """
    found, faults = read_rows(path), Faults(path)
    kind = kind_of_row(found[0].values)
    lineage = Lineage(paradigm="expert", source=SOURCES[kind], author=author)
    rows: Sequence[Example] | Sequence[Preference] | Sequence[UnpairedPreference]
    match kind:
        case "pairs":
            rows = list(converted(found, faults, lambda values: pair_of(values, lineage), Preference))
        case "unpaired":
            rows = list(converted(found, faults, lambda values: unpaired_of(values, lineage), UnpairedPreference))
        case _:
            rows = list(converted(found, faults, lambda values: example_of(values, lineage, {}), Example))
    forms = Counter(_form(row.values, kind) for row in found)
    return Imported(kind, dict(sorted(forms.items())), rows)


def _form(values: Values, kind: RowKind) -> str:
    """The form of a row that was read without a fault."""
    if kind != "examples" and "lineage" in values:
        return OWN
    if kind == "pairs":
        asked = next((key for key in QUESTIONS if values.get(key) is not None), "")
        return " + ".join([*([asked] if asked else []), "chosen", "rejected"])
    form = FORMS[str(form_of(values))]
    return f"{form} + label" if kind == "unpaired" else form
