"""What each paradigm of data construction gave and took: quality, scalability, resource cost."""

from tutelage.records.base import Level, Paradigm, Record
from tutelage.records.judging import Judging
from tutelage.records.lineage import total


class TradeOff(Record):
    """One row of the trade-off table.

    ``attempted`` counts answers that were sampled or written and judged, ``passed`` those that passed their check,
    ``accepted`` those that became training rows (of several good answers to one prompt only the first ones do).
    ``errors`` counts answers that never came, ``unjudged`` those of which their check could say nothing.
    ``judging`` is what a judge took for them, a cost of its own that is in no other figure.
    ``diversity`` is distinct-2 over the accepted answers: different word bigrams / all word bigrams. None is unknown.
    """

    paradigm: Paradigm
    attempted: int
    passed: int | None = None
    accepted: int
    errors: int = 0
    unjudged: int = 0
    diversity: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    human_minutes: float | None = None
    judging: Judging | None = None

    @property
    def acceptance(self) -> float | None:
        """Passed / attempted; None where nothing was asked or counted."""
        return self.passed / self.attempted if self.attempted and self.passed is not None else None

    @property
    def rows_per_hour(self) -> float | None:
        """Accepted rows an hour of computing."""
        return 3600 * self.accepted / self.seconds if self.seconds else None

    @property
    def tokens_per_row(self) -> float | None:
        """Sampled tokens per accepted row."""
        return self.tokens / self.accepted if self.tokens is not None and self.accepted else None

    @property
    def seconds_per_row(self) -> float | None:
        """Seconds of computing per accepted row."""
        return self.seconds / self.accepted if self.seconds is not None and self.accepted else None


class CellYield(Record):
    """What one cell's sampling gave: answers judged, those that may be learned, their tokens (None: unknown)."""

    dimension: str
    level: Level
    attempted: int = 0
    accepted: int = 0
    tokens: int | None = 0

    def plus(self, other: "CellYield") -> "CellYield":
        """Return the sum of two counts of one cell."""
        return CellYield(
            dimension=self.dimension,
            level=self.level,
            attempted=self.attempted + other.attempted,
            accepted=self.accepted + other.accepted,
            tokens=total([self.tokens, other.tokens]),
        )
