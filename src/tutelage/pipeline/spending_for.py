"""The log of a run's spending, seen for one purpose: what a judge takes counts under the judge's ceiling alone."""

from pathlib import Path

from tutelage.completers.endpoints.spending import Paid
from tutelage.records.jsonl import RecordLog


class SpendingFor(RecordLog[Paid]):
    """The lines of one ``purpose`` in a log that holds all of them; what is added is marked as such."""

    def __init__(self, purpose: str, path: Path) -> None:
        super().__init__(path, Paid)
        self.purpose = purpose

    def load(self) -> list[Paid]:
        """Return the lines of the purpose."""
        return [line for line in super().load() if line.purpose == self.purpose]

    def append(self, *records: Paid) -> None:
        """Add ``records`` for the purpose."""
        super().append(*(record.model_copy(update={"purpose": self.purpose}) for record in records))
