"""``tutelage tune``."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.cli.console import Terminal, say, say_json
from tutelage.errors import InputErrors, Problem
from tutelage.pipeline.single import tune_round
from tutelage.pipeline.standalone import recipe_for, tune
from tutelage.recipe import Recipe, load_recipe
from tutelage.recipe.load import parse_recipe
from tutelage.runs import read_state
from tutelage.tune import Summary

DEFAULTS = "name: defaults\ntasks: [{kind: constraints}, {kind: grounded}, {kind: safety}]\n"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tuned on what, and where to."""

    recipe: Path | None
    data: Path | None
    model: str | None
    out: Path | None
    round: int
    settings: list[str]


def tune_command(wanted: Tuning, *, quiet: bool, json: bool, offline: bool) -> None:
    """Tune, and say where the weights are."""
    _refuse_contradictions(wanted)
    recipe = _recipe(wanted)
    with Terminal(quiet=quiet, json=json) as terminal:
        if wanted.data is None:
            folder = wanted.out if wanted.out is not None else Path("runs") / recipe.name
            weights = tune_round(recipe, round=wanted.round, out=folder, emit=terminal, offline=offline)
            summary = read_state(weights.parent / "summary.json", Summary)
        else:
            assert wanted.out is not None
            weights = wanted.out / "weights"
            summary = tune(wanted.data, out=wanted.out, model=recipe, emit=terminal, offline=offline)
    if json:
        say_json({"weights": str(weights), **summary.model_dump(mode="json", exclude={"kind", "losses"})})
    elif not quiet:
        _say_summary(summary)
        say(f"Weights: {weights}")
        say(f"Next: tutelage evaluate {wanted.recipe or recipe.model.id} --adapter {weights}")


def _refuse_contradictions(wanted: Tuning) -> None:
    problems = []
    if wanted.recipe is None and wanted.data is None:
        problems.append(Problem("nothing to tune on", remedy="give a recipe, or --data FILE and -o FOLDER"))
    if wanted.data is not None and wanted.out is None:
        problems.append(Problem("--out is missing", remedy="say where the weights are to go: -o FOLDER"))
    if wanted.data is None and wanted.model is not None:
        problems.append(
            Problem(
                "a round of a run starts from the recipe's model",
                received=f"--model {wanted.model}",
                remedy="leave it out",
            )
        )
    if problems:
        raise InputErrors("tune", problems)


def _recipe(wanted: Tuning) -> Recipe:
    if wanted.recipe is not None:
        recipe = load_recipe(wanted.recipe, wanted.settings)
    elif wanted.settings:
        recipe = parse_recipe(DEFAULTS, source="settings", overrides=wanted.settings)
    else:
        recipe = recipe_for("default")
    if wanted.model is None:
        return recipe
    other = {"id": wanted.model, "revision": None, "template": None}  # these belong to the recipe's own model
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=other)})


def _say_summary(summary: Summary) -> None:
    losses = summary.losses
    went = f"; the loss went from {losses[0]:.3f} to {losses[-1]:.3f}" if losses else ""
    say(
        f"{summary.steps:,} steps on {summary.rows:,} rows, {summary.total_tokens:,} tokens in {summary.seconds:.0f} s "
        f"({summary.tokens_per_second:,.0f} tokens/s){went}."
    )
    if summary.dropped:
        were = "1 row was" if len(summary.dropped) == 1 else f"{len(summary.dropped):,} rows were"
        say(f"{were} not trained on (dropped.jsonl), for example: {next(iter(summary.dropped.values()))}.")
