"""Levels of a user's rows that state none: estimated once from the starting model, before anything else, then frozen.

A row's level is its pass rate over a few samples. The estimate is noisy, and rows that the start failed by bad luck
rise by themselves when they are asked again: a single estimated cell shows such a rise where there is none, while the
mean over all rows is not chosen by it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from tutelage.completers.replay import answer_all
from tutelage.events import Event
from tutelage.files import write_atomic
from tutelage.pipeline.shop import Shop
from tutelage.records import LEVELS, Answer, Item, Level, Record, Request, Sampling
from tutelage.records.jsonl import RecordLog
from tutelage.seeds import derive_seed
from tutelage.tasks.build import demonstrations_of
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask, estimate_levels
from tutelage.tasks.rows.capability import MIN_CELL, is_checked
from tutelage.tasks.verdicts import checked

STAGE = "rounds/0/levels"


class EstimatedLevels(Record):
    """One task's frozen levels by item id, the pass rates behind them, and how many samples each rests on."""

    task: str
    samples: int
    levels: dict[str, Level]
    pass_rates: dict[str, float] = Field(default_factory=dict)


def say_limits(shop: Shop) -> None:
    """Say, before anything is asked, what each task of rows can and cannot prove."""
    for name, task in shop.tasks.items():
        if isinstance(task, RowsTask):
            for said in task.capability():
                shop.emit(Event("note", data={"text": f"{name}: {said}"}))


def settle_levels(shop: Shop) -> Shop:
    """Return the shop with estimated levels in every task of rows that states none (``rounds/0/levels``).

    Rows without a check cannot be passed and join the easiest level that the others have. A level that would leave
    fewer than 20 rows in the test split is joined with its neighbor. Called again it reads what it wrote.
    """
    wanted = [task for task in shop.tasks.values() if isinstance(task, RowsTask) and task.needs_levels]
    if not wanted:
        return shop
    if shop.run.state(STAGE) is None:
        with shop.run.stage(STAGE) as folder:
            for task in wanted:
                found = _estimate(shop, folder, task)
                write_atomic(folder / f"{task.name}.json", found.model_dump_json(indent=1) + "\n")
    for frozen in _frozen(shop.run.path, wanted):
        shop.listening("levels", 0)(Event("note", data={"text": _words(frozen)}))
    tasks = with_levels_of(shop.run.path, shop.tasks)
    return replace(shop, tasks=tasks, demonstrations=demonstrations_of(list(tasks.values())))


def with_levels_of(run: Path, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Return ``tasks`` with the levels that a run has estimated, where it has."""
    wanted = {name: task for name, task in tasks.items() if isinstance(task, RowsTask) and task.needs_levels}
    frozen = {found.task: found.levels for found in _frozen(run, list(wanted.values()))}
    return {**tasks, **{name: wanted[name].with_levels(levels) for name, levels in frozen.items()}}


def _frozen(run: Path, tasks: Sequence[RowsTask]) -> list[EstimatedLevels]:
    files = [run / STAGE / f"{task.name}.json" for task in tasks]
    return [EstimatedLevels.from_json(file.read_bytes()) for file in files if file.is_file()]


def estimated_tasks(shop: Shop) -> tuple[str, ...]:
    """The names of the tasks whose levels are estimates."""
    return tuple(name for name, task in shop.tasks.items() if isinstance(task, RowsTask) and task.levels_estimated)


def _estimate(shop: Shop, folder: Path, task: RowsTask) -> EstimatedLevels:
    items = [item for item in task.all_items if is_checked(item)]
    rates = _pass_rates(shop, folder, task, items)
    held_out = {item.id for item in items if item.split == "test"} or set(rates)
    levels = estimate_levels(rates, MIN_CELL, counted=held_out)
    easiest = next((level for level in LEVELS if level in levels.values()), LEVELS[0])
    return EstimatedLevels(
        task=task.name,
        samples=task.section.level_samples,
        levels={item.id: levels.get(item.id, easiest) for item in task.all_items},
        pass_rates=rates,
    )


def _pass_rates(shop: Shop, folder: Path, task: RowsTask, items: Sequence[Item]) -> dict[str, float]:
    """The mean score of each item's sampled answers; an item of which none could be scored has no rate."""
    section, samples = shop.recipe.construct, task.section.level_samples
    sampling = Sampling(temperature=section.temperature, top_p=section.top_p, max_tokens=section.max_tokens)
    asked = [(item, number) for item in items for number in range(samples)]
    requests = [
        Request(
            id=f"{item.id}/{number}",
            messages=item.messages,
            sampling=sampling,
            seed=derive_seed(shop.seed, "levels", item.id, number),
        )
        for item, number in asked
    ]
    answers = answer_all(
        lambda: shop.engines.sampler(None, folder),
        requests,
        log=RecordLog(folder / f"{task.name}-answers.jsonl", Answer),
        chunk=shop.recipe.engines.chunk,
        emit=shop.listening("levels", 0),
        label=f"levels of {task.name}",
    )
    scores: dict[str, list[float]] = {}
    for (item, _), verdict in zip(asked, checked(task, [item for item, _ in asked], answers), strict=True):
        if verdict.score is not None:
            scores.setdefault(item.id, []).append(verdict.score)
    return {id: sum(found) / len(found) for id, found in scores.items()}


def _words(frozen: EstimatedLevels) -> str:
    counts = Counter(frozen.levels.values())
    parts = ", ".join(f"{counts[level]} {level}" for level in LEVELS if counts[level])
    return (
        f"Levels of {frozen.task} are estimated from {frozen.samples} answers a row of the starting model, and frozen: "
        f"{parts}."
    )
