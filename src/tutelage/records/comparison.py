"""Two models on the same items."""

from pydantic import Field

from tutelage.records.base import Record, Split
from tutelage.statistics import Difference


class Comparison(Record):
    """``after`` against ``before``, paired by item, with clustered intervals.

    ``dimensions`` and ``facets`` are means over levels. ``p_values`` are two-sided, from estimate and bootstrap
    standard error; ``p_holm`` are those adjusted over the dimensions (Holm 1979). ``transfer`` compares the transfer
    items alone.
    """

    before: str
    after: str
    split: Split
    macro: Difference
    dimensions: dict[str, Difference] = Field(default_factory=dict)
    facets: dict[str, Difference] = Field(default_factory=dict)
    p_values: dict[str, float | None] = Field(default_factory=dict)
    p_holm: dict[str, float | None] = Field(default_factory=dict)
    transfer: Difference | None = None
