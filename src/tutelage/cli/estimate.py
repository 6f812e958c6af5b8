"""``tutelage run --dry-run``."""

from pathlib import Path

from tutelage.cli.console import OUT, say, say_json, table
from tutelage.cli.recipe import look_for_optimizer
from tutelage.pipeline.estimate import Estimate, estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.stage_estimates import RATES_HOLD_FOR
from tutelage.recipe import Recipe


def estimate_command(recipe: Recipe, folder: Path, *, json: bool) -> None:
    """Say what a run would do, who would see what, and what it could prove."""
    tasks = preflight(recipe, tunes=True)
    look_for_optimizer(recipe)
    found = estimate_run(recipe, tasks)
    if json:
        say_json(found.model_dump_json())
        return
    rounds = f"{found.rounds} round{'' if found.rounds == 1 else 's'}"
    say(f"{found.name}: {rounds} on {recipe.model.id}, in {folder}. Nothing was started.\n")
    _print_stages(found)
    if found.minutes is None:
        say(f"\nTokens are rough. Rates are known only for {' and '.join(sorted(RATES_HOLD_FOR))} on a CPU.")
    else:
        say("\nTokens and minutes are rough: rates of SmolLM2-135M-Instruct on two CPU cores.")
    told = [("\nWho sees what", found.sees), ("\nWhat it can prove", found.claims)]
    if found.teaching is not None:
        told.insert(1, ("\nWhat the teacher costs", found.teaching.words))
    if found.judging is not None:
        told.insert(1, ("\nWhat the judge costs", found.judging.words))
    for heading, sentences in told:
        say(heading, style="bold")
        for sentence in sentences:
            say(f"  {sentence}")


def _print_stages(found: Estimate) -> None:
    shown = table(
        "stage", "times", "what", "answers", "tokens", "minutes", right=("times", "answers", "tokens", "minutes")
    )
    for stage in found.stages:
        shown.add_row(
            stage.stage,
            str(stage.times),
            stage.what,
            f"{stage.answers:,}" if stage.answers else "",
            f"{stage.tokens:,}",
            _minutes(stage.minutes),
        )
    shown.add_row("in all", "", "", f"{found.answers:,}", f"{found.tokens:,}", _minutes(found.minutes), style="bold")
    OUT.print(shown)


def _minutes(minutes: float | None) -> str:
    return "?" if minutes is None else f"{minutes:.1f}"
