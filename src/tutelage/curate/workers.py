"""Batches of rows over processes: results come in the order of the batches, whatever the number of processes."""

import pickle
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import cloudpickle
from joblib.externals.loky import ProcessPoolExecutor

from tutelage.errors import TutelageError
from tutelage.files import storage
from tutelage.recipe.custom import OWN_MODULE

B = TypeVar("B")
R = TypeVar("R")
S = TypeVar("S")
AHEAD = 2
"""Batches under way for each process."""
IDLE_S = 60
"""Seconds after which a process ends that nobody asks; one that is missing is started again. So none outlives a killed
parent."""


class Workers:
    """``count`` processes, started when they are first needed and ended with the block; one is this process itself.
    ``folder`` is for what they share (None: that of the system for temporary files)."""

    def __init__(self, count: int, folder: Path | None = None) -> None:
        self.count = count
        self._place = folder
        self._executor: ProcessPoolExecutor | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._jobs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=error is not None)
        if self._folder is not None:
            self._folder.cleanup()

    def mapped(self, function: Callable[[S, B], R], shared: S, batches: Iterable[B]) -> Iterator[R]:
        """Yield ``function(shared, batch)`` of each batch, in their order.

        ``shared`` is read once by each process. A few batches are read ahead and no more, so that memory does not
        depend on how many there are.

        Raises
        ------
        TutelageError: ``shared`` cannot be sent, or a process died. StorageError: the disk refuses.
        """
        if self.count < 2:
            for batch in batches:
                yield function(shared, batch)
            return
        job = self._written(function, shared)
        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=self.count, timeout=IDLE_S)
        under_way: deque[Any] = deque()
        try:
            for batch in batches:
                under_way.append(self._executor.submit(_do, str(job), batch))
                if len(under_way) >= AHEAD * self.count:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool as error:
            remedy = "if memory did not suffice, take fewer workers (--workers 1)"
            raise TutelageError("a process that worked on rows died", received=str(error), remedy=remedy) from error

    def _written(self, function: Callable[[S, B], R], shared: S) -> Path:
        """The file of what all batches share: it may be large, and is sent with none of them."""
        for name, module in list(sys.modules.items()):  # other processes cannot import the files that a recipe names
            if name.startswith(OWN_MODULE):
                cloudpickle.register_pickle_by_value(module)
        try:
            written = cloudpickle.dumps((function, shared))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            what, remedy = "a step cannot be sent to other processes", "make it picklable, or take one worker"
            raise TutelageError(what, received=str(error), remedy=remedy) from error
        with storage(self._place or tempfile.gettempdir(), "set a step aside"):
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="tutelage-", dir=self._place)
            self._jobs += 1
            file = Path(self._folder.name) / str(self._jobs)
            file.write_bytes(written)
        return file


def _do(job: str, batch: Any) -> Any:
    function, shared = _read(job)
    return function(shared, batch)


@lru_cache(maxsize=1)
def _read(job: str) -> tuple[Callable[[Any, Any], Any], Any]:
    function, shared = cloudpickle.loads(Path(job).read_bytes())
    return function, shared
