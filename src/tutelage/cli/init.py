"""``tutelage init``: a folder with a recipe and data of one's own."""

import difflib
import re
import shutil
import sys
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from string import Template

import typer
import yaml
from pydantic import JsonValue

from tutelage.cli.columns import Proposal, propose
from tutelage.cli.console import OUT, say, table
from tutelage.errors import InputErrors, Problem
from tutelage.files import atomic_folder, write_atomic
from tutelage.recipe import load_recipe
from tutelage.recipe.rows import ColumnsSection, RowsSection
from tutelage.records.tables import read_rows
from tutelage.tasks.build import build_tasks, demonstrations_of
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.checks import CHECKS

STARTERS = files("tutelage.cli") / "starters"
OWN_CHECK = "checks.py:check_answer"
SAMPLE = "messages.jsonl"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the new folder is to hold; None is not said yet."""

    name: str | None = None
    model: str | None = None
    data: Path | None = None
    check: str | None = None
    own_check: bool = False
    own_task: bool = False


def init_command(folder: Path, wishes: Wishes, *, ask: bool) -> None:
    """Make the folder, whole or not at all, and say what to do next."""
    _refuse_contradictions(folder, wishes)
    if ask and sys.stdin.isatty():
        wishes = _ask(wishes, folder)
    name = wishes.name or _name(folder.resolve().name)
    tasks: list[dict[str, JsonValue]] = []
    proposal = None
    if wishes.data is not None:
        proposal = propose(read_rows(wishes.data), OWN_CHECK if wishes.own_check else wishes.check)
        tasks.append(_rows_task(wishes.data, proposal))
        _check_rows(wishes.data, tasks[0])
    elif not wishes.own_task:
        check: dict[str, JsonValue] = {"check": OWN_CHECK} if wishes.own_check else {}
        tasks.append({"kind": "rows", "path": f"data/{SAMPLE}", "name": "messages", **check})
    if wishes.own_task:
        tasks.append({"kind": "custom", "path": "task.py:Shopping"})
    with atomic_folder(folder) as partial:
        _write(partial, wishes, folder=folder, name=name, tasks=tasks)
        built = build_tasks(load_recipe(partial / "recipe.yaml").tasks, partial)
        if not demonstrations_of(list(built.values())):
            text = (partial / "recipe.yaml").read_text(encoding="utf-8").partition("\ncontrols:")[0]
            write_atomic(partial / "recipe.yaml", text + "\n")
    _show(folder, wishes, proposal, [task for task in built.values() if isinstance(task, RowsTask)])


def _refuse_contradictions(folder: Path, wishes: Wishes) -> None:
    problems = []
    if wishes.check is not None and wishes.own_check:
        problems.append(Problem("--check and --own-check exclude each other", remedy="give one of them"))
    if wishes.check is not None and wishes.data is None:
        problems.append(Problem("--check says how the rows of --data are checked", remedy="give --data too"))
    if wishes.check is not None and wishes.check not in CHECKS:
        near = difflib.get_close_matches(wishes.check, CHECKS, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"use {', '.join(CHECKS)}, or --own-check"
        problems.append(Problem("there is no such check", "--check", wishes.check, remedy))
    if wishes.own_check and wishes.own_task and wishes.data is None:
        problems.append(
            Problem(
                "--own-check is for rows, and a task of your own checks itself", remedy="give --data, or one of them"
            )
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(Problem("it exists already", str(folder), remedy="choose another name; nothing is overwritten"))
    if problems:
        raise InputErrors("init", problems)


def _ask(wishes: Wishes, folder: Path) -> Wishes:
    if wishes.name is None:
        wishes = replace(wishes, name=typer.prompt("Name of the runs", default=_name(folder.resolve().name)))
    if wishes.model is None:
        model = typer.prompt("Model (a hub id, a folder, a GGUF file, or default)", default="default")
        wishes = replace(wishes, model=model)
    if wishes.data is None and not wishes.own_task:
        given = typer.prompt("File with your rows (empty: a sample to try)", default="", show_default=False)
        wishes = replace(wishes, data=Path(given).expanduser() if given else None)
    if wishes.data is not None and wishes.check is None and not wishes.own_check:
        found = propose(read_rows(wishes.data))
        said = typer.prompt(
            f"Check: {', '.join(CHECKS)} or own ({found.reason})", default=found.check or "as the rows say"
        )
        if said == "own":
            return replace(wishes, own_check=True)
        wishes = replace(wishes, check=said if said in CHECKS else None)
    return wishes


def _rows_task(data: Path, proposal: Proposal) -> dict[str, JsonValue]:
    default = ColumnsSection()
    columns: dict[str, JsonValue] = {
        field: column for field, column in proposal.columns.items() if column != getattr(default, field)
    }
    task: dict[str, JsonValue] = {"kind": "rows", "path": f"data/{data.name}", "name": _name(data.name.split(".")[0])}
    if proposal.check:
        task["check"] = proposal.check
    return {**task, "columns": columns} if columns else task


def _check_rows(data: Path, task: dict[str, JsonValue]) -> None:
    """Name the faults of the file by its own path, before anything is written."""
    settings: dict[str, JsonValue] = {**task, "path": str(data.resolve())}
    if task.get("check") == OWN_CHECK:
        del settings["check"]
    RowsTask(RowsSection.model_validate(settings))


def _write(partial: Path, wishes: Wishes, *, folder: Path, name: str, tasks: list[dict[str, JsonValue]]) -> None:
    written = yaml.safe_dump(tasks, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    recipe = Template((STARTERS / "recipe.yaml").read_text(encoding="utf-8")).substitute(
        folder=folder,
        name=yaml.safe_dump(name, default_style='"', allow_unicode=True).strip(),
        model=yaml.safe_dump(wishes.model or "default", default_style='"').strip(),
        tasks="".join(f"  {line}\n" for line in written.splitlines()),
    )
    write_atomic(partial / "recipe.yaml", recipe)
    if wishes.data is not None:
        (partial / "data").mkdir()
        shutil.copyfile(wishes.data, partial / "data" / wishes.data.name)
    elif not wishes.own_task:
        sample = (STARTERS / SAMPLE).read_text(encoding="utf-8")
        # A row that names a check keeps it, whatever the recipe says.
        write_atomic(
            partial / "data" / SAMPLE, sample.replace(', "check": "choice"', "") if wishes.own_check else sample
        )
    for wanted, file in ((wishes.own_check, "checks.py"), (wishes.own_task, "task.py")):
        if wanted:
            write_atomic(partial / file, (STARTERS / file).read_text(encoding="utf-8"))


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:40] or "own"


def _show(folder: Path, wishes: Wishes, proposal: Proposal | None, rows: list[RowsTask]) -> None:
    say(f"Made {folder}:")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            say(f"  {file.relative_to(folder)}")
    if proposal is not None:
        say("")
        found = table(f"column of {wishes.data}", "holds")
        for field, column in proposal.columns.items():
            found.add_row(column, field)
        OUT.print(found)
        say(f"\nCheck: {proposal.check or 'by row'} ({proposal.reason}).")
        if proposal.check and "check" in proposal.columns:
            say("Rows that name a check in their own column keep it.")
    elif rows:
        say(f"No --data was given, so data/{SAMPLE} holds sample rows: replace them with yours.")
    for task in rows:
        for sentence in task.capability():
            say(f"  {sentence}")
    if wishes.own_check:
        say(f"  This goes by {folder}/checks.py as it stands: write your check there, then look again with --dry-run.")
    say("\nNext:")
    for command in (
        f"preview {folder}/recipe.yaml",
        f"run {folder}/recipe.yaml --dry-run",
        f"run {folder}/recipe.yaml",
    ):
        say(f"  tutelage {command}")
