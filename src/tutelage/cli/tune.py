"""``tutelage tune``."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.cli.console import Terminal, say, say_json
from tutelage.cli.targets import rows_at
from tutelage.errors import InputErrors, Problem
from tutelage.launch import place
from tutelage.pipeline.defaults import recipe_for
from tutelage.pipeline.single import tune_round
from tutelage.pipeline.standalone import tune
from tutelage.recipe import Recipe, load_recipe
from tutelage.recipe.data import HUB, DataSection
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import RewardObjective
from tutelage.runs import read_state
from tutelage.tune import Summary

DEFAULTS = "name: defaults\ntasks: [{kind: constraints}, {kind: grounded}, {kind: safety}]\n"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tuned on what, and where to."""

    recipe: Path | None
    data: str | None
    model: str | None
    out: Path | None
    round: int | None
    settings: list[str]


def tune_command(wanted: Tuning, *, quiet: bool, json: bool, offline: bool) -> None:
    """Tune, and say where the weights are."""
    if wanted.recipe is None and wanted.data is None:
        remedy = f"give a recipe, or --data FILE (or {HUB}owner/name) and -o FOLDER"
        raise _refused(Problem("nothing to tune on", remedy=remedy))
    recipe = _recipe(wanted)
    own, here = _own_rows(wanted, recipe), place()
    if own is None and here.count > 1:
        what, remedy = "a round of a run is tuned in one process", "start it without torchrun, or give it --data FILE"
        raise _refused(Problem(what, received=f"{here.count} processes", remedy=remedy))
    if here.rank:
        quiet, json = True, False
    with Terminal(quiet=quiet, json=json) as terminal:
        if own is None:
            folder = wanted.out if wanted.out is not None else Path("runs") / recipe.name
            weights = tune_round(recipe, round=wanted.round or 1, out=folder, emit=terminal, offline=offline)
            summary = read_state(weights.parent / "summary.json", Summary)
        else:
            data, folder = own
            weights = folder / "weights"
            summary = tune(data, out=folder, model=recipe, emit=terminal, offline=offline)
    if json:
        say_json({"weights": str(weights), **summary.model_dump(mode="json", exclude={"kind", "losses", "told"})})
    elif not quiet:
        _say_summary(summary)
        say(f"Weights: {weights}")
        base = wanted.recipe or recipe.model.id
        if isinstance(recipe.tune.objective, RewardObjective):
            say(f"Next: tutelage score HELD_OUT_PAIRS --reward {weights} --model {base}")
        else:
            say(f"Next: tutelage evaluate {base} --adapter {weights}")


def _own_rows(wanted: Tuning, recipe: Recipe) -> tuple[DataSection | Path | None, Path] | None:
    """The rows to learn from (None: the model's own answers) and the folder for what is learned; None: a round of the
    recipe's run."""
    own, asks = recipe.tune.data, recipe.tune.objective.rows == "prompts"
    if wanted.round is not None and (wanted.data is not None or own is not None or asks):
        raise _refused(Problem("rows of your own are of no round", "--round", str(wanted.round), "leave it out"))
    if wanted.data is not None:
        if wanted.out is None:
            raise _refused(Problem("--out is missing", remedy="say where the weights are to go: -o FOLDER"))
        return rows_at(wanted.data, "tune"), wanted.out
    if own is not None or asks:
        folder = wanted.out if wanted.out is not None else Path("runs") / recipe.name
        if (folder / "recipe.json").is_file():
            remedy = "choose another --out, or give the recipe another name"
            raise _refused(Problem("a run of a whole loop is in the way", str(folder), remedy=remedy))
        return own, folder / "tune"
    if wanted.model is not None:
        what = "a round of a run starts from the recipe's model"
        raise _refused(Problem(what, received=f"--model {wanted.model}", remedy="leave it out"))
    return None


def _refused(problem: Problem) -> InputErrors:
    return InputErrors("tune", [problem])


def _recipe(wanted: Tuning) -> Recipe:
    if wanted.recipe is not None:
        recipe = load_recipe(wanted.recipe, wanted.settings)
    elif wanted.settings:
        recipe = parse_recipe(DEFAULTS, source="settings", overrides=wanted.settings)
    else:
        recipe = recipe_for("default")
    if wanted.model is None:
        return recipe
    other: dict[str, object] = {"id": wanted.model, "revision": None}
    for key, usual in (("template", "own"), ("new_tokens", ())):  # these, too, belong to the recipe's own model
        if not any(setting.startswith(f"model.{key}=") for setting in wanted.settings):
            other[key] = usual
    return recipe.model_copy(update={"model": recipe.model.model_copy(update=other)})


def _say_summary(summary: Summary) -> None:
    losses = summary.losses
    went = f"; the loss went from {losses[0]:.3f} to {losses[-1]:.3f}" if losses else ""
    say(
        f"{summary.steps:,} steps on {summary.rows:,} rows, {summary.total_tokens:,} tokens in {summary.seconds:.0f} s "
        f"({summary.tokens_per_second:,.0f} tokens/s){went}."
    )
    if summary.told:
        first, last = summary.told[0], summary.told[-1]
        told = ", ".join(f"{name} {first.get(name, 0.0):.3g} → {value:.3g}" for name, value in last.items())
        say(f"From the first steps to the last: {told}.")
    if summary.dropped:
        were = "1 row was" if len(summary.dropped) == 1 else f"{len(summary.dropped):,} rows were"
        say(f"{were} not trained on (dropped.jsonl), for example: {next(iter(summary.dropped.values()))}.")
