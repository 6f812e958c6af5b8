"""Answers that are not worth learning from, by measures that need no model."""

from collections.abc import Sequence

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import drop
from tutelage.records import Dropped, Example
from tutelage.text.repetition import repeated_share


class Quality(RowWise):
    """Drops answers of which too large a share of the word 5-grams is repetition.

    It does not know whether an answer is right or good: that is what verdicts are for.
    """

    name = "quality"

    def __init__(self, *, max_repeated_share: float = 0.2) -> None:
        self.max_repeated_share = max_repeated_share

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and what is dropped."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for row in rows:
            share = repeated_share(row.target.text)
            if share > self.max_repeated_share:
                detail = f"{share:.0%} of its word 5-grams occurred before, at most {self.max_repeated_share:.0%}"
                dropped.append(drop(row, self.name, "the answer repeats itself", detail))
            else:
                kept.append(row)
        return Judged(kept, dropped, Tally())
