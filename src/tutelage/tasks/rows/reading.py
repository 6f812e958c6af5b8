"""A user's rows as items: columns found, every fault with its line, groups joined and dealt to the splits."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from tutelage.errors import Problem, TutelageError
from tutelage.recipe.rows import ColumnsSection, RowsSection, SharesSection
from tutelage.records import LEVELS, SPLITS, Conversation, Item, Message, Split, content_id, system, user
from tutelage.records.importers.turns import RowFault, parse_turns
from tutelage.records.tables import Faults, Row, read_rows, shown
from tutelage.seeds import MAX_SEED, derive_seed
from tutelage.tasks.rows.checks import ANSWERS, CHECKS, RowCheck
from tutelage.tasks.rows.own import load_check
from tutelage.text.words import normalize

MAX_INFERRED_CHOICES = 20
DEFAULT_COLUMNS = ColumnsSection()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file held: its items, the checks by name, whether it states levels, and how many rows were repeats."""

    items: tuple[Item, ...]
    checks: dict[str, RowCheck]
    states_levels: bool
    repeats: int


def read_items(section: RowsSection, folder: Path | None = None) -> Reading:
    """Return the rows of ``section.path`` as items with their splits.

    Raises :class:`DataError` with every fault of the file and of the section's checks, by file, line and column.
    """
    path = (folder or Path()) / section.path
    rows = read_rows(path)
    faults = Faults(path)
    checks = _load_checks(section, folder, faults)
    _check_columns(section.columns, rows, path, faults)
    faults.raise_if_any()
    choices = _inferred_choices(section, rows)
    found: list[Item] = []
    for row in rows:
        try:
            found.append(_item(row, section, checks, choices))
        except (RowFault, ValidationError) as fault:
            for problem in _problems(fault, row.where):
                faults.add(problem)
    stated = _states_levels(section.columns, rows, path, faults)
    faults.raise_if_any()
    # Dealt before repeats are left out: a repeat may join two groups.
    items: dict[str, Item] = {}
    for item in deal(found, section.shares, section.split_seed):
        items.setdefault(item.id, item)
    return Reading(tuple(items.values()), checks, stated, len(rows) - len(items))


def deal(items: Sequence[Item], shares: SharesSection, seed: int) -> list[Item]:
    """Return ``items`` with their group and split.

    Items with the same group, the same passage or the same question belong together, also by way of third ones. Where
    a group goes depends on its name and the seed alone: a row that is added moves no other row to another split,
    unless it joins groups or gives one another name.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = [_sources(item) for item in items]
    for sources in keys:
        for other in sources[1:]:
            left, right = sorted((root(sources[0]), root(other)))
            parent[right] = left
    bounds: list[tuple[float, Split]] = []
    total = 0.0
    for split in SPLITS:
        total += getattr(shares, split)
        bounds.append((total, split))
    dealt = []
    for item, sources in zip(items, keys, strict=True):
        group = root(sources[0])
        place = derive_seed(seed, "split", group) / (MAX_SEED + 1)
        split = next((name for bound, name in bounds if place < bound), bounds[-1][1])
        dealt.append(item.model_copy(update={"group": group, "split": split}))
    return dealt


def _sources(item: Item) -> list[str]:
    named = [f"group {item.group}"] if item.group else []
    passage = [f"passage {content_id(normalize(item.passage))}"] if item.passage else []
    # With everything before it: the same question may be asked of many passages ("What is the diagnosis?").
    asked = "\n".join(f"{message.role}: {message.text}" for message in item.messages)
    return [*named, *passage, f"question {content_id(' '.join(asked.casefold().split()))}"]


def _load_checks(section: RowsSection, folder: Path | None, faults: Faults) -> dict[str, RowCheck]:
    checks = dict(CHECKS)
    own = dict(section.checks)
    if section.check is not None and ":" in section.check:
        own.setdefault(section.check, section.check.removeprefix("path:").strip())
    for name, path in own.items():
        try:
            checks[name] = load_check(path, folder)
        except TutelageError as error:
            faults.add(error.problem)
    if section.check is not None and section.check not in checks and section.check not in own:
        faults.add(_unknown_check(section.check, checks, "recipe: check"))
    return checks


def _unknown_check(name: str, checks: Mapping[str, RowCheck], where: str) -> Problem:
    near = difflib.get_close_matches(name.lower(), list(checks), n=1, cutoff=0.5)
    listed = ", ".join(sorted(checks))
    remedy = f"did you mean {near[0]}?" if near else f"use {listed}, or name a function of your own under checks"
    return Problem("there is no such check", where, name, remedy)


def _check_columns(columns: ColumnsSection, rows: Sequence[Row], path: Path, faults: Faults) -> None:
    there = list(dict.fromkeys(name for row in rows for name in row.values))
    wanted = {field: str(getattr(columns, field)) for field in ColumnsSection.model_fields}
    named = {field: name for field, name in wanted.items() if name != getattr(DEFAULT_COLUMNS, field)}
    missing = {field: name for field, name in named.items() if name not in there}
    if wanted["prompt"] not in there and wanted["messages"] not in there:
        missing.setdefault("prompt", wanted["prompt"])
    for field, name in missing.items():
        lower = {column.lower(): column for column in there}
        near = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
        remedy = f"it has: {', '.join(there[:20])}; name the right one in the recipe under columns: {field}"
        if near:
            remedy = f"did you mean {lower[near[0]]!r}? Write columns: {{{field}: {lower[near[0]]}}} in the recipe"
        faults.add(Problem(f"there is no column {name!r}", str(path), remedy=remedy))


def _states_levels(columns: ColumnsSection, rows: Sequence[Row], path: Path, faults: Faults) -> bool:
    """Whether the rows state their levels: all of them or none, for nobody estimates the rest."""
    blank = [row for row in rows if _cell(row, columns.level) is None]
    if blank and len(blank) < len(rows):
        what = f"{len(blank)} of {len(rows)} rows state no level, this is the first"
        remedy = "state the level of all rows, or of none: those of rows with a check are then estimated"
        faults.add(Problem(what, f"{blank[0].where}: {columns.level}", remedy=remedy))
    return not blank


def _inferred_choices(section: RowsSection, rows: Sequence[Row]) -> list[str]:
    """The distinct references of the rows that are checked by choice and list none."""
    columns = section.columns
    found = {
        str(row.values[columns.reference])
        for row in rows
        if (_cell(row, columns.check) or section.check) == "choice"
        and _cell(row, columns.choices) is None
        and _cell(row, columns.reference) is not None
    }
    return sorted(found) if len(found) <= MAX_INFERRED_CHOICES else []


def _item(row: Row, section: RowsSection, checks: Mapping[str, RowCheck], choices: Sequence[str]) -> Item:
    columns = section.columns
    messages, question, answer = _conversation(row, columns)
    check = _text(row, columns.check) or section.check or "none"
    if check not in checks:
        problem = _unknown_check(check, checks, "")
        raise RowFault(columns.check, problem.what, check, problem.remedy)
    reference = _cell(row, columns.reference)
    level = _text(row, columns.level)
    if level and level.lower() not in LEVELS:
        raise RowFault(columns.level, f"expected {', '.join(LEVELS)}", level)
    passage = _text(row, columns.passage)
    spec: dict[str, JsonValue] = {"check": check, "question": question}
    if reference is not None:
        spec["reference"] = reference
    if check == "choice":
        spec["choices"] = list(_row_choices(row, columns, choices))
    if check == "numeric" and section.tolerance:
        spec["tolerance"] = section.tolerance
    if check not in CHECKS:
        spec["row"] = row.values
    _check_reference(check, checks[check], spec, columns)
    if not answer and reference is not None and (check in ANSWERS or check not in CHECKS):
        answer = str(reference[0] if isinstance(reference, list) and reference else reference)
    asked: list[JsonValue] = [message.model_dump(mode="json", exclude_defaults=True) for message in messages]
    return Item(
        id=content_id("rows", section.name, asked, check, reference, answer),
        task=section.name,
        dimension=section.dimension,
        level=next((name for name in LEVELS if name == level.lower()), "basic"),
        split="train",
        messages=messages,
        group=_text(row, columns.group),
        kinds=(check,),
        reference=answer or None,
        passage=passage or None,
        spec=spec,
    )


def _conversation(row: Row, columns: ColumnsSection) -> tuple[Conversation, str, str]:
    """The turns before the answer, the question alone, and the expert's answer ("" if there is none)."""
    answer, given, passage = (_text(row, name) for name in (columns.answer, columns.system, columns.passage))
    messages: tuple[Message, ...]
    if _cell(row, columns.messages) is not None:
        messages = parse_turns(row.values, columns.messages)
        if messages[-1].role == "assistant":
            answer, messages = answer or messages[-1].text, messages[:-1]
        if not messages or messages[-1].role != "user" or not messages[-1].text.strip():
            raise RowFault(columns.messages, "expected a question: a turn of the user that is not empty")
        question = messages[-1].text
        if passage and not any(passage in message.text for message in messages):
            messages = (*messages[:-1], user(f"{passage}\n\n{question}"))
    else:
        question = _text(row, columns.prompt)
        if not question:
            raise RowFault(columns.prompt, "expected a text that is not empty", remedy="write it or remove the row")
        messages = (user(f"{passage}\n\n{question}" if passage else question),)
    if given:
        if messages[0].role == "system":
            raise RowFault(columns.system, "the conversation has a system turn of its own", given)
        messages = (system(given), *messages)
    return messages, question, answer


def _row_choices(row: Row, columns: ColumnsSection, inferred: Sequence[str]) -> list[str]:
    given = _cell(row, columns.choices)
    if given is None:
        options = list(inferred)
    elif isinstance(given, list):
        options = [str(option) for option in given]
    else:
        options = [option.strip() for option in str(given).split("|")]
    reference = _cell(row, columns.reference)
    if len(options) < 2:
        remedy = "write them with | between"
        raise RowFault(columns.choices, "expected at least two choices", given, remedy)
    if reference is not None and str(reference) not in options:
        raise RowFault(columns.reference, f"expected one of the choices {' | '.join(options)}", reference)
    return options


def _check_reference(check: str, with_: RowCheck, spec: Mapping[str, JsonValue], columns: ColumnsSection) -> None:
    reference = spec.get("reference")
    if reference is None or reference == []:
        if with_.needs_reference:
            raise RowFault(
                columns.reference, f"the check {check} needs a reference", remedy="add it, or use check none"
            )
    elif fault := with_.fault(reference):
        raise RowFault(columns.reference, fault, reference)


def _cell(row: Row, column: str) -> JsonValue:
    """The value in a column; None where it is missing, null or blank."""
    value = row.values.get(column)
    return None if isinstance(value, str) and not value.strip() else value


def _text(row: Row, column: str) -> str:
    value = _cell(row, column)
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if not isinstance(value, str):
        raise RowFault(column, "expected a text", value)
    return value.strip()


def _problems(fault: RowFault | ValidationError, where: str) -> list[Problem]:
    if isinstance(fault, RowFault):
        received = "" if fault.received is None else shown(fault.received)
        return [Problem(fault.what, f"{where}: {fault.key}", received, fault.remedy)]
    return [
        Problem(detail["msg"], f"{where}: {'.'.join(map(str, detail['loc']))}", shown(detail["input"]))
        for detail in fault.errors(include_url=False)
    ]
