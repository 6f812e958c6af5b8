"""What a tuning on rows of one's own was made of, kept beside its weights."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.files import write_atomic
from tutelage.origin import ModelOrigin, versions
from tutelage.pipeline.encoding import TrainingRow
from tutelage.recipe import Recipe
from tutelage.recipe.data import HUB
from tutelage.recipe.model import ModelSection
from tutelage.recipe.tasks import TaskSection
from tutelage.recipe.tune import TuneSection
from tutelage.records import Record

FILE = "tuned.json"


class TunedFrom(Record):
    """``tuned.json``: the model's section (its template as an absolute path) and how it was loaded, the tuning's
    section and seed, and the rows: how many, and the name of their file. ``tasks`` are those whose prompts it answered
    where it learned from its own answers; empty otherwise, and in files of older versions."""

    model: ModelSection
    start: ModelOrigin
    tune: TuneSection
    seed: int
    rows: int
    data: str
    tasks: tuple[TaskSection, ...] = ()
    versions: dict[str, str]


def keep_origin(
    folder: Path,
    recipe: Recipe,
    section: TuneSection,
    *,
    data: Path | str | Sequence[TrainingRow] | None,
    rows: int,
    seed: int | None,
    start: ModelOrigin,
) -> None:
    """Write ``tuned.json`` of a finished tuning into its folder."""
    template = recipe.model.template
    model = recipe.model
    if isinstance(template, Path):
        model = model.model_copy(update={"template": (recipe.folder / template).resolve()})
    kept = TunedFrom(
        model=model,
        start=start,
        tune=section,
        seed=recipe.seed if seed is None else seed,
        rows=rows,
        data=_name_of(data),
        tasks=recipe.tasks if section.objective.rows == "prompts" else (),
        versions=versions(),
    )
    write_atomic(folder / FILE, kept.model_dump_json(indent=1) + "\n")


def _name_of(data: Path | str | Sequence[TrainingRow] | None) -> str:
    """What says where rows came from and nothing of the machine."""
    if isinstance(data, str) and data.startswith(HUB):
        return data
    return Path(data).name if isinstance(data, Path | str) else ""
