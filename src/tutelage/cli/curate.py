"""``tutelage curate``."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tutelage.cli.console import OUT, Terminal, say, say_json, table
from tutelage.errors import InputErrors, Problem
from tutelage.pipeline.curating import curate_file
from tutelage.recipe import Recipe, load_recipe
from tutelage.records import Ledger
from tutelage.runs import read_state

YAML = {".yaml", ".yml"}


def curate_command(
    data: Path,
    *,
    out: Path | None,
    recipe: Path | None,
    round: int,
    settings: list[str],
    workers: int | None = None,
    quiet: bool,
    json: bool,
    offline: bool,
) -> None:
    """Curate a file, or a round of a run, and print the ledger."""
    if data.suffix.lower() in YAML:
        if recipe is not None:
            raise InputErrors("curate", [Problem("two recipes are given", received=f"{data} and {recipe}")])
        if workers is not None:
            remedy = "leave it out: the rows of a round are in memory"
            raise InputErrors("curate", [Problem("--workers is for a file", received=str(workers), remedy=remedy)])
        given = load_recipe(data, settings)
        folder = (out if out is not None else Path("runs") / given.name) / "rounds" / str(round) / "curate"
        _curate_round(given, round, out=out, quiet=quiet, json=json, offline=offline)
        ledger = read_state(folder / "ledger.json", Ledger)
        after = f"Next: tutelage tune {data} --round {round}"
    else:
        if settings and recipe is None:
            raise InputErrors("curate", [Problem("--set overrides keys of a recipe", remedy="give --recipe")])
        if out is None:
            raise InputErrors(
                "curate", [Problem("--out is missing", remedy="say where the kept rows are to go: -o FOLDER")]
            )
        folder = out
        given_recipe = load_recipe(recipe, settings) if recipe is not None else None
        with _terminable(), Terminal(quiet=quiet or json) as terminal:
            ledger = curate_file(
                data,
                out=out,
                recipe=given_recipe,
                workers=workers,
                emit=terminal,
                offline=offline,
            )
        after = f"Next: tutelage tune --data {folder / 'records.jsonl'} -o FOLDER"
        if recipe is None:
            after = "No --recipe was given, so no row was compared with evaluation items.\n" + after
    if json:
        say_json(ledger.model_dump_json())
    elif not quiet:
        print_ledger(ledger)
        where = "dropped ones with reasons in dropped.jsonl"
        where += ", what was measured in scores.jsonl" if (folder / "scores.jsonl").is_file() else ""
        say(f"\n{ledger.kept:,} rows in {folder / 'records.jsonl'}, {where}")
        say(after)


@contextmanager
def _terminable() -> Iterator[None]:
    """End in order when a batch system, a container or ``kill`` asks for it: no row stays behind on the disk."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # it cannot listen
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def print_ledger(ledger: Ledger) -> None:
    """Print the counts of a ledger; they add up."""
    shown = table("rows", "", right=("rows",))
    shown.add_row(f"{ledger.rows_in:,}", "came in")
    for reason, count in sorted(ledger.dropped.items(), key=lambda pair: -pair[1]):
        shown.add_row(f"−{count:,}", reason)
    shown.add_row(f"{ledger.kept:,}", "kept", style="bold")
    for what, count in sorted(ledger.changed.items(), key=lambda pair: -pair[1]):
        shown.add_row(f"{count:,}", f"of these changed by {what}")
    OUT.print(shown)
    for note in ledger.notes:
        say(f"  {note}", style="dim")


def _curate_round(recipe: Recipe, round: int, *, out: Path | None, quiet: bool, json: bool, offline: bool) -> None:
    from tutelage.pipeline.single import curate_round

    with Terminal(quiet=quiet, json=json) as terminal:
        curate_round(recipe, round=round, out=out, emit=terminal, offline=offline)
