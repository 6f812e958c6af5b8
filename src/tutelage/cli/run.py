"""``tutelage run``."""

from pathlib import Path

from tutelage.cli.console import ERR, OUT, Terminal
from tutelage.errors import RunError
from tutelage.pipeline.run import run
from tutelage.recipe import load_recipe
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory


def run_command(
    path: Path, *, out: Path | None, settings: list[str], quiet: bool, json: bool, offline: bool, dry_run: bool
) -> None:
    """Run a recipe and write its report."""
    recipe = load_recipe(path, settings)
    folder = out if out is not None else Path("runs") / recipe.name
    if dry_run:
        from tutelage.cli.estimate import estimate_command

        estimate_command(recipe, folder, json=json)
        return
    with Terminal(quiet=quiet, json=json) as terminal:
        done_before = _finished(folder)
        outcome = run(recipe, folder, emit=terminal, offline=offline)
        report = write_report(RunDirectory.open(folder))
    if json:
        OUT.print(outcome.model_dump_json(include={"name", "promoted_round", "verdicts", "words"}), soft_wrap=True)
    elif not quiet:
        if done_before:
            OUT.print(f"This run is done. {outcome.words}", soft_wrap=True)
            OUT.print(f"To start over: rm -r {folder}, or give it another name with --set name=...", soft_wrap=True)
        OUT.print(f"Report: {report}", soft_wrap=True)
        ERR.print(f"[dim]Talk to the model: tutelage chat {folder}[/dim]")


def _finished(folder: Path) -> bool:
    try:
        return RunDirectory.open(folder).finished
    except RunError:
        return False
