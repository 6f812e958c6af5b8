"""Curation outside a run: the steps of a recipe, rows in memory or on the disk, and the files of what came of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tutelage.curate.build import build_steps, limits_of
from tutelage.curate.losses import Limits
from tutelage.curate.pairs import CuratedPairs
from tutelage.curate.shelf import FolderShelf, scratch
from tutelage.curate.sieve import Curated, Sieved, sieve
from tutelage.curate.step import Step
from tutelage.evaluate.general_texts import general_texts
from tutelage.events import Emit, located, say, silent
from tutelage.files import write_atomic
from tutelage.pipeline.defaults import with_tasks
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.items import guarded_items
from tutelage.pipeline.own_rows import AUTHOR
from tutelage.pipeline.preflight import require_choosing
from tutelage.pipeline.reading import READINGS, ModelReader
from tutelage.recipe import Recipe
from tutelage.recipe.curate import CurateSection
from tutelage.records import Dropped, Example, Ledger
from tutelage.records.importers import iter_examples
from tutelage.records.jsonl import write_lines, write_records
from tutelage.records.readings import RowScore
from tutelage.seeds import derive_seed
from tutelage.tasks.build import build_tasks

FILES = ("records.jsonl", "dropped.jsonl", "scores.jsonl", "ledger.json")
TOLD_EVERY = 100_000
"""Rows after which it is told that so many were read."""


@dataclass(frozen=True, slots=True)
class Curation:
    """What rows are sent through, and how many of them may be lost."""

    steps: Sequence[Step]
    limits: Limits


@contextmanager
def curation(recipe: Recipe | None, out: Path | None, *, emit: Emit, offline: bool) -> Iterator[Curation]:
    """Give the steps of ``recipe``, or all steps at their defaults; what a model reads stays in ``out``.

    Raises :class:`RecipeError` for a step that names what cannot be used.
    """
    section = recipe.curate if recipe is not None else CurateSection()
    if recipe is None:
        yield Curation(build_steps(section, [], emit=emit), limits_of(section))
        return
    require_choosing(recipe)
    recipe = with_tasks(recipe)
    items = guarded_items(recipe, build_tasks(recipe.tasks, recipe.folder))
    folder = None if out is None else out / READINGS
    with Engines(recipe, offline=offline) as engines:
        steps = build_steps(
            section,
            items,
            texts=general_texts(),
            seed=derive_seed(recipe.seed, "mix"),
            folder=recipe.folder,
            reader=ModelReader(recipe, lambda: engines.scored(None), folder=folder, emit=emit),
            emit=emit,
        )
        yield Curation(steps, limits_of(section))


def curate_file(
    data: Path | str,
    *,
    out: Path,
    recipe: Recipe | None = None,
    workers: int | None = None,
    emit: Emit = silent,
    offline: bool = False,
) -> Ledger:
    """Send the rows of a file or folder through the steps of ``recipe`` (default: all steps at their defaults).

    ``out`` gets the files that :func:`tutelage.curate` writes, byte by byte. Memory does not hold the rows: they lie in
    ``out`` until all is done, two to three times, and a step remembers some hundred bytes of each. Steps that look
    at all rows at once (those that read rows with a model, that compare them by embeddings, and one's own without
    batches) do hold them; an event says so. ``workers`` processes share the rows (None: one for each core, where there
    are enough).

    Raises
    ------
    DataError: rows that cannot be read, or more of them dropped than ``curate.max_loss`` allows; nothing is written.
    RecipeError: a step names what cannot be used. RunError: another process curates into ``out``. StorageError: the
    disk refuses.
    """
    emit = located(emit, stage="curate")
    with (
        curation(recipe, out, emit=emit, offline=offline) as given,
        scratch(out, FILES) as place,
        FolderShelf(place) as shelf,
    ):
        rows = _told(iter_examples(data, author=AUTHOR), emit)
        found = sieve(rows, given.steps, shelf, limits=given.limits, workers=workers, emit=emit)
        write_sieved(out, found)
        return found.ledger


def _told(rows: Iterable[Example], emit: Emit) -> Iterator[Example]:
    """Yield ``rows`` and tell how many were read: nobody knows how many there are."""
    for count, row in enumerate(rows, start=1):
        yield row
        if count % TOLD_EVERY == 0:
            say([f"{count:,} rows were read"], emit)


def write_curated(folder: Path, curated: Curated) -> None:
    """Write ``records.jsonl``, ``dropped.jsonl``, ``ledger.json`` and, if a step measured rows, ``scores.jsonl``."""
    lines = (row.to_json().encode() for row in curated.kept)
    _write(folder, lines, curated.dropped, curated.ledger, curated.scores)


def write_curated_pairs(folder: Path, curated: CuratedPairs) -> None:
    """Write ``preferences.jsonl``, ``dropped_preferences.jsonl`` and ``preferences_ledger.json``."""
    write_records(folder / "preferences.jsonl", curated.kept)
    write_records(folder / "dropped_preferences.jsonl", curated.dropped)
    write_atomic(folder / "preferences_ledger.json", curated.ledger.model_dump_json(indent=1) + "\n")


def write_sieved(folder: Path, sieved: Sieved) -> None:
    """Write what :func:`write_curated` writes, of rows on the disk."""
    _write(folder, (entry.text() for entry in sieved.kept), sieved.dropped, sieved.ledger, sieved.scores)


def _write(
    folder: Path, kept: Iterable[bytes], dropped: Iterable[Dropped], ledger: Ledger, scores: Sequence[RowScore]
) -> None:
    write_lines(folder / "records.jsonl", kept)
    write_records(folder / "dropped.jsonl", dropped)
    if scores:
        write_records(folder / "scores.jsonl", scores)
    else:  # what an earlier call with other steps left
        (folder / "scores.jsonl").unlink(missing_ok=True)
    write_atomic(folder / "ledger.json", ledger.model_dump_json(indent=1) + "\n")
