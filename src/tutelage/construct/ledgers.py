"""Counts of a source's steps, which add up, and in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutelage.records import Dropped, Ledger
from tutelage.records.jsonl import write_records


@dataclass(slots=True)
class Book:
    """The counts of a round's steps, and all that was dropped."""

    ledgers: list[Ledger] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def enter(self, step: str, kept: int, dropped: Sequence[Dropped], notes: Sequence[str] = ()) -> None:
        """Enter what a step kept and dropped."""
        self.ledgers.append(ledger_of(step, kept, dropped, notes))
        self.dropped += dropped

    def write(self, folder: Path) -> None:
        """Write ``dropped.jsonl`` and ``ledger.jsonl``."""
        write_records(folder / "dropped.jsonl", self.dropped)
        write_records(folder / "ledger.jsonl", self.ledgers)

    def words(self, name: str) -> list[str]:
        """Return the counts of every step of the source ``name`` in words."""
        return [f"{name}, {ledger_words(ledger)}" for ledger in self.ledgers]


def ledger_of(stage: str, kept: int, dropped: Sequence[Dropped], notes: Sequence[str] = ()) -> Ledger:
    """Return the counts of a step by reason: what stands before the first colon or bracket of each."""
    reasons = Counter(row.reason.partition(":")[0].partition(" (")[0] for row in dropped)
    return Ledger(
        stage=stage, rows_in=kept + len(dropped), kept=kept, dropped=dict(sorted(reasons.items())), notes=tuple(notes)
    )


def ledger_words(ledger: Ledger) -> str:
    """Return the counts in a sentence."""
    lost = "; ".join(f"{count:,} {reason}" for reason, count in ledger.dropped.items())
    said = f"{ledger.stage}: {ledger.kept:,} of {ledger.rows_in:,} kept"
    return f"{said}{f', dropped: {lost}' if lost else ''}{''.join(f'. {note}' for note in ledger.notes)}"
