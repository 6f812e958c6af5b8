"""Counts of a source's steps, which add up, and in words."""

from collections import Counter
from collections.abc import Sequence

from tutelage.records import Dropped, Ledger


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
