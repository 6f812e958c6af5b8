"""``tutelage run``."""

from pathlib import Path

from tutelage.cli.console import ERR, Terminal, say, say_json, waiting
from tutelage.recipe import Recipe, load_recipe
from tutelage.records.outcome import RunOutcome
from tutelage.report.cards import write_card
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory, read_state


def run_command(
    path: Path, *, out: Path | None, settings: list[str], quiet: bool, json: bool, offline: bool, dry_run: bool
) -> None:
    """Run a recipe and write its report; a finished run is only told about."""
    recipe = load_recipe(path, settings)
    folder = out if out is not None else Path("runs") / recipe.name
    if dry_run:
        from tutelage.cli.estimate import estimate_command

        estimate_command(recipe, folder, json=json)
        return
    done = _finished(folder, recipe)
    outcome = done or _run(recipe, folder, quiet=quiet, json=json, offline=offline)
    with waiting("writing the report", quiet=quiet or json):
        report = write_report(RunDirectory.open(folder))
        card = write_card(RunDirectory.open(folder))
    if json:
        shown = outcome.model_dump(mode="json", include={"name", "promoted_round", "verdicts", "words"})
        paths = {"path": str(folder), "report": str(report), "card": str(card)}
        say_json({"kind": "outcome", **paths, "done_before": bool(done), **shown})
    elif not quiet:
        if done is not None:
            say(f"This run is done. {outcome.words}")
            say(f"To start over: rm -r {folder}, or give it another name with --set name=...")
        say(f"Report: {report}")
        say(f"Model card: {card}")
        ERR.print(f"Talk to the model: tutelage chat {folder}", markup=False, style="dim", soft_wrap=True)


def _run(recipe: Recipe, folder: Path, *, quiet: bool, json: bool, offline: bool) -> RunOutcome:
    with waiting("loading torch", quiet=quiet or json):
        from tutelage.pipeline.run import run
    with Terminal(quiet=quiet, json=json) as terminal:
        return run(recipe, folder, emit=terminal, offline=offline)


def _finished(folder: Path, recipe: Recipe) -> RunOutcome | None:
    """The outcome of a finished run of this very recipe, read without loading torch."""
    if not RunDirectory(folder).finished:
        return None
    with RunDirectory.create(folder, recipe) as run:
        return read_state(run.path / "outcome.json", RunOutcome)
