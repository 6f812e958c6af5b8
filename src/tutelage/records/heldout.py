"""What a model thinks of references that it never learned from: their loss, row by row and compared."""

from pydantic import Field

from tutelage.records.base import Level, Record, Split
from tutelage.statistics import Difference


class RowLoss(Record):
    """The loss of one row's reference: mean negative log-likelihood a token in nats, the end token included.

    None: the row is longer than what the run trains on. ``checked``: the row also has a check, so that its answers get
    a score and its loss only stands beside it.
    """

    item_id: str
    dimension: str
    level: Level
    group: str
    checked: bool
    nll: float | None = Field(default=None, ge=0)
    tokens: int = Field(default=0, ge=0)


class HeldOutLoss(Record):
    """Two models on the same references.

    ``rise`` is the difference of the mean log-likelihood a token, after minus before, paired by row and clustered by
    group: above 0 the loss fell. Rows count alike, however long. ``words`` says it in losses, for people.
    """

    before: str
    after: str
    split: Split
    checked: bool
    rise: Difference
    words: str

    @property
    def loss_before(self) -> float | None:
        """Mean loss a token of the first model, over the rows that both have."""
        return None if self.rise.before is None else -self.rise.before

    @property
    def loss_after(self) -> float | None:
        """Mean loss a token of the second model, over the rows that both have."""
        return None if self.rise.after is None else -self.rise.after
