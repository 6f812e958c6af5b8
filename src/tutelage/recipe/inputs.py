"""The files of a user's own that a recipe names: what a run is made of, beside the recipe itself."""

from collections.abc import Iterator
from pathlib import Path

from tutelage.recipe.curate import ContaminationStep, CustomStep
from tutelage.recipe.curate.needs import score_files
from tutelage.recipe.recipe import Recipe
from tutelage.recipe.reflect import CustomPlanner
from tutelage.recipe.rows import RowsSection
from tutelage.recipe.sources import (
    ConstitutionSource,
    InstructionsSource,
    PassagesSource,
    ReflectionSource,
    SelfImprovementSource,
    StarSource,
    TemplatesSource,
)
from tutelage.recipe.tasks import CustomTaskSection


def input_files(recipe: Recipe) -> dict[str, Path]:
    """Return the files of rows, benchmarks and scores, of code (``file.py:name``), of the sources (documents, topics,
    personas, seed tasks, prompts, principles, reasons, labelled rows, templates) and of the chat template, by name as
    the recipe writes it.

    They need not be there. Installed modules (``package.module:name``) are not among them, nor are files that the
    user's code opens or imports by itself, nor the model, which a run compares by its digest when it opens it.
    """
    return {name: recipe.folder / name for name in sorted(set(_names(recipe)))}


def _names(recipe: Recipe) -> Iterator[str]:
    if isinstance(recipe.model.template, Path):
        yield str(recipe.model.template)
    for task in recipe.tasks:
        match task:
            case RowsSection():
                for check in (task.check or "", *task.checks.values()):
                    yield from _code(check.removeprefix("path:").strip())
            case CustomTaskSection():
                yield from _code(task.path)
            case _:
                continue
    yield from files_of_folders(recipe)
    for step in recipe.curate.steps:
        if isinstance(step, CustomStep):
            yield from _code(step.path)
        yield from (score.path for score in score_files(step))
    if isinstance(recipe.reflect.planner, CustomPlanner):
        yield from _code(recipe.reflect.planner.path)


def files_of_folders(recipe: Recipe) -> Iterator[str]:
    """Return the files that tasks of rows, benchmarks and the sources of rows name; a folder's may come and go."""
    for task in recipe.tasks:
        if isinstance(task, RowsSection):
            yield from _files(task.path, recipe.folder)
    for step in recipe.curate.steps:
        if isinstance(step, ContaminationStep):
            for benchmark in step.against:
                yield from _files(benchmark.path, recipe.folder)
    for source in recipe.construct.sources:
        if isinstance(source, PassagesSource):
            yield from document_files(source, recipe.folder)
        match source:
            case InstructionsSource(topics=topics, personas=personas):
                yield from (name for name in (topics, personas) if isinstance(name, str))
            case SelfImprovementSource(seeds=str() as seeds):
                yield seeds
            case ConstitutionSource(prompts=prompts, principles=principles):
                yield from (name for name in (prompts, principles) if name is not None)
            case ReflectionSource(path=path):
                yield from _files(path, recipe.folder)
            case StarSource(demonstrations=file):
                yield file
            case TemplatesSource(path=path, wordings=file):
                yield from (*_files(path, recipe.folder), file)


def document_files(section: PassagesSource, folder: Path) -> list[str]:
    """Return the documents that a section names, relative to ``folder`` as it writes them, each once: files, and of
    folders all that is below them, without what is hidden (a name that begins with a dot)."""
    return list(dict.fromkeys(name for path in section.paths for name in _files(path, folder)))


def _files(path: str, folder: Path) -> list[str]:
    """A file as it is named, or all that is not hidden below a folder."""
    place = folder / path
    if not place.is_dir():
        return [path]
    inside = [entry.relative_to(place) for entry in sorted(place.rglob("*")) if entry.is_file()]
    return [str(Path(path) / name) for name in inside if not any(part.startswith(".") for part in name.parts)]


def _code(path: str) -> Iterator[str]:
    source = path.rpartition(":")[0]
    if source.endswith(".py"):
        yield source
