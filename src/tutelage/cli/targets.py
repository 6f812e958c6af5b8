"""What a command is pointed at: a recipe, a run's folder, a model, or rows."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tutelage.errors import InputErrors, Problem
from tutelage.recipe import Recipe, load_recipe
from tutelage.recipe.data import HUB, DataSection
from tutelage.runs import RunDirectory


@dataclass(frozen=True, slots=True)
class Target:
    """A recipe (None: only a model is named), the model's id, its weights, a name for people, and a run's folder."""

    recipe: Recipe | None
    model: str
    weights: Path | None
    label: str
    run: Path | None = None


def find_target(given: str, settings: list[str], adapter: Path | None) -> Target:
    """Return what ``given`` names; of a run it is the promoted model, unless an adapter is given."""
    path = Path(given).expanduser()
    named = adapter.name if adapter is not None else "start"
    if path.suffix.lower() in {".yaml", ".yml"}:
        recipe = load_recipe(path, settings)
        return Target(recipe, recipe.model.id, adapter, named)
    if settings:
        raise InputErrors(given, [Problem("--set overrides keys of a recipe, and this is none")])
    if (path / "recipe.json").is_file():
        run = RunDirectory.open(path)
        best = run.best
        promoted = path / best.weights if best.weights is not None else None
        label = named if adapter is not None else f"round {best.round}" if best.round else "start"
        return Target(run.recipe, run.recipe.model.id, adapter or promoted, label, path)
    return Target(None, given, adapter, named)


def rows_at(given: str, command: str) -> DataSection | Path:
    """Return the file or the data set of the hub that ``given`` names. Raises :class:`InputErrors`."""
    if not given.startswith(HUB):
        return Path(given)
    try:
        return DataSection(hub=given.removeprefix(HUB))
    except ValidationError as error:
        problem = Problem("no name of a data set", received=given, remedy=f"write {HUB}owner/name")
        raise InputErrors(command, [problem]) from error
