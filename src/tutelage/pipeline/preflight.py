"""What a run will need later, seen before it begins: a recipe that has begun cannot be mended any more."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tutelage.completers.endpoints.address import check_address, read_key
from tutelage.construct.constitution.source import check_source as check_constitution
from tutelage.construct.documents.source import shelve
from tutelage.construct.instructions.source import check_source
from tutelage.construct.reflection.source import check_source as check_reflection
from tutelage.construct.rehearsal import rehearsal_prompts
from tutelage.construct.self_improve.back_translation import check_source as check_back_translation
from tutelage.construct.self_improve.seeds import seeds_of
from tutelage.construct.self_improve.star import check_source as check_star
from tutelage.construct.templates.source import read_kit
from tutelage.curate.build import build_steps
from tutelage.curate.selection.scores import read_scores
from tutelage.errors import InputErrors, Problem, RecipeError, TutelageError
from tutelage.evaluate.general_texts import general_prompts
from tutelage.models.embeddings import require_encoder
from tutelage.models.four_bit import require_bitsandbytes
from tutelage.models.template_file import require_template, template_of
from tutelage.pipeline.items import kinds_of_media, stopping_items, teacher_items, unknown_names
from tutelage.pipeline.judged import with_judge
from tutelage.pipeline.told import problems_in_a_run
from tutelage.recipe import Recipe
from tutelage.recipe.curate import ContaminationStep, CurateSection, CustomStep, NormalizeStep, PiiStep
from tutelage.recipe.curate.needs import encoder_of, score_files
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.methods import wants_four_bits
from tutelage.recipe.model import CTranslate2Engine
from tutelage.recipe.reflect import CustomPlanner
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.sources import (
    BackTranslationSource,
    BootstrapSource,
    ConstitutionSource,
    DocumentsSource,
    EvolveSource,
    InstructionsSource,
    ReflectionSource,
    StarSource,
    TemplatesSource,
)
from tutelage.recipe.vllm import VllmEngine
from tutelage.reflect.own import load_planner
from tutelage.tasks.build import build_tasks, demonstrations_of
from tutelage.tasks.protocol import Task


def preflight(recipe: Recipe, *, keys: bool = True, tunes: bool = False) -> dict[str, Task]:
    """Return the tasks of ``recipe``, having seen that all else it names can be used.

    ``keys``: whether the variable of a teacher's key must be set, as it must where the teacher will be asked.
    ``tunes``: whether a model will learn what is made. No model is opened and nothing is sent.

    Raises
    ------
    RecipeError: with every problem of tasks, guards, facets, sources, steps, planner, chat template and endpoint at
    once; or the recipe is one for ``tutelage tune`` alone.
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
    if tasks and recipe.controls.teacher and not teacher_items(recipe, tasks):
        what = "no test item has a check that could score what the teacher answers"
        problems.append(Problem(what, "controls.teacher", "true", "leave it out, or give test rows a check"))
    if tunes:
        problems += _unseen(tasks)
    if recipe.tune.objective.rows != "examples":
        what = f"a run learns from examples, and this objective from {recipe.tune.objective.rows}"
        remedy = "take sft, or learn from rows of your own with: tutelage tune"
        problems.append(Problem(what, "tune.objective", recipe.tune.objective.kind, remedy))
    soft = isinstance(recipe.tune.method, PrefixMethod | PromptMethod)
    if soft and recipe.rounds > 1 and isinstance(recipe.engines.sampling, CTranslate2Engine):
        what = f"CTranslate2 cannot put what {recipe.tune.method.kind} tuning learns before a text"
        remedy = "take transformers, or tune.method: {kind: lora}"
        problems.append(Problem(what, "engines.sampling.kind", "ctranslate2", remedy))
    problems += [*_vllm(recipe, soft=soft), *problems_in_a_run(recipe)]
    for where, attempt in _attempts(recipe, tasks, keys=keys):
        try:
            attempt()
        except TutelageError as error:
            problems += _problems(error, where)
    if problems:
        raise RecipeError(recipe.name, problems)
    return tasks


def _vllm(recipe: Recipe, *, soft: bool) -> Iterator[Problem]:
    """What no vLLM server can do, whichever is found."""
    engine, where = recipe.engines.sampling, "engines.sampling"
    if not isinstance(engine, VllmEngine):
        return
    if soft and recipe.rounds > 1 and not engine.fallback:
        what = f"vLLM cannot put what {recipe.tune.method.kind} tuning learns before a text"
        yield Problem(what, f"{where}.kind", "vllm", "take transformers, or tune.method: {kind: lora}")
    if engine.base_url and recipe.model.new_tokens:
        what = "a server that is there already does not know model.new_tokens"
        yield Problem(what, f"{where}.base_url", engine.base_url, "leave it out: the run starts a server that does")


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
    yield from _attempts_of_curate(recipe)
    if isinstance(planner, CustomPlanner):
        yield "reflect.planner", lambda: load_planner(planner.path, planner.options, recipe.folder)
    for index, source in enumerate(recipe.construct.sources):
        where = f"construct.sources.{index}"
        match source:
            case DocumentsSource():
                yield where, partial(shelve, source, recipe.folder)
            case InstructionsSource() if tasks:
                dimensions = [task.dimension for task in tasks.values()]
                yield where, partial(check_source, source, recipe.folder, dimensions)
            case BootstrapSource() | EvolveSource() if tasks:
                demonstrations = demonstrations_of(list(tasks.values()))
                yield where, partial(seeds_of, source, demonstrations, recipe.folder)
            case BackTranslationSource() if tasks:
                demonstrations = demonstrations_of(list(tasks.values()))
                yield where, partial(check_back_translation, source, demonstrations, recipe.folder)
            case StarSource() if tasks:
                yield where, partial(check_star, source, tasks, recipe.folder)
            case ConstitutionSource():
                yield where, partial(check_constitution, source, recipe.folder)
            case ReflectionSource():
                yield where, partial(check_reflection, source, recipe.folder)
            case TemplatesSource():
                yield where, partial(read_kit, source, recipe.folder)
    engine = recipe.engines.sampling
    if isinstance(engine, VllmEngine) and engine.base_url:
        yield "engines.sampling.base_url", lambda: check_address(engine.base_url, engine.allow_remote)
        if keys:
            yield "engines.sampling.key_variable", lambda: read_key(engine.key_variable)
    if distill is not None and isinstance(distill.teacher, EndpointTeacher):
        for index, endpoint in enumerate(distill.teacher.endpoints):
            where = distill.teacher.place(index)
            yield f"{where}.base_url", partial(check_address, endpoint.base_url, endpoint.allow_remote)
            if keys:
                yield f"{where}.key_variable", partial(read_key, endpoint.key_variable)
    if (judge := recipe.construct.judge) is not None and isinstance(judge.by, EndpointTeacher):
        yield "construct.judge.by.base_url", partial(check_address, judge.by.base_url, judge.by.allow_remote)
        if keys:
            yield "construct.judge.by.key_variable", partial(read_key, judge.by.key_variable)


def require_choosing(recipe: Recipe) -> None:
    """Raise :class:`RecipeError` with every file of scores and every encoder that steps of curation cannot use: else
    they would be missed after hours of reading."""
    problems: list[Problem] = []
    for where, attempt in _attempts_of_choosing(recipe):
        try:
            attempt()
        except TutelageError as error:
            problems += _problems(error, where)
    if problems:
        raise RecipeError(recipe.name, problems)


def _attempts_of_curate(recipe: Recipe) -> Iterator[tuple[str, Callable[[], object]]]:
    """Code, files, folders and packages that steps of curation need."""
    for index, step in enumerate(recipe.curate.steps):
        if isinstance(step, CustomStep | NormalizeStep | PiiStep) or (
            isinstance(step, ContaminationStep) and step.against
        ):
            alone = CurateSection(steps=(step,))
            yield f"curate.steps.{index}", partial(build_steps, alone, [], folder=recipe.folder)
    yield from _attempts_of_choosing(recipe)


def _attempts_of_choosing(recipe: Recipe) -> Iterator[tuple[str, Callable[[], object]]]:
    for index, step in enumerate(recipe.curate.steps):
        where = f"curate.steps.{index}"
        for score in score_files(step):
            yield where, partial(read_scores, score, recipe.folder)
        if (encoder := encoder_of(step)) is not None:
            yield f"{where}.embedding.path", partial(require_encoder, recipe.folder / encoder.path)


def _unseen(tasks: Mapping[str, Task]) -> Iterator[Problem]:
    """Rows with images or recordings: a teacher may be shown them, the models that learn here take text alone."""
    for name, task in tasks.items():
        kinds = kinds_of_media([task])
        if kinds:
            what = f"its rows hold {' and '.join(kinds)}, and the models that are tuned here take text alone"
            remedy = "let a teacher answer them with: tutelage construct; or leave these rows out"
            yield Problem(what, f"tasks: {name}", remedy=remedy)


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
