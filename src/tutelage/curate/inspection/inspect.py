"""All figures of a file of rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tutelage.curate.filters.phones import phone_finder
from tutelage.curate.inspection.alike import duplicates_of
from tutelage.curate.inspection.seen import Show, see
from tutelage.curate.inspection.shape import (
    extremes_of,
    features_of,
    labels_of,
    lengths_of,
    roles_of,
    turns_of,
)
from tutelage.curate.inspection.spoken import languages_of
from tutelage.curate.inspection.steps import faults_of, oddities_of, overlaps_of
from tutelage.curate.inspection.topics import topics_of
from tutelage.errors import MissingExtra
from tutelage.records.importers import Imported
from tutelage.records.importers.anything import OWN
from tutelage.records.importers.benchmarks import Benchmark
from tutelage.records.inspection import Inspection
from tutelage.text.personal import Finder


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is looked at.

    ``sample``: rows at most for languages, topics, personal data and heuristics, which take milliseconds a row;
    ``topics``: how many (None: by a rule; 0: none); ``against``: benchmarks that the rows are compared with;
    ``redacted``: what is shown in the place of a text (None: its beginning).
    """

    sample: int
    topics: int | None = None
    against: Sequence[Benchmark] = ()
    redacted: Callable[[str], str] | None = None


def inspect_rows(imported: Imported, wishes: Wishes, *, name: str) -> Inspection:
    """Return the figures of rows, which people call ``name``; the order of the rows changes none.

    The sample are the rows with the smallest hashes of what they say: as good as drawn by lot, and the same ones each
    time. Of rows that say the same each has a hash of its own.
    """
    rows = see(imported.rows)
    sample = rows[: wishes.sample]
    show = Show(wishes.redacted)
    hidden = wishes.redacted is not None
    phones, notes = _phones()
    topics = None if wishes.topics == 0 else topics_of(sample, show, number=wishes.topics, terms=not hidden)
    if wishes.topics != 0 and topics is None:
        notes.append("topics: fewer than ten prompts share a word, so none were sought")
    return Inspection(
        name=name,
        kind=imported.kind,
        rows=len(rows),
        sampled=len(sample),
        forms=dict(imported.forms),
        turns=turns_of(rows),
        roles=roles_of(rows),
        features=features_of(rows),
        labels=labels_of(rows, made=set(imported.forms) == {OWN}, people=not hidden),
        lengths=lengths_of(rows),
        extremes=extremes_of(rows, show),
        languages=languages_of(sample, show),
        duplicates=duplicates_of(rows, show),
        findings=(*faults_of(rows, show), *oddities_of(sample, show, phones=phones)),
        overlaps=overlaps_of(rows, wishes.against, show),
        topics=topics,
        redacted=hidden,
        notes=tuple(notes),
    )


def _phones() -> tuple[Finder | None, list[str]]:
    try:
        return phone_finder(), []
    except MissingExtra as error:
        return None, [f"phone numbers were not looked for: {error.problem.remedy}"]
