"""Stages outside a run, on any file and any model: what ``import tutelage`` and the single commands call."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tutelage.curate.sieve import Curated
from tutelage.curate.sieve import curate as sift
from tutelage.errors import DataError, Problem, RecipeError, RunError
from tutelage.evaluate.compare import compare as compare_scores
from tutelage.evaluate.run import examine
from tutelage.evaluate.summary import summarize
from tutelage.events import Emit, Event, located, say, silent, to_all
from tutelage.files import write_atomic
from tutelage.launch import place
from tutelage.models.hardware import pick_device
from tutelage.pipeline.asking import asked_items, identity_of, probe_of, reward_of
from tutelage.pipeline.curating import curation, write_curated
from tutelage.pipeline.defaults import recipe_for, with_tasks
from tutelage.pipeline.encoding import TrainingRow
from tutelage.pipeline.engines import Engines, origin_of
from tutelage.pipeline.items import split_items
from tutelage.pipeline.leaks import beyond_guarded, shared_words
from tutelage.pipeline.levels import with_levels_of
from tutelage.pipeline.own_rows import AnyRows, Rows, given_rows, read_rows, read_training_rows, what_they_are
from tutelage.pipeline.stages import say_rounding
from tutelage.pipeline.told import logs_of_recipe
from tutelage.pipeline.tracking import tracked
from tutelage.pipeline.training import train_rows
from tutelage.pipeline.tuned import keep_origin
from tutelage.recipe import Recipe
from tutelage.recipe.data import DataSection
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import wants_four_bits
from tutelage.recipe.model import ModelSection
from tutelage.recipe.tune import TuneSection
from tutelage.records import Split, content_id
from tutelage.records.comparison import Comparison
from tutelage.records.jsonl import read_records
from tutelage.records.scores import ItemScore, ScoreSummary
from tutelage.runs import RunDirectory, read_state
from tutelage.seeds import derive_seed
from tutelage.tasks.build import build_tasks
from tutelage.tune import Reward, Summary
from tutelage.tune.training.processes import joined

RATE = (
    "The learning rate is {lr:g}, the default, one for supervised tuning; preferences usually want a hundredth "
    "to a tenth of it (tune.optimizer.lr)."
)
REINFORCED = (
    "The learning rate is {lr:g}, the default, one for supervised tuning; reinforcement learning usually wants a tenth "
    "of it or less (tune.optimizer.lr)."
)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one model scored: the summary with its cells, and every item's score."""

    summary: ScoreSummary
    scores: list[ItemScore]


def curate(
    data: Rows, *, recipe: Recipe | None = None, out: Path | None = None, emit: Emit = silent, offline: bool = False
) -> Curated:
    """Send rows through the steps of ``recipe`` (default: all steps at their defaults).

    With a recipe, rows that share words with an item of its probe, gate or test split, or with a text of the gate's
    utility guards, are dropped, and steps that read rows with a model do so with its starting model. ``out`` gets
    ``records.jsonl``, ``dropped.jsonl``, ``ledger.json`` and, if a step measured rows, ``scores.jsonl``, as a round of
    a run has them; what a model read stays in ``readings``, and the same call again does not read it anew. All
    rows are held in memory; :func:`tutelage.curate_file` writes the same files and holds none.

    Raises
    ------
    DataError: rows that cannot be read, or more of them dropped than ``curate.max_loss`` allows; nothing is written.
    RecipeError: a step names what cannot be used.
    """
    rows = read_rows(data)
    emit = located(emit, stage="curate")
    with curation(recipe, out, emit=emit, offline=offline) as given:
        curated = sift(rows, given.steps, limits=given.limits, emit=emit)
    if out is not None:
        write_curated(out, curated)
    return curated


def tune(
    data: AnyRows | DataSection | None = None,
    *,
    out: Path,
    model: Recipe | ModelSection | str = "default",
    section: TuneSection | None = None,
    seed: int | None = None,
    emit: Emit = silent,
    offline: bool = False,
) -> Summary:
    """Tune ``model`` on rows and leave the weights in ``out/weights``; the same call after a kill goes on.

    ``data`` are rows of the kind that the objective learns from (:mod:`tutelage.records.importers`), or the section of
    a recipe that names them: a file relative to the recipe's folder, or a data set of the hub. None: the objective
    learns from the model's own answers, asks train items of the recipe's tasks and leaves what was answered, and how
    it was scored, in ``out/rollouts.jsonl``. With ``section.early_stopping`` the model is asked probe items of the
    recipe's tasks on the way, and the best weights are kept. ``model`` is a recipe (its model with its chat template,
    its threads, ``tune`` section and seed), a section of one (its template relative to the working folder), or a
    model's id. ``section`` and ``seed`` go before the recipe's. A row longer than ``section.max_tokens`` or without an
    exact loss mask is dropped, never truncated: ``out/dropped.jsonl`` holds it with the reason and ``out/ledger.json``
    counts it; ``out/tuned.json`` says what the weights were made of, for ``tutelage export``. Rows that share words
    with what the recipe scores models on are trained on; a note tells how many, in the ledger too. Under torchrun its
    processes make every step together, each with its share of the rows; the first one speaks and writes.

    Raises
    ------
    TrainingError: there is nothing to train on, most rows would be dropped, or training cannot go on. RunError:
    ``out`` holds another training.
    """
    recipe = _with_section(model, section)
    chosen, answers = recipe.tune, logs_of_recipe(recipe)
    emit = located(emit, stage="tune") if place().rank == 0 else silent
    probe = probe_of(recipe, chosen)
    given, name = given_rows(data, recipe.folder, out=out, offline=offline)
    rows, notes, reward = _learned(given, chosen, recipe)
    say([what_they_are(name, rows), *_of_the_rate(chosen), *notes], emit)
    with (
        joined(pick_device(recipe.model.device)) as processes,
        tracked(recipe.trackers if place().rank == 0 else (), recipe, out, emit=emit, offline=offline) as follow,
        Engines(recipe, offline=offline) as engines,
    ):
        bundle = engines.bundle(four_bit=wants_four_bits(chosen.method))
        start = origin_of(bundle)
        summary = train_rows(
            bundle,
            rows,
            chosen,
            folder=out,
            seed=derive_seed(recipe.seed if seed is None else seed, "tune"),
            emit=to_all(emit, follow),
            notes=notes,
            open_teacher=engines.taught_by,
            answers=answers,
            reward=reward,
            probe=probe,
            processes=processes,
        )
    if processes.is_main:
        keep_origin(out, recipe, chosen, data=name, rows=len(rows), seed=seed, start=start)
    return summary


def _with_section(model: Recipe | ModelSection | str, section: TuneSection | None) -> Recipe:
    """The recipe of a tuning, with tasks and the section that is tuned by."""
    recipe = with_tasks(model) if isinstance(model, Recipe) else recipe_for(model)
    return recipe if section is None else recipe.model_copy(update={"tune": section})


def _of_the_rate(section: TuneSection) -> list[str]:
    """Say that a learning rate which nobody set is one for supervised tuning, where the objective wants less."""
    wants_less = section.objective.rows != "examples" and section.objective.kind != "reward"
    if not wants_less or "lr" in section.optimizer.model_fields_set:
        return []
    said = REINFORCED if section.objective.rows == "prompts" else RATE
    return [said.format(lr=section.optimizer.lr)]


def _learned(
    data: AnyRows | None, section: TuneSection, recipe: Recipe
) -> tuple[Sequence[TrainingRow], tuple[str, ...], Reward | None]:
    """What is learned from, what is to be said of it, and who scores the model's answers where it is asked."""
    objective = section.objective
    if not isinstance(objective, GrpoObjective):
        if data is None:
            remedy = "give a file or rows, or an objective that learns from the model's own answers (grpo)"
            raise RecipeError(recipe.name, [Problem("nothing to learn from", "tune.objective", objective.kind, remedy)])
        rows = read_training_rows(data, objective.rows)
        return rows, (shared_words(rows, recipe),), None
    if data is not None:
        what = "this objective asks the train split of the recipe's tasks, and learns from the model's answers"
        remedy = "leave the rows out, or make the file a task: tasks: [{kind: rows, path: ..., check: ...}]"
        raise RecipeError(recipe.name, [Problem(what, "tune.objective", objective.kind, remedy)])
    tasks = build_tasks(recipe.tasks, recipe.folder)
    return asked_items(recipe, objective, tasks), (), reward_of(tasks, identity_of(recipe))


def evaluate(
    target: Recipe | str,
    *,
    adapter: Path | None = None,
    split: Split = "test",
    per_cell: int = 50,
    label: str | None = None,
    run: Path | None = None,
    out: Path | None = None,
    emit: Emit = silent,
    offline: bool = False,
) -> Evaluated:
    """Score a model, with an adapter if one is given, on ``per_cell`` items of each cell of ``split``.

    With an adapter, a note tells of items that a run of the recipe does not keep out of its training rows.

    ``target`` is a recipe (its model and tasks) or a model (the three tasks of the package). The items are those that
    a run of the recipe takes; where it estimated levels of a user's rows, ``run`` is its folder. ``label`` names the
    model for people. ``out`` keeps items, answers, scores and summary,
    and makes the call resumable.

    Raises
    ------
    ModelError: the model or adapter cannot be used. RunError: ``out`` holds the scores of something else.
    """
    recipe = with_tasks(target) if isinstance(target, Recipe) else recipe_for(target)
    tasks = build_tasks(recipe.tasks, recipe.folder)
    if run is not None:
        tasks = with_levels_of(run, tasks)
    items = split_items(recipe, tasks, split, per_cell)
    emit = located(emit, stage="evaluate")
    beyond = beyond_guarded(items, recipe=recipe, tasks=tasks, split=split, per_cell=per_cell) if adapter else None
    if beyond:
        emit(Event("note", data={"text": beyond}))
    name = label or ("start" if adapter is None else adapter.name)
    with _folder(out) as folder, Engines(recipe, offline=offline) as engines:
        asked = content_id([item.id for item in items], recipe.evaluate.max_tokens)
        _claim(folder, f"{engines.reference(adapter).engine.to_json()}\n{split} {per_cell} {asked}\n")
        examined = examine(
            folder,
            items=items,
            tasks=tasks,
            open_completer=lambda: engines.reference(adapter),
            max_tokens=recipe.evaluate.max_tokens,
            chunk=4 * recipe.engines.reference_batch,
            emit=emit,
        )
        say_rounding(engines.scored(adapter), emit)
        engine = engines.reference(adapter).engine
        summary = summarize(examined.scores, split=split, round=0, label=name, engine=engine)
        write_atomic(folder / "summary.json", summary.model_dump_json(indent=1) + "\n")
    return Evaluated(summary, examined.scores)


def compare(
    before: Evaluated,
    after: Evaluated,
    *,
    labels: tuple[str, str] | None = None,
    seed: int = 0,
    any_engine: bool = False,
) -> Comparison:
    """Compare two models in pairs on the same items: macro, dimensions, facets and transfer, with intervals.

    Two models may have different chat templates, but not different engines, dtypes or batch sizes, unless
    ``any_engine`` is set: what such a setting does to the answers would be taken for a difference of the models.

    Raises
    ------
    DataError: they were scored on other items, another split, or by unlike engines.
    """
    splits = before.summary.split, after.summary.split
    if splits[0] != splits[1]:
        problem = Problem("the models were scored on different splits", received=f"{splits[0]} and {splits[1]}")
        raise DataError("comparison", [problem])
    names = labels if labels is not None else (before.summary.label, after.summary.label)
    return compare_scores(
        before.scores,
        after.scores,
        labels=names,
        split=splits[0],
        seed=derive_seed(seed, "compare"),
        engines=None if any_engine else (before.summary.engine, after.summary.engine),
    )


def open_run(path: Path | str) -> RunDirectory:
    """Open an existing run for reading. Raises :class:`RunError` where there is none."""
    return RunDirectory.open(Path(path))


def scores_of(path: Path | str, label: str | None = None) -> Evaluated:
    """Return the scores of a model of a run, or what :func:`evaluate` wrote.

    ``label`` is that of the run's final test: ``start``, ``round 1``, ``few-shot``, ...; default: the promoted model.
    Raises :class:`RunError` where there are none.
    """
    folder = Path(path)
    if (folder / "recipe.json").is_file():
        best = RunDirectory.open(folder).best.round
        wanted = label or (f"round {best}" if best else "start")
        place = folder / "final" / wanted.replace(" ", "-")
        if not (place / "summary.json").is_file():
            files = sorted(folder.glob("final/*/summary.json"))
            names = [read_state(file, ScoreSummary).label for file in files]
            remedy = f"there are: {', '.join(names)}" if names else "finish it with: tutelage run"
            raise RunError("this model has no test scores", where=str(folder), received=wanted, remedy=remedy)
        folder = place
    elif not (folder / "summary.json").is_file():
        remedy = "give a run's folder, or what tutelage evaluate --out wrote"
        raise RunError("there are no scores here", where=str(folder), remedy=remedy)
    summary = read_state(folder / "summary.json", ScoreSummary)
    return Evaluated(summary, read_records(folder / "scores.jsonl", ItemScore))


def _claim(folder: Path, identity: str) -> None:
    """Refuse a folder that holds the answers of another model or other items."""
    file = folder / "identity.txt"
    if file.is_file() and file.read_text(encoding="utf-8") != identity:
        remedy = "choose another --out"
        raise RunError("this folder holds the scores of something else", where=str(folder), remedy=remedy)
    write_atomic(file, identity)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="tutelage-") as folder:
        yield Path(folder)
