"""A round's rows from documents: passages are chosen, the teacher is asked, what it can quote is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.completers.structured.asking import Ended
from tutelage.construct.documents.asking import FORM, Examiner, Grounded, questions
from tutelage.construct.documents.passages import FEWEST_WORDS, cut
from tutelage.construct.documents.reading import read_documents
from tutelage.construct.documents.rows import Writer, abstentions, once
from tutelage.construct.given import of_round
from tutelage.construct.ledgers import ledger_of, ledger_words
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.construct.speaker import Speaker, lost
from tutelage.errors import DataError, Problem
from tutelage.events import Event
from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.recipe.sources.passages import PassagesSource
from tutelage.records import Dropped, Example, Ledger, Sampling
from tutelage.records.documents import Document, Passage
from tutelage.records.jsonl import write_records
from tutelage.records.lineage import total

LABEL = "questions"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The documents of a recipe cut into passages; ``ledgers`` count files and passages, ``dropped`` has the rest."""

    documents: list[Document]
    passages: list[Passage]
    ledgers: list[Ledger]
    dropped: list[Dropped]


def shelve(section: PassagesSource, folder: Path) -> Shelf:
    """Read the documents that ``section`` names and cut them.

    Raises what :func:`read_documents` raises, and :class:`DataError` where no passage is long enough.
    """
    library = read_documents(section, folder)
    passages: list[Passage] = []
    short: list[Dropped] = []
    for document in library.documents:
        found, dropped = cut(document, section.passage_words)
        passages += found
        short += dropped
    notes = [f"{document.name}: {note}" for document in library.documents for note in document.notes]
    notes += [
        f"{document.name}: read as {document.encoding}"
        for document in library.documents
        if document.encoding not in ("", "utf-8")
    ]
    if not passages:
        what = f"no document has a passage of {FEWEST_WORDS} words"
        raise DataError(
            f"construct.sources, {section.folder}",
            [Problem(what, name, remedy="give longer ones") for name in section.paths],
        )
    ledgers = [
        ledger_of("files", len(library.documents), library.dropped, notes),
        ledger_of("passages", len(passages), short),
    ]
    return Shelf(library.documents, passages, ledgers, [*library.dropped, *short])


def document_rows(
    section: DocumentsSource, sampler: Sampler, *, teacher: Asker, seed: int, base: Path
) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``documents.jsonl`` and ``passages.jsonl`` are what was read, ``questions.jsonl`` every answer of the teacher,
    ``dropped.jsonl`` files, passages, questions and abstentions that gave nothing, with their reasons,
    ``ledger.jsonl`` their counts. ``seed`` is the run's, ``base`` what paths are relative to. What it cost is put on
    ``sampler.meters``.

    Raises what :func:`shelve` and :meth:`Speaker.ask` raise.
    """
    folder = sampler.folder / section.folder
    shelf = shelve(section, base)
    write_records(folder / "documents.jsonl", shelf.documents)
    write_records(folder / "passages.jsonl", shelf.passages)
    chosen = passages_of_round(shelf.passages, section.passages, round=sampler.round, seed=seed)
    sampling = Sampling(
        temperature=sampler.section.temperature, top_p=sampler.section.top_p, max_tokens=section.max_tokens
    )
    requests, asked = questions(chosen, section, sampling=sampling, seed=sampler.seed)
    speaker = Speaker(teacher, sampler, folder, section.retries)
    ends = speaker.ask(LABEL, requests, form=FORM, examine=Examiner(asked, section))
    writer = Writer(section, teacher.name, sampling, sampler.round)
    made = [writer.row(asked[end.request.id], end) for end in ends if end.loss is None]
    kept, twice = once(made, closed=section.form == "closed_book")
    absent, unfit = abstentions(kept, shelf.passages, writer, seed=sampler.seed) if section.unanswerable else ([], [])
    unused = [*(lost(end, LABEL) for end in ends if end.loss is not None), *twice]
    ledgers = [*shelf.ledgers, ledger_of("questions", len(kept), unused)]
    ledgers += [ledger_of("abstentions", len(absent), unfit)] if section.unanswerable else []
    write_records(folder / "dropped.jsonl", [*shelf.dropped, *unused, *unfit])
    write_records(folder / "ledger.jsonl", ledgers)
    _count(sampler, ends, speaker, passed=len(made), absent=len(absent))
    for ledger in ledgers:
        sampler.emit(Event("note", data={"text": f"{section.folder}, {ledger_words(ledger)}"}))
    return [*(one.row for one in kept), *absent]


def passages_of_round(passages: Sequence[Passage], most: int | None, *, round: int, seed: int) -> list[Passage]:
    """Return the next ``most`` of a shuffled circle of passages, each once; all of them where that is fewer."""
    return of_round(passages, most, round=round, seed=seed, name="passages")


def _count(sampler: Sampler, ends: Sequence[Ended[Grounded]], speaker: Speaker, *, passed: int, absent: int) -> None:
    """Put what was asked on the meter of distillation; a row that abstains is made by program, and counts as judged."""
    errors = sum(end.answers[-1].finish == "error" for end in ends)
    meter = sampler.meters.setdefault("distill", Meter())
    meter.answers += len(ends) - errors + absent
    meter.passed += passed + absent
    meter.errors += errors
    meter.seconds += speaker.seconds()
    meter.tokens = total([meter.tokens, speaker.tokens()])
