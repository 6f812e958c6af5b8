"""``tutelage evaluate``."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.cli.console import OUT, Terminal, say, say_json, table
from tutelage.cli.targets import find_target
from tutelage.errors import InputErrors, Problem
from tutelage.pipeline.defaults import recipe_for, with_tasks
from tutelage.pipeline.standalone import evaluate
from tutelage.recipe import Recipe
from tutelage.records import Split
from tutelage.records.scores import CellScore, Score, ScoreSummary
from tutelage.tasks.build import build_tasks


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which model is scored on what."""

    target: str
    adapter: Path | None
    split: Split
    per_cell: int
    tasks: list[str]
    settings: list[str]


def evaluate_command(wanted: Evaluation, *, out: Path | None, quiet: bool, json: bool, offline: bool) -> None:
    """Score a model and print its cells."""
    target = find_target(wanted.target, wanted.settings, wanted.adapter)
    recipe = _only(with_tasks(target.recipe) if target.recipe else recipe_for(target.model), wanted.tasks)
    with Terminal(quiet=quiet, json=json) as terminal:
        found = evaluate(
            recipe,
            adapter=target.weights,
            split=wanted.split,
            per_cell=wanted.per_cell,
            label=target.label,
            run=target.run,
            out=out,
            emit=terminal,
            offline=offline,
        )
    if json:
        say_json(found.summary.model_dump_json())
    elif not quiet:
        print_summary(found.summary)
        if out is not None:
            say(f"\nAnswers and scores: {out}. Compare two such folders with: tutelage compare BEFORE AFTER")


def print_summary(summary: ScoreSummary) -> None:
    """Print cells, macro and transfer with their intervals, and what tells a real gain from a cheap one."""
    say(f"{summary.label} on {summary.split}, {summary.engine.model} by {summary.engine.engine}\n")
    shown = table("dimension", "level", "score", "95 % interval", "n", "unscored", right=("score", "n", "unscored"))
    for cell in summary.cells:
        shown.add_row(cell.dimension, cell.level, *_numbers(cell))
        for facet, score in cell.facets.items() if len(cell.facets) > 1 else ():
            shown.add_row("", f"  {facet}", *_numbers(score), style="dim")
    for cell in summary.transfer_cells:
        shown.add_row(f"{cell.dimension} (transfer)", cell.level, *_numbers(cell))
    shown.add_row("macro", f"{summary.macro.cells} cells", *_numbers(summary.macro), style="bold")
    if summary.transfer is not None:
        shown.add_row("transfer", f"{summary.transfer.cells} cells", *_numbers(summary.transfer), style="bold")
    OUT.print(shown)
    if summary.share_ended is not None and summary.mean_words is not None and summary.repeated_5grams is not None:
        say(
            f"\n{summary.share_ended:.0%} of the answers ended by themselves; {summary.mean_words:.0f} words on "
            f"average; {summary.repeated_5grams:.1%} repeated 5-grams."
        )


def _numbers(score: Score | CellScore) -> tuple[str, str, str, str]:
    if score.value is None:
        return "–", score.reason or "not scored", str(score.n), str(score.unscored or "")
    return f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}", str(score.n), str(score.unscored or "")


def _only(recipe: Recipe, names: list[str]) -> Recipe:
    """The recipe with the named tasks alone."""
    if not names:
        return recipe
    built = dict(zip(build_tasks(recipe.tasks, recipe.folder), recipe.tasks, strict=True))
    unknown = [name for name in names if name not in built]
    if unknown:
        remedy = f"there are: {', '.join(built)}"
        raise InputErrors("evaluate", [Problem("there is no such task", "--task", name, remedy) for name in unknown])
    return recipe.model_copy(update={"tasks": tuple(built[name] for name in built if name in names)})
