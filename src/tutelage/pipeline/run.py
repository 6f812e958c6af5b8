"""One recipe, one command: the whole loop."""

import time
from pathlib import Path

from tutelage.events import Emit, Event, silent, to_all
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.final import finish
from tutelage.pipeline.levels import say_limits, settle_levels
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.rationales import require_reasoning
from tutelage.pipeline.rounds import run_rounds
from tutelage.pipeline.shop import Shop
from tutelage.pipeline.tracking import tracked
from tutelage.recipe import Recipe
from tutelage.records.outcome import RunOutcome
from tutelage.runs import RunDirectory, read_state
from tutelage.tasks.build import demonstrations_of
from tutelage.tune.training.optimizers import check_optimizer


def run(recipe: Recipe, out: Path | None = None, *, emit: Emit = silent, offline: bool = False) -> RunOutcome:
    """Run the loop of ``recipe`` in ``out`` (default ``runs/<name>``) and return its outcome.

    Resumable: the same call after an interruption goes on where it stopped, and on a finished run only reads.

    Raises
    ------
    TutelageError: whatever a user can mend, named; what was finished before stays.
    """
    path = out if out is not None else Path("runs") / recipe.name
    tasks = preflight(recipe, keys=not RunDirectory(path).finished, tunes=True)
    check_optimizer(recipe.tune)
    if not RunDirectory(path).finished:
        require_reasoning(recipe, offline=offline)
    with RunDirectory.create(path, recipe) as folder:
        outcome_file = path / "outcome.json"
        if folder.finished:
            return read_state(outcome_file, RunOutcome)
        listeners = to_all(folder.log, emit)
        started = time.monotonic()
        listeners(Event("run_started", data={"name": recipe.name, "path": str(path)}))
        with (
            tracked(recipe.trackers, recipe, path, emit=listeners, offline=offline) as follow,
            Engines(recipe, offline=offline, run=folder, emit=listeners) as engines,
        ):
            told = to_all(listeners, follow)
            shop = Shop(recipe, folder, tasks, demonstrations_of(list(tasks.values())), engines, told)
            shop.say_changes()
            say_limits(shop)
            shop = settle_levels(shop)
            outcome = finish(shop, run_rounds(shop))
        folder.finish(outcome=outcome.words, seconds=time.monotonic() - started)
        listeners(Event("run_finished", data={"text": outcome.words, "path": str(path)}))
        return outcome
