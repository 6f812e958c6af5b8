"""Who answered in a stage, where that may differ from what the recipe names: kept beside the answers."""

from pathlib import Path

from pydantic import Field

from tutelage.records import Engine
from tutelage.records.base import Record
from tutelage.records.jsonl import RecordLog

FILE = "engines.jsonl"


class SampledBy(Record):
    """From here on ``engine`` answers for ``student``, the starting model or tuned weights; ``why``: not the one that
    the recipe names."""

    student: str
    engine: Engine
    why: str = Field(default="")


class EngineLog:
    """The engines of one stage's folder; of no folder, nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._log = None if folder is None else RecordLog(folder / FILE, SampledBy)

    def last(self, student: str) -> SampledBy | None:
        """Return who answered last for ``student``; None: nobody did."""
        found = [] if self._log is None else [line for line in self._log.load() if line.student == student]
        return found[-1] if found else None

    def keep(self, line: SampledBy) -> None:
        """Write down who answers from here on, unless it is who did before."""
        if self._log is not None and self.last(line.student) != line:
            self._log.append(line)
