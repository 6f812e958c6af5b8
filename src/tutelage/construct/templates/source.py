"""A round's rows from a labelled data set: rows are drawn, each gets some of the wordings."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.ledgers import Book
from tutelage.construct.sampling import Sampler
from tutelage.construct.templates.labelled import DataSet, Labelled, read_labelled, rows_of_round
from tutelage.construct.templates.rendering import Renderer, Unfit, check_names, check_options, check_texts
from tutelage.construct.templates.wordings import Wording, read_wordings
from tutelage.errors import DataError, Problem
from tutelage.events import say
from tutelage.recipe.sources.templates import TemplatesSource
from tutelage.records import Dropped, Example
from tutelage.records.jsonl import write_records
from tutelage.seeds import stream


@dataclass(frozen=True, slots=True)
class Kit:
    """The data set and the templates of a source; ``learned`` and ``held_out`` are the latter."""

    data: DataSet
    learned: list[Wording]
    held_out: list[Wording]


def read_kit(section: TemplatesSource, base: Path) -> Kit:
    """Return what ``section`` names; ``base`` is what its paths are relative to.

    Raises what :func:`read_labelled`, :func:`read_wordings` and the checks of :mod:`rendering` raise, and
    :class:`DataError` where there are fewer other rows than ``shots``, or more labels to balance than ``rows``.
    """
    data = read_labelled(section, base)
    wordings = read_wordings(
        base / section.wordings,
        columns=data.columns,
        labelled=section.label is not None,
        held_out=section.hold_out,
    )
    check_names(section, data, wordings)
    check_options(section, data, wordings)
    if section.shots >= len(data.rows):
        what, remedy = f"there are {len(data.rows)} rows, and each is shown others", "lower shots"
        raise DataError(section.path, [Problem(what, "shots", str(section.shots), remedy)])
    labels = len({row.label for row in data.rows})
    if section.balance and section.rows is not None and section.rows < labels:
        what = f"there are {labels} labels, and balance takes a row of each"
        raise DataError(section.path, [Problem(what, "rows", str(section.rows), "raise rows")])
    check_texts(Renderer(section, data, 0), wordings)
    held = set(section.hold_out)
    return Kit(
        data,
        [wording for wording in wordings if wording.name not in held],
        [wording for wording in wordings if wording.name in held],
    )


def template_rows(section: TemplatesSource, sampler: Sampler, *, seed: int, base: Path) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``held_out.jsonl`` has the same rows in the wordings that are not learned, if there are any, ``dropped.jsonl`` what
    a template made nothing of, with its reason, ``ledger.jsonl`` the counts. ``seed`` is the run's.

    Raises what :func:`read_kit` and :meth:`Renderer.row` raise.
    """
    folder = sampler.folder / section.folder
    kit = read_kit(section, base)
    renderer = Renderer(section, kit.data, seed)
    chosen = rows_of_round(kit.data, section, round=sampler.round, seed=seed)
    book = Book()
    rows = []
    for step, wordings in (("wordings", kit.learned), ("held out", kit.held_out)):
        if not wordings:
            continue
        most = section.per_row if step == "wordings" else len(wordings)
        made, dropped = _made(renderer, chosen, wordings, most, round=sampler.round)
        book.enter(step, len(made), dropped, [_counts(made)])
        if step == "wordings":
            rows = made
        else:
            write_records(folder / "held_out.jsonl", made)
    book.write(folder)
    say(book.words(section.folder), sampler.emit)
    return rows


def _made(
    renderer: Renderer, chosen: list[Labelled], wordings: list[Wording], most: int, *, round: int
) -> tuple[list[Example], list[Dropped]]:
    """Each of the rows under ``most`` of the wordings."""
    rows: dict[str, Example] = {}
    dropped: list[Dropped] = []
    for labelled in chosen:
        drawn = stream(renderer.seed, renderer.section.folder, "wordings", labelled.id)
        for wording in drawn.sample(wordings, min(most, len(wordings))):
            try:
                row = renderer.row(labelled, wording, round=round)
            except Unfit as unfit:
                dropped.append(Dropped(id=labelled.id, step=wording.name, reason=str(unfit)))
            else:
                rows[row.id] = row
    return list(rows.values()), dropped


def _counts(rows: list[Example]) -> str:
    found = Counter(row.lineage.prompt for row in rows)
    return ", ".join(f"{name} {count:,}" for name, count in sorted(found.items())) or "no row"
