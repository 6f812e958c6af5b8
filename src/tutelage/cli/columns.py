"""Which column of a user's file holds what, and which check fits it: a proposal that ``init`` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from tutelage.records.tables import Row
from tutelage.tasks.rows.checks import CHECKS, NUMBER

KNOWN = {
    "messages": ("messages",),
    "prompt": ("prompt", "question", "instruction", "query", "input", "text"),
    "passage": ("passage", "context", "document", "article", "source_text", "input"),
    "reference": ("reference", "expected", "gold", "target", "label", "ground_truth", "correct_answer"),
    "answer": ("answer", "response", "output", "completion"),
    "system": ("system", "system_prompt"),
    "check": ("check",),
    "choices": ("choices", "options"),
    "level": ("level", "difficulty"),
    "group": ("group", "source", "patient", "case", "template"),
}
"""Names by which a column is found, the most telling first."""

SHORT_WORDS = 5
MAX_CHOICES = 12
ROWS_A_CHOICE = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """``columns`` by what they hold (only those found), the check, and why that check."""

    columns: dict[str, str]
    check: str
    reason: str


def propose(rows: Sequence[Row], check: str | None = None) -> Proposal:
    """Return which column holds what, and ``check`` or the one that fits the references."""
    columns = _find_columns(rows)
    if check is None and "check" in columns:
        return Proposal(columns, "", "each row names its own")
    source = columns.get("reference") or columns.get("answer")
    if check is None and source is None:
        return Proposal(columns, "none", "no column of references was found")
    found, reason = (check, "as asked") if check is not None else _fitting_check(_texts(rows, str(source)))
    needs_reference = found not in CHECKS or CHECKS[found].needs_reference
    if needs_reference and "reference" not in columns and source is not None:
        columns["reference"] = source
    return Proposal(columns, found, reason)


def _find_columns(rows: Sequence[Row]) -> dict[str, str]:
    there = dict.fromkeys(name for row in rows for name, value in row.values.items() if _filled(value))
    lower = {name.casefold().strip(): name for name in there}
    found: dict[str, str] = {}
    for field, names in KNOWN.items():
        column = next((lower[name] for name in names if name in lower and lower[name] not in found.values()), None)
        if column is not None and not (field == "prompt" and "messages" in found):
            found[field] = column
    return found


def _filled(value: JsonValue) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _texts(rows: Sequence[Row], column: str) -> list[str]:
    values: list[Mapping[str, JsonValue]] = [row.values for row in rows]
    return [str(value[column]).strip() for value in values if _filled(value.get(column))]


def _fitting_check(references: Sequence[str]) -> tuple[str, str]:
    if all(NUMBER.fullmatch(text) for text in references):
        return "numeric", "every reference is a number"
    different = {text.casefold() for text in references}
    if 2 <= len(different) <= min(MAX_CHOICES, len(references) / ROWS_A_CHOICE):
        return "choice", f"the references are {len(different)} values that come again and again"
    if all(len(text.split()) <= SHORT_WORDS for text in references):
        return "contains", f"every reference has at most {SHORT_WORDS} words"
    return "none", "the references are long texts, and no program can tell whether another long text is right"
