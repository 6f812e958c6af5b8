"""The page of ``tutelage inspect``: figures of rows, and rows to look at, as one self-contained HTML file."""

from markupsafe import Markup

from tutelage.records.base import RowKind
from tutelage.records.inspection import Inspection, Languages, Length
from tutelage.report.figures import histogram
from tutelage.report.numbers import plural, share
from tutelage.report.templating import page_environment, page_style
from tutelage.text.languages import NAMES

KINDS: dict[RowKind, str] = {
    "examples": "conversations",
    "pairs": "pairs of answers",
    "unpaired": "answers that are wanted or not",
    "prompts": "prompts",
}
"""What rows of each kind are called."""
MAX_LABELS = 12


def render_inspection(found: Inspection) -> str:
    """Return the page; every text of the rows is escaped, and equal figures give equal bytes."""
    environment = page_environment()
    environment.globals |= {
        "said_turns": said_turns,
        "said_duplicates": said_duplicates,
        "said_languages": said_languages,
        "histogram_of": _histogram,
        "language_rows": _language_rows,
        "label_rows": _label_rows,
        "kinds": KINDS,
    }
    style, digest = page_style()
    return environment.get_template("inspection.html.j2").render(found=found, style=style, style_hash=digest)


def said_turns(found: Inspection) -> str:
    """Return what rows are made of, in one sentence."""
    turns = ", ".join(f"{count:,} of {plural(number, 'turn')}" for number, count in found.turns.items())
    roles = ", ".join(f"{role} {count:,}" for role, count in found.roles.items())
    features = "; ".join(f"{plural(count, 'row')} with {name}" for name, count in found.features.items())
    return f"Rows by turns (without system): {turns}. Turns by role: {roles}." + (f" {features}." if features else "")


def said_duplicates(found: Inspection) -> list[str]:
    """Return what was found of duplicates, in sentences."""
    same = found.duplicates
    return [
        f"{plural(same.prompts, 'different prompt')} in {plural(found.rows, 'row')}.",
        _surplus(same.exact_surplus, same.exact_groups, "the same as another", found.rows),
        _surplus(same.near_surplus, same.near_groups, "nearly the same as another (Jaccard 0.8 or more)", found.rows),
    ]


def said_languages(found: Languages) -> str:
    """Return how many rows are answered in another language, in one sentence."""
    if not found.compared:
        return "No row has a prompt and an answer that are both long enough to tell."
    part = share(found.differ / found.compared)
    return f"{found.differ:,} of {found.compared:,} rows that can be told are answered in another language ({part})."


def _surplus(surplus: int, groups: int, what: str, rows: int) -> str:
    if not surplus:
        return f"No row is {what}."
    are = "row is" if surplus == 1 else "rows are"
    return f"{surplus:,} {are} {what} ({share(surplus / rows)}), in {plural(groups, 'group')}."


def _histogram(length: Length, name: str) -> Markup:
    return histogram(length.spread, name=name, title=f"{length.side.capitalize()}, {length.unit}")


def _language_rows(found: Languages) -> list[tuple[str, int, int]]:
    codes = sorted({*found.prompts, *found.answers}, key=lambda code: (code == "", -found.answers.get(code, 0), code))
    return [
        (NAMES.get(code, code) or "Too short or unclear", found.prompts.get(code, 0), found.answers.get(code, 0))
        for code in codes
    ]


def _label_rows(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The most frequent values of a label, and the rest as one."""
    rows = [(value or "not said", count) for value, count in counts.items()]
    rest = rows[MAX_LABELS:]
    more = [(f"{len(rest)} more", sum(count for _, count in rest))] if rest else []
    return [*rows[:MAX_LABELS], *more]
