"""Which items a run draws from each split, and the rule of its gate: known before anything is answered."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from tutelage.completers.endpoints.media import media_of
from tutelage.errors import Problem, RecipeError
from tutelage.evaluate.run import draw_items
from tutelage.recipe import Recipe
from tutelage.recipe.curate import MixStep, MixtureStep
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.records import Item, Level, Split
from tutelage.records.scores import SAFETY
from tutelage.reflect.gate import GateRule
from tutelage.reflect.guards import ALWAYS_GUARDED, GUARDS, REFERENCES, SAFETY_GUARDS, UTILITY_GUARDS
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked
from tutelage.tasks.verdicts import drawn

Tasks = Mapping[str, Task]
CHANCE_REPEATS = 0.01
"""Share of gate items that may come twice in a run although the tasks make them without end."""
FACET_DRAWS = 32
"""Train items a cell that are looked at for the names of facets."""


def kinds_of_media(tasks: Iterable[Task], split: Split | None = None) -> list[str]:
    """Return in words what a user's rows (of a split; None: all) hold beside text. Tasks that make their items without
    end are not asked."""
    items = [item for task in tasks if isinstance(task, RowsTask) for item in task.all_items]
    kinds = {part.kind for item in items if split in (None, item.split) for part in media_of(item.messages)}
    return [noun for kind, noun in (("image", "images"), ("audio", "recordings")) if kind in kinds]


def probe_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """The items that steer the plan, the same in every round."""
    return draw_items(tasks, "probe", recipe.evaluate.probe, seed=derive_seed(recipe.seed, "probe items"))


def gate_items(recipe: Recipe, tasks: Tasks, round: int) -> list[Item]:
    """The gate's items of a round: fresh ones each round."""
    return draw_items(tasks, "gate", recipe.evaluate.gate, seed=derive_seed(recipe.seed, "gate items", round))


def final_items(recipe: Recipe, tasks: Tasks, per_cell: int | None = None) -> list[Item]:
    """The items of the test split, the same for every model of the run; fewer a cell are the first of these."""
    number = recipe.evaluate.test if per_cell is None else per_cell
    return draw_items(tasks, "test", number, seed=derive_seed(recipe.seed, "test items"))


def teacher_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """The test items that the teacher is asked as a control: those that a check can score, none without the control."""
    if not recipe.controls.teacher:
        return []
    return [item for item in final_items(recipe, tasks) if is_scored(tasks, item)]


def stopping_items(recipe: Recipe, tasks: Tasks, section: EarlyStoppingSection | None) -> list[Item]:
    """The items of the probe split by whose answers tuning is stopped, none without a section: others than those that
    steer the plan, where tasks make them without end. Those that no check could score are left out.

    Raises
    ------
    RecipeError: no such task or level is there, or nothing to ask that a check can score.
    """
    if section is None:
        return []
    where = "tune.early_stopping"
    problems = [
        Problem("no task of this recipe has this name", f"{where}.tasks", name, _nearest(name, list(tasks)))
        for name in section.tasks or ()
        if name not in tasks
    ]
    asked = {name: task for name, task in tasks.items() if section.tasks is None or name in section.tasks}
    if not problems and section.levels is not None and (unleveled := _unleveled(asked)):
        what, remedy = (
            "levels of these rows are estimated when the run begins",
            "leave it out, or state them in the file",
        )
        problems.append(Problem(what, f"{where}.levels", ", ".join(unleveled), remedy))
    elif not problems:
        problems = unknown_levels(section.levels, asked, f"{where}.levels")
    if problems:
        raise RecipeError(recipe.name, problems)
    drawn = draw_items(asked, "probe", section.items, seed=derive_seed(recipe.seed, "stopping items"))
    levels = section.levels or [item.level for item in drawn]
    found = [item for item in drawn if item.level in levels and is_scored(tasks, item)]
    if not found:
        what, remedy = "the tasks have no probe items whose answers a check scores", "give rows a check and such items"
        raise RecipeError(recipe.name, [Problem(what, where, ", ".join(asked), remedy)])
    return found


def _unleveled(tasks: Tasks) -> list[str]:
    """Names of the tasks of a user's rows whose levels are not known yet."""
    return [name for name, task in tasks.items() if isinstance(task, RowsTask) and task.needs_levels]


def unknown_levels(levels: Sequence[Level] | None, tasks: Tasks, where: str) -> list[Problem]:
    """Return every one of the ``levels``, named at ``where`` in the recipe, that no task has."""
    there = list(dict.fromkeys(level for task in tasks.values() for level in task.levels))
    return [
        Problem("no task of this recipe has this level", where, level, f"there are: {', '.join(there)}")
        for level in levels or ()
        if level not in there
    ]


def guarded_items(recipe: Recipe, tasks: Tasks) -> list[Item]:
    """Every item of the run that no training row may contain: probe, test, and the gate of every round."""
    found = [*probe_items(recipe, tasks), *final_items(recipe, tasks)]
    section = recipe.tune.early_stopping
    if section is not None:  # some tasks of the recipe may have been left out
        asked = [name for name in tasks if section.tasks is None or name in section.tasks]
        levels = [level for level in section.levels or () if any(level in tasks[name].levels for name in asked)]
        if asked and (section.levels is None or levels):
            there = {"tasks": tuple(asked), "levels": tuple(levels) or None}
            found += stopping_items(recipe, tasks, section.model_copy(update=there))
    for round in range(1, recipe.rounds + 1):
        found += gate_items(recipe, tasks, round)
    return found


def split_items(recipe: Recipe, tasks: Tasks, split: Split, per_cell: int) -> list[Item]:
    """``per_cell`` items a cell of any split; of probe, gate (its first round) and test those that the run takes."""
    match split:
        case "test":
            return final_items(recipe, tasks, per_cell)
        case "gate":
            return draw_items(tasks, "gate", per_cell, seed=derive_seed(recipe.seed, "gate items", 1))
        case _:
            return draw_items(tasks, split, per_cell, seed=derive_seed(recipe.seed, f"{split} items"))


def gate_rule(recipe: Recipe, tasks: Tasks) -> GateRule:
    """The rule of a run: rows come to an end, so that their gate asks the same ones in every round and must say so."""
    refuse_unknown_names(recipe, tasks)
    section = recipe.reflect.gate
    named = {*section.margins, *section.required}
    dimensions = dict.fromkeys(task.dimension for task in tasks.values() if task.dimension in named)
    rounds = rounds_of(recipe, tasks)
    drawn = [item.id for round in range(1, rounds + 1) for item in gate_items(recipe, tasks, round)]
    return GateRule(
        confidence=section.confidence,
        margin=section.margin,
        margins=section.margins,
        required=section.required,
        dimensions=tuple(dict.fromkeys((*ALWAYS_GUARDED, *dimensions))),
        resamples=section.resamples,
        rounds=rounds,
        fresh=len(drawn) - len(set(drawn)) <= CHANCE_REPEATS * len(drawn),
    )


def refuse_unknown_names(recipe: Recipe, tasks: Tasks) -> None:
    """Raise :class:`RecipeError` with every guard and facet that the recipe names and that this run cannot have."""
    if problems := unknown_names(recipe, tasks):
        raise RecipeError(recipe.name, problems)


def unknown_names(recipe: Recipe, tasks: Tasks) -> list[Problem]:
    """Return every guard, facet and kind of a mixture that the recipe names and that this run cannot have."""
    return [*_unknown_guards(recipe, tasks), *_unknown_facets(recipe, tasks), *_unknown_kinds(recipe, tasks)]


def _unknown_guards(recipe: Recipe, tasks: Tasks) -> list[Problem]:
    section = recipe.reflect.gate
    dimensions = dict.fromkeys(task.dimension for task in tasks.values())
    there = [*dimensions, "perplexity"]
    there += SAFETY_GUARDS if SAFETY in dimensions else ()
    there += UTILITY_GUARDS if recipe.evaluate.general_prompts else ()
    there += [REFERENCES] if any(isinstance(task, RowsTask) for task in tasks.values()) else []
    problems = []
    for key, names in (("margins", section.margins), ("required", section.required)):
        where = f"reflect.gate.{key}"
        for name in names:
            if name not in there and name in {*GUARDS, *ALWAYS_GUARDED}:
                remedy = "leave it out, or add what it is measured on"
                problems.append(Problem("nothing in this recipe measures this guard", where, name, remedy))
            elif name not in there:
                problems.append(Problem("there is no such guard", where, name, _nearest(name, there)))
    return problems


def _unknown_facets(recipe: Recipe, tasks: Tasks) -> list[Problem]:
    capped = [name for step in recipe.curate.steps if isinstance(step, MixStep) for name in step.facet_shares]
    if not capped:
        return []
    there = _facets(tasks)
    return [
        Problem("no item of this recipe has this facet", "curate.steps: facet_shares", name, _nearest(name, there))
        for name in capped
        if name not in there
    ]


def _facets(tasks: Tasks) -> list[str]:
    items = [drawn(task, "train", level, FACET_DRAWS, 0) for task in tasks.values() for level in task.levels]
    return sorted({item.facet for of_cell in items for item in of_cell if item.facet})


def _unknown_kinds(recipe: Recipe, tasks: Tasks) -> list[Problem]:
    """What a mixture weighs and no task has. Sources of rows are not among it: rows of one's own may name any."""
    problems = []
    for step in recipe.curate.steps:
        if not isinstance(step, MixtureStep) or step.weights is None or step.by not in {"dimension", "task", "facet"}:
            continue
        there = [task.dimension for task in tasks.values()] if step.by == "dimension" else list(tasks)
        there = _facets(tasks) if step.by == "facet" else there
        problems += [
            Problem(f"no item of this recipe has this {step.by}", "curate.steps: weights", name, _nearest(name, there))
            for name in step.weights
            if name and name not in there
        ]
    return problems


def _nearest(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(dict.fromkeys(there)) or 'none'}"


def rounds_of(recipe: Recipe, tasks: Tasks) -> int:
    """How many rounds can differ: only one, where no answer can be checked and every round has the same rows."""
    if recipe.construct.sources:
        return recipe.rounds
    sampled = any(can_be_sampled(task, level) for task in tasks.values() for level in task.levels)
    return recipe.rounds if sampled else 1


def can_be_sampled(task: Task, level: Level) -> bool:
    """Whether the task has anything to learn from at a level that a check could accept."""
    return bool(drawn(task, "train", level, 1, 0))


def is_scored(tasks: Tasks, item: Item) -> bool:
    """Whether an answer to the item can get a score: not where it is a user's row without a check."""
    return is_checked(item) or not isinstance(tasks[item.task], RowsTask)
