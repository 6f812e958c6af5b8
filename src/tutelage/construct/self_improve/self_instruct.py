"""A round's rows from Self-Instruct (Wang et al. 2023): bootstrapped, told apart, written, filtered.

Each round begins with the experts' tasks; what an earlier round wrote is not in its pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.desk import Desk
from tutelage.construct.ledgers import ledger_of, ledger_words
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.bootstrap import bootstrap, tell_apart
from tutelage.construct.self_improve.instances import ASKED, STEP, Passed, keep_instances, write_instances
from tutelage.construct.self_improve.seeds import PARADIGM, seeds_of
from tutelage.events import say
from tutelage.recipe.sources import SelfInstructSource
from tutelage.records import Cost, Demonstration, Example, Lineage, assistant, content_id, user
from tutelage.records.jsonl import write_records

SOURCE = "self_instruct"


def self_instruct_rows(
    section: SelfInstructSource,
    sampler: Sampler,
    *,
    writer: Asker,
    demonstrations: Sequence[Demonstration],
    base: Path,
) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``seeds.jsonl`` is what it began with; ``instructions-1.jsonl``, …, ``kinds.jsonl``, ``input_first.jsonl`` and
    ``output_first.jsonl`` every reply; ``pool.jsonl`` the instructions that were kept, ``dropped.jsonl`` all that gave
    nothing, with its reason, ``ledger.jsonl`` the counts. What it took is put on ``sampler.meters``.

    Raises what :func:`seeds_of` and :meth:`Desk.ask` raise.
    """
    seeds = seeds_of(section, demonstrations, base)
    desk = Desk(section, sampler, writer)
    pool = bootstrap(desk, section, seeds)
    told, untold = tell_apart(desk, section, pool.kept, seeds)
    written, unwritten = write_instances(desk, section, told, seeds)
    kept, unfit = keep_instances(desk, section, written)
    rows = _Writer(section, desk).rows(kept)
    nobody = sum(row.lineage.verdicts[-1].score is None for row in rows)
    notes = [f"of {nobody:,} rows nobody has judged what the output says (construct.judge)"] if nobody else []
    ledgers = [
        *pool.ledgers(section.tasks),
        ledger_of("kinds", len(told), untold, [f"{sum(one.classification for one in told):,} are classification"]),
        ledger_of(ASKED, len(written), unwritten),
        ledger_of(STEP, len(rows), unfit, notes),
    ]
    write_records(desk.folder / "seeds.jsonl", [seed.task for seed in seeds])
    kinds = {one.pooled.id: one.pooled for one in told}
    write_records(desk.folder / "pool.jsonl", [kinds.get(one.id, one) for one in pool.kept])
    write_records(desk.folder / "dropped.jsonl", [*pool.dropped, *untold, *unwritten, *unfit])
    write_records(desk.folder / "ledger.jsonl", ledgers)
    given = len({one.written.told.pooled.id for one in kept})
    desk.attempted(PARADIGM[section.taught], answers=pool.proposed, passed=given, errors=pool.absent)
    say([f"{section.folder}, {ledger_words(ledger)}" for ledger in ledgers], sampler.emit)
    return rows


@dataclass(frozen=True, slots=True)
class _Writer:
    section: SelfInstructSource
    desk: Desk

    def rows(self, kept: Sequence[Passed]) -> list[Example]:
        """The rows of instances. What an instruction took is the cost of its first row, and of no other; what its
        proposal took, which it shares with others, is the cost of none."""
        return [self._row(one) for one in kept]

    def _row(self, one: Passed) -> Example:
        written, pooled, last = one.written, one.written.told.pooled, one.written.replies[-1]
        cost = Cost.of(written.replies) if one.first else Cost(prompt_tokens=0, completion_tokens=0)
        return Example(
            id=content_id(SOURCE, one.request, one.instance.output),
            messages=(user(one.request), assistant(one.instance.output)),
            lineage=Lineage(
                paradigm=PARADIGM[self.section.taught],
                source=SOURCE,
                author=last.by or self.desk.writer.name,
                parents=(*pooled.shown, pooled.id, last.request_id),
                prompt=version(f"self_instruct_{written.how}"),
                seed=last.seed,
                round=self.desk.sampler.round,
                verdicts=(one.verdict,),
                operations=("propose", written.how),
                cost=cost,
            ),
            task=SOURCE,
            dimension=self.section.dimension,
            group=pooled.id,
        )
