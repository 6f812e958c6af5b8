"""What a run will need later, seen before it begins: a recipe that has begun cannot be mended any more."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tutelage.completers.address import check_address, read_key
from tutelage.construct.rehearsal import rehearsal_prompts
from tutelage.curate.build import build_steps
from tutelage.errors import InputErrors, Problem, RecipeError, TutelageError
from tutelage.evaluate.general_texts import general_prompts
from tutelage.models.four_bit import require_bitsandbytes
from tutelage.models.template_file import require_template, template_of
from tutelage.pipeline.items import stopping_items, unknown_names
from tutelage.pipeline.judged import with_judge
from tutelage.recipe import Recipe
from tutelage.recipe.curate import CurateSection, CustomStep
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.methods import wants_four_bits
from tutelage.recipe.model import CTranslate2Engine
from tutelage.recipe.reflect import CustomPlanner
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.reflect.own import load_planner
from tutelage.tasks.build import build_tasks
from tutelage.tasks.protocol import Task


def preflight(recipe: Recipe, *, keys: bool = True) -> dict[str, Task]:
    """Return the tasks of ``recipe``, having seen that all else it names can be used.

    ``keys``: whether the variable of a teacher's key must be set, as it must where the teacher will be asked. No model
    is opened and nothing is sent.

    Raises
    ------
    RecipeError: with every problem of tasks, guards, facets, steps, planner, chat template and endpoint at once; or the
    recipe is one for ``tutelage tune`` alone.
    """
    if recipe.tune.data is not None:
        what = "a run makes its own rows to learn from, and this recipe brings some"
        remedy = "learn from them with: tutelage tune RECIPE; or make them a task: tasks: [{kind: rows, path: ...}]"
        raise RecipeError(recipe.name, [Problem(what, "tune.data", recipe.tune.data.named, remedy)])
    tasks: dict[str, Task] = {}
    problems: list[Problem] = []
    try:
        tasks = with_judge(recipe, build_tasks(recipe.tasks, recipe.folder))
        problems += unknown_names(recipe, tasks)
    except TutelageError as error:
        problems += _problems(error, "tasks")
    problems += _too_many(recipe)
    if recipe.tune.objective.rows != "examples":
        what = f"a run learns from examples, and this objective from {recipe.tune.objective.rows}"
        remedy = "take sft, or learn from rows of your own with: tutelage tune"
        problems.append(Problem(what, "tune.objective", recipe.tune.objective.kind, remedy))
    soft = isinstance(recipe.tune.method, PrefixMethod | PromptMethod)
    if soft and recipe.rounds > 1 and isinstance(recipe.engines.sampling, CTranslate2Engine):
        what = f"CTranslate2 cannot put what {recipe.tune.method.kind} tuning learns before a text"
        remedy = "take transformers, or tune.method: {kind: lora}"
        problems.append(Problem(what, "engines.sampling.kind", "ctranslate2", remedy))
    for where, attempt in _attempts(recipe, tasks, keys=keys):
        try:
            attempt()
        except TutelageError as error:
            problems += _problems(error, where)
    if problems:
        raise RecipeError(recipe.name, problems)
    return tasks


def _attempts(recipe: Recipe, tasks: Mapping[str, Task], *, keys: bool) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is only used later, each with its place in the recipe and a way to find out whether it can be."""
    template, planner, distill = (
        template_of(recipe.model, recipe.folder),
        recipe.reflect.planner,
        recipe.construct.distill,
    )
    if template is not None:
        yield "model.template", lambda: require_template(template)
    if wants_four_bits(recipe.tune.method):
        yield "tune.method", require_bitsandbytes
    if tasks:
        yield "tune.early_stopping", lambda: stopping_items(recipe, tasks, recipe.tune.early_stopping)
    for index, step in enumerate(recipe.curate.steps):
        if isinstance(step, CustomStep):
            alone = CurateSection(steps=(step,))
            yield f"curate.steps.{index}", partial(build_steps, alone, [], folder=recipe.folder)
    if isinstance(planner, CustomPlanner):
        yield "reflect.planner", lambda: load_planner(planner.path, planner.options, recipe.folder)
    if distill is not None and isinstance(distill.teacher, EndpointTeacher):
        teacher, where = distill.teacher, "construct.distill.teacher"
        yield f"{where}.base_url", lambda: check_address(teacher.base_url, teacher.allow_remote)
        if keys:
            yield f"{where}.key_variable", lambda: read_key(teacher.key_variable)
    if (judge := recipe.construct.judge) is not None and isinstance(judge.by, EndpointTeacher):
        by, place = judge.by, "construct.judge.by"
        yield f"{place}.base_url", lambda: check_address(by.base_url, by.allow_remote)
        if keys:
            yield f"{place}.key_variable", lambda: read_key(by.key_variable)


def _problems(error: TutelageError, where: str) -> list[Problem]:
    """The problems of an error, each with its place in the recipe."""
    found = error.problems if isinstance(error, InputErrors) else (error.problem,)
    return [Problem(p.what, _place(where, p.where), p.received, p.remedy) for p in found]


def _place(where: str, more: str) -> str:
    if not more:
        return where
    return more if more.startswith(where) else f"{where}: {more}"


def _too_many(recipe: Recipe) -> Iterator[Problem]:
    """Numbers above what the package has."""
    rehearsal = recipe.construct.rehearsal
    asked = {
        "evaluate.general_prompts": (recipe.evaluate.general_prompts, len(general_prompts())),
        "construct.rehearsal.prompts": (rehearsal.prompts if rehearsal is not None else 0, len(rehearsal_prompts())),
    }
    for where, (wanted, there) in asked.items():
        if wanted > there:
            what = f"the package has {there} general instructions for this"
            yield Problem(what, where, str(wanted), f"ask for at most {there}")
