"""Rows as a data set for other people: Parquet with lineage, a card, digests; whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from tutelage.completers.endpoints.media import media_of
from tutelage.errors import InputErrors, Problem, RunError
from tutelage.files import atomic_folder, sha256_file, write_atomic
from tutelage.origin import versions
from tutelage.pipeline.own_rows import AUTHOR
from tutelage.records import Example, Record
from tutelage.records.importers import import_examples
from tutelage.records.shards import write_shards
from tutelage.report.dataset_card import Origin, dataset_card
from tutelage.report.numbers import plural
from tutelage.report.reading import read_run
from tutelage.runs import RunDirectory

RECORD, CARD, DATA = "dataset.json", "README.md", "data"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is released: of a run its ``round`` (None: that of the promoted model, or the last that was curated);
    ``license`` is an SPDX id, ``name`` what the card is headed with (empty: the source's)."""

    round: int | None = None
    license: str = ""
    name: str = ""


class Released(Record):
    """``dataset.json``: what was released, from where; ``files`` are SHA-256 by name."""

    name: str
    source: str
    round: int | None = None
    rows: int
    license: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


def release(source: Path, out: Path, wanted: Wanted) -> Released:
    """Write the rows of ``source`` to the new folder ``out``: ``data/*.parquet``, a card, ``dataset.json``.

    ``source`` is a run's folder, whose curated rows are taken, or rows in any form that the importers read. Before
    ``out`` gets its name the shards are read again and compared with the rows.

    Raises
    ------
    RunError: no such round was curated. InputErrors: rows refer to media, which are not copied. DataError: the file is
    no file of examples. StorageError: ``out`` is there already, or cannot be written.
    """
    rows, origin = _rows_of(source, wanted)
    if media := [row for row in rows if any(media_of(row.messages))]:
        refer = f"{plural(len(media), 'row')} refer{'s' if len(media) == 1 else ''}"
        what, remedy = f"{refer} to images or recordings, which are not copied", "leave them out"
        raise InputErrors("dataset", [Problem(what, str(source), media[0].id, remedy)])
    name = wanted.name or origin.source
    with atomic_folder(out) as partial:
        write_shards(partial / DATA, rows)
        if import_examples(partial / DATA, author=AUTHOR) != rows:
            raise AssertionError("rows that were written are read as other ones")
        write_atomic(partial / CARD, dataset_card(name, rows, origin=origin, license=wanted.license))
        files = sorted(file for file in partial.rglob("*") if file.is_file())
        made = Released(
            name=name,
            source=origin.source,
            round=origin.round or None,
            rows=len(rows),
            license=wanted.license,
            files={str(file.relative_to(partial)): sha256_file(file) for file in files},
            versions=versions(),
        )
        write_atomic(partial / RECORD, made.model_dump_json(indent=1) + "\n")
    return made


def _rows_of(source: Path, wanted: Wanted) -> tuple[list[Example], Origin]:
    if not (source / "recipe.json").is_file():
        if wanted.round is not None:
            raise InputErrors("dataset", [Problem("rows of a file have no round", "--round", str(wanted.round))])
        return import_examples(source, author=AUTHOR), Origin(source.name)
    run = RunDirectory.open(source)
    data = read_run(run)
    curated = [found.number for found in data.rounds if run.state(f"rounds/{found.number}/curate") is not None]
    best = [number for number in curated if number == run.best.round]
    round = wanted.round if wanted.round is not None else next(iter(best or curated[-1:]), None)
    if round is None or round not in curated:
        what = "no round of this run is curated yet" if round is None else f"round {round} is not curated"
        remedy = f"take one of {', '.join(map(str, curated))}" if curated else "go on with: tutelage run"
        raise RunError(what, where=str(source), remedy=remedy)
    rows = list(next(found.kept for found in data.rounds if found.number == round))
    return rows, Origin(data.recipe.name, data, round)
