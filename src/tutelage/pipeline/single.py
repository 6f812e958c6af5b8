"""One stage of one round alone, inside the run's own folder: ``run`` finds it finished and goes on from there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tutelage.construct.build import Constructed
from tutelage.errors import RunError
from tutelage.events import Emit, silent, to_all
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.items import guarded_items, probe_items
from tutelage.pipeline.levels import settle_levels
from tutelage.pipeline.planning import plan_round
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.rationales import require_reasoning
from tutelage.pipeline.rounds import Progress, curate_made, probe_stage
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import construct_stage, tune_stage
from tutelage.pipeline.tracking import tracked
from tutelage.recipe import Recipe
from tutelage.records import Example, Preference
from tutelage.records.jsonl import read_records
from tutelage.records.scores import GateVerdict, ScoreSummary
from tutelage.runs import RunDirectory, read_state
from tutelage.tasks.build import demonstrations_of
from tutelage.tune.training.optimizers import check_optimizer


def construct(
    recipe: Recipe, *, round: int = 1, out: Path | None = None, emit: Emit = silent, offline: bool = False
) -> Constructed:
    """Make the data of a round in the run ``out`` (default ``runs/<name>``) and return it.

    The start is scored on the probe split first if it was not yet, as the plan of the round rests on that.

    Raises
    ------
    RunError: an earlier round is not finished, or the folder belongs to another recipe.
    """
    with open_shop(recipe, out, emit=emit, offline=offline, teacher=True) as shop:
        loop = _standing(shop, round)
        return construct_stage(shop, round, plan_round(shop, round, loop.probes), loop.champion)


def curate_round(
    recipe: Recipe, *, round: int = 1, out: Path | None = None, emit: Emit = silent, offline: bool = False
) -> list[Example]:
    """Curate a round's constructed rows, together with those of the promoted model, and return what was kept.

    Raises
    ------
    RunError: the round has no constructed rows yet.
    """
    with open_shop(recipe, out, emit=emit, offline=offline) as shop:
        loop = _standing(shop, round)
        made = _records(shop, round, "construct")
        pairs = read_records(shop.run.round(round) / "construct" / "preferences.jsonl", Preference)
        guarded = guarded_items(recipe, shop.tasks)
        return curate_made(shop, loop, round, made=made, pairs=pairs, guarded=guarded)


def tune_round(
    recipe: Recipe, *, round: int = 1, out: Path | None = None, emit: Emit = silent, offline: bool = False
) -> Path:
    """Tune the starting model on a round's curated rows and return the folder of the weights.

    Raises
    ------
    RunError: the round has no curated rows yet.
    """
    with open_shop(recipe, out, emit=emit, offline=offline, track=True) as shop:
        rows = _records(shop, round, "curate")
        weights = tune_stage(shop, f"rounds/{round}/tune", rows, round=round).weights
        assert weights is not None
        return weights


@contextmanager
def open_shop(
    recipe: Recipe, out: Path | None, *, emit: Emit, offline: bool, teacher: bool = False, track: bool = False
) -> Iterator[Shop]:
    """What a stage needs; ``teacher``: whether a teacher will be asked, so that its key must be there; ``track``:
    whether trackers are told."""
    tasks = preflight(recipe, keys=teacher)
    check_optimizer(recipe.tune)
    require_reasoning(recipe, offline=offline)
    path = out if out is not None else Path("runs") / recipe.name
    with (
        RunDirectory.create(path, recipe) as folder,
        tracked(recipe.trackers if track else (), recipe, path, emit=emit, offline=offline) as follow,
        Engines(recipe, offline=offline, run=folder, emit=to_all(folder.log, emit)) as engines,
    ):
        listeners = to_all(folder.log, emit, follow)
        shop = Shop(recipe, folder, tasks, demonstrations_of(list(tasks.values())), engines, listeners)
        shop.say_changes()
        yield settle_levels(shop)


def _standing(shop: Shop, round: int) -> Progress:
    """Where the loop stands before ``round``, read from the rounds before it."""
    if round > shop.recipe.rounds:
        raise RunError(
            f"the run has {shop.recipe.rounds} rounds",
            where=str(shop.run.path),
            received=f"round {round}",
            remedy="give more rounds in the recipe",
        )
    first = probe_stage(shop, Trained(0, None), probe_items(shop.recipe, shop.tasks))
    loop = Progress(champion=Trained(0, None), probes=[first.summary])
    for before in range(1, round):
        if shop.run.state(f"rounds/{before}/gate") is None:
            raise RunError(
                f"round {before} is not finished",
                where=str(shop.run.path),
                remedy="finish it with: tutelage run",
            )
        folder = shop.run.round(before)
        loop.take(
            read_state(folder / "gate" / "verdict.json", GateVerdict).outcome,
            Trained(before, folder / "tune" / "weights"),
            rows=_records(shop, before, "curate"),
            probe=read_state(folder / "evaluate" / "summary.json", ScoreSummary),
        )
    return loop


def _records(shop: Shop, round: int, stage: str) -> list[Example]:
    if shop.run.state(f"rounds/{round}/{stage}") is None:
        raise RunError(
            f"round {round} has no rows from {stage} yet",
            where=str(shop.run.path),
            remedy=f"make them with: tutelage {stage} RECIPE --round {round}",
        )
    return read_records(shop.run.round(round) / stage / "records.jsonl", Example)
