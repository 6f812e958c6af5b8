"""What steps of curation would drop or mask, by running them; and what stands in a benchmark too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tutelage.curate.batchwise import RowWise
from tutelage.curate.contamination import Contamination
from tutelage.curate.filters.heuristics import Heuristics
from tutelage.curate.filters.pii import Personal
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.inspection.seen import Seen, Show, excerpt
from tutelage.curate.step import Sifted
from tutelage.records.importers.benchmarks import Benchmark
from tutelage.records.inspection import Finding, Overlap
from tutelage.text.personal import KINDS, Finder

EXAMPLES = 2


def faults_of(rows: Sequence[Seen], show: Show) -> list[Finding]:
    """Return what ``validate`` would drop."""
    return list(_findings(rows, Validate(), show))


def oddities_of(rows: Sequence[Seen], show: Show, *, phones: Finder | None) -> list[Finding]:
    """Return what ``quality`` and ``heuristics`` would drop and ``pii`` would mask, at their defaults; ``phones`` None:
    phone numbers are not looked for."""
    kinds = KINDS if phones is not None else tuple(kind for kind in KINDS if kind != "phone")
    steps: list[RowWise] = [Quality(), Heuristics(), Personal(find=kinds, phones=phones)]
    return [one for step in steps for one in _findings(rows, step, show)]


def overlaps_of(rows: Sequence[Seen], against: Sequence[Benchmark], show: Show) -> tuple[Overlap, ...]:
    """Return how many rows share words with each benchmark, as the step of curation finds it at its defaults."""
    overlaps = []
    for benchmark in against:
        step = Contamination([], against=[benchmark])
        sifted = _apply(rows, step)
        found: dict[int, str] = {}
        for row in sifted.dropped:
            found.setdefault(int(row.id), row.reason.partition(": ")[2])
        examples = [excerpt(rows[at], show, show.text(found[at])) for at in sorted(found)[:EXAMPLES]]
        overlaps.append(
            Overlap(
                name=benchmark.name,
                items=len(benchmark.items),
                rows=len(found),
                # The first one says how many items there are, others quote them.
                notes=() if show.redacted is not None else sifted.notes[1:],
                examples=tuple(examples),
            )
        )
    return tuple(overlaps)


def _findings(rows: Sequence[Seen], step: RowWise, show: Show) -> Iterator[Finding]:
    sifted = _apply(rows, step)
    found: defaultdict[tuple[str, bool], dict[int, str]] = defaultdict(dict)
    for row in sifted.dropped:
        kind, _, detail = row.reason.partition(": ")
        found[kind, False].setdefault(int(row.id), detail)
    for kept in sifted.kept:
        for said in kept.lineage.changes:
            name, _, what = said.partition(": ")
            if name == step.name:
                found[what, True].setdefault(int(kept.id), "")
    for (what, masked), places in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield Finding(
            step=step.name,
            what=what,
            action="mask" if masked else "drop",
            rows=len(places),
            n=len(rows),
            examples=tuple(excerpt(rows[at], show, show.quote(places[at])) for at in sorted(places)[:EXAMPLES]),
        )


def _apply(rows: Sequence[Seen], step: RowWise) -> Sifted:
    """What ``step`` makes of every answer, as a row whose id is the place of its row: ids of files may come twice. What
    was changed before is of no interest here."""
    first, rejected = (
        [
            view.model_copy(update={"id": f"{place}", "lineage": view.lineage.model_copy(update={"changes": ()})})
            for place, row in enumerate(rows)
            for _, view in row.views[answers]
        ]
        for answers in (slice(1), slice(1, None))  # of a pair the chosen answer is the first
    )
    one, other = step.judge(first), step.judge_rejected(rejected)
    notes = step.notes(one.tally + other.tally)
    return Sifted([*one.kept, *other.kept], [*one.dropped, *other.dropped], notes)
