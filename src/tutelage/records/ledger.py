"""Book-keeping of rows: what came in is what was kept plus what was dropped, by reason."""

from pydantic import Field, model_validator

from tutelage.records.base import Record


class Dropped(Record):
    """A row that was left out: its id, the step that dropped it, why, and the row itself as JSON."""

    id: str
    step: str
    reason: str
    row: str = ""


class Ledger(Record):
    """Counts of one stage. Refuses to exist when they do not add up.

    ``changed`` counts rows that were kept with another text, by ``step: what`` was changed; a row may count
    under several.
    """

    stage: str
    rows_in: int
    kept: int
    dropped: dict[str, int] = Field(default_factory=dict)
    changed: dict[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> "Ledger":
        lost = self.rows_in - self.kept - sum(self.dropped.values())
        if lost:
            raise ValueError(
                f"ledger of {self.stage}: {self.rows_in} in, {self.kept} kept, {self.dropped} dropped: {lost} lost"
            )
        if max(self.changed.values(), default=0) > self.kept:
            raise ValueError(f"ledger of {self.stage}: {self.changed} changed, but {self.kept} kept")
        return self
