"""A share or a number of rows."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """How many rows are kept: a ``share`` of those that come in, or so many ``rows``; neither: all."""

    share: float | None = None
    rows: int | None = None

    def of(self, number: int) -> int:
        """Return how many of ``number`` rows; a share is rounded up, so that no more go than it leaves."""
        if self.share is not None:
            return min(number, math.ceil(self.share * number - 1e-9))
        return number if self.rows is None else min(number, self.rows)

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.share:.3g} of the rows"
        return "all rows" if self.rows is None else f"{self.rows:,} rows"
