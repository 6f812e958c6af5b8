"""From the probe's scores and what was accepted before to the prompts of the next round."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tutelage.events import Event
from tutelage.files import write_atomic
from tutelage.pipeline.items import can_be_sampled
from tutelage.pipeline.shop import Shop
from tutelage.recipe.reflect import CustomPlanner, GapYieldPlanner, UniformPlanner
from tutelage.records import Level
from tutelage.records.jsonl import read_records
from tutelage.records.scores import CellState, Plan, ScoreSummary
from tutelage.records.tradeoff import CellYield
from tutelage.reflect.own import load_planner
from tutelage.reflect.plan import Policy, allocate, round_shares, uniform
from tutelage.runs import read_state
from tutelage.tasks.protocol import Task

FLOOR_SHARE = 0.3  # of an even share: every cell stays in the data, so that nothing learned is forgotten

ALONE, WITH_SOURCES = "the experts' answers alone", "the experts' answers and from construct.sources"
NOTHING_TO_SAMPLE = Plan(
    policy="expert rows alone",
    budget=0,
    allocations=(),
    words=f"No task can check an answer, so nothing is sampled: the round learns from {ALONE}.",
)
LATER = NOTHING_TO_SAMPLE.model_copy(
    update={"words": f"No task is sampled yet (sample_from): the round learns from {ALONE}."}
)


@dataclass(frozen=True, slots=True)
class Prompts:
    """How many new prompts each (task, level) gets, and which of these cells only the teacher answers."""

    numbers: dict[tuple[str, Level], int]
    teacher_only: frozenset[tuple[str, Level]] = frozenset()


def plan_round(shop: Shop, round: int, probes: Sequence[ScoreSummary]) -> Prompts:
    """Return how many new prompts each (task, level) gets in ``round`` and write ``rounds/<round>/plan/plan.json``.

    ``probes`` are the promoted model's probe scores, one for the start and each round before; the last steers. Where no
    task can check an answer, or none is sampled yet, the round learns from the experts' answers alone.
    """
    name = f"rounds/{round}/plan"
    file = shop.run.path / name / "plan.json"
    if shop.run.state(name) is None:
        with shop.run.stage(name):
            states = _states(shop, round, probes)
            budget = shop.recipe.construct.prompts
            floor = int(FLOOR_SHARE * budget / max(1, len(states)))
            nothing = NOTHING_TO_SAMPLE if shop.sampled(round) else LATER
            if shop.recipe.construct.sources:
                nothing = nothing.model_copy(update={"words": nothing.words.replace(ALONE, WITH_SOURCES)})
            plan = _policy(shop)(states, budget, floor=floor) if states else nothing
            write_atomic(file, plan.model_dump_json(indent=1) + "\n")
    plan = read_state(file, Plan)
    shop.listening("plan", round)(Event("plan", data={"text": plan.words}))
    return _by_task(plan, shop.sampled(round))


def _policy(shop: Shop) -> Policy:
    match shop.recipe.reflect.planner:
        case GapYieldPlanner():
            return partial(allocate, teacher=shop.recipe.construct.distill is not None)
        case UniformPlanner():
            return uniform
        case CustomPlanner(path=path, options=options):
            return load_planner(path, options, shop.recipe.folder)


def _states(shop: Shop, round: int, probes: Sequence[ScoreSummary]) -> list[CellState]:
    counts = _counts(shop, round)
    values = {(cell.dimension, cell.level): cell.value for cell in probes[-1].cells}
    states: list[CellState] = []
    for key in _cells(shop.sampled(round)):
        value = values.get(key)
        earlier = probes[-2].cells if len(probes) > 1 else ()
        old = next((c.value for c in earlier if (c.dimension, c.level) == key), None)
        known = counts.get(key)
        rows = known.accepted if known else 0
        moved = (value - old) / rows if value is not None and old is not None and rows else None
        states.append(
            CellState(
                dimension=key[0],
                level=key[1],
                weight=shop.weight(key[0]),
                value=value,
                accepted=rows,
                attempted=known.attempted if known else 0,
                tokens=(known.tokens or 0) if known else 0,
                progress=moved,
            )
        )
    return states


def _cells(tasks: dict[str, Task]) -> list[tuple[str, Level]]:
    """The cells for which data can be made, whether the probe split has items of them or not."""
    found = [(task.dimension, level) for task in tasks.values() for level in task.levels if can_be_sampled(task, level)]
    return list(dict.fromkeys(found))


def _counts(shop: Shop, round: int) -> dict[tuple[str, Level], CellYield]:
    """What all earlier rounds sampled and accepted, by cell."""
    found: dict[tuple[str, Level], CellYield] = {}
    for before in range(1, round):
        for count in read_records(shop.run.path / f"rounds/{before}/construct/cells.jsonl", CellYield):
            key = (count.dimension, count.level)
            found[key] = found[key].plus(count) if key in found else count
    return found


def _by_task(plan: Plan, tasks: dict[str, Task]) -> Prompts:
    """Divide each cell's prompts evenly over the tasks of its dimension that can ask at its level."""
    found: dict[tuple[str, Level], int] = {}
    by: dict[tuple[str, Level], set[str]] = {}
    for given in plan.allocations:
        names = [
            name
            for name, task in tasks.items()
            if task.dimension == given.dimension
            and given.spent_at in task.levels
            and can_be_sampled(task, given.spent_at)
        ]
        for name, share in zip(names, round_shares([1.0] * len(names), given.attempts), strict=True):
            found[name, given.spent_at] = found.get((name, given.spent_at), 0) + share
            if share:
                by.setdefault((name, given.spent_at), set()).add(given.by)
    return Prompts(found, frozenset(cell for cell, who in by.items() if who == {"teacher"}))
