"""What is judged, on which scale, and how one score comes of several criteria."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tutelage.records import content_id
from tutelage.records.verdicts import CriterionScore

LOW = 1
"""The lowest score of every scale: 0 reads as missing to people and to models."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that an answer is judged by: its key in replies, and what it asks."""

    name: str
    asks: str


@dataclass(frozen=True, slots=True)
class Rubric:
    """Criteria on a scale from 1 to ``high``.

    ``combine``: an answer is as good as its weakest side (``lowest``), or good sides make up for bad ones (``mean``).
    """

    criteria: tuple[Criterion, ...]
    high: int = 5
    combine: Literal["lowest", "mean"] = "lowest"

    def score(self, scores: Sequence[CriterionScore]) -> float:
        """Return one score in [0, 1]: 0 is the scale's lowest, 1 its highest."""
        placed = [self._placed(score.score) for score in scores]
        return min(placed) if self.combine == "lowest" else sum(placed) / len(placed)

    def _placed(self, score: int) -> float:
        return (score - LOW) / (self.high - LOW)

    @property
    def version(self) -> str:
        """The hash of all of it."""
        return content_id([[one.name, one.asks] for one in self.criteria], self.high, self.combine)
