"""Batches of rows over processes: results come in the order of the batches, whatever the number of processes."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import cloudpickle
from joblib.externals.loky import ProcessPoolExecutor

from tutelage.recipe.custom import OWN_MODULE

B = TypeVar("B")
R = TypeVar("R")
S = TypeVar("S")
AHEAD = 2
"""Batches under way for each process."""

_work: list[Callable[[Any], Any]] = []


def mapped(function: Callable[[S, B], R], shared: S, batches: Iterable[B], *, workers: int) -> Iterator[R]:
    """Yield ``function(shared, batch)`` of each batch, in their order.

    ``shared`` is sent to each of the ``workers`` processes once; with one worker all is done in this process. A few
    batches are read ahead and no more, so that memory does not depend on how many there are.
    """
    if workers < 2:
        for batch in batches:
            yield function(shared, batch)
        return
    for name, module in list(sys.modules.items()):  # other processes cannot import the files that a recipe names
        if name.startswith(OWN_MODULE):
            cloudpickle.register_pickle_by_value(module)
    job = cloudpickle.dumps((function, shared))
    executor = ProcessPoolExecutor(max_workers=workers, initializer=_begin, initargs=(job,))
    try:
        under_way: deque[Any] = deque()
        for batch in batches:
            under_way.append(executor.submit(_do, batch))
            if len(under_way) >= AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BaseException:
        executor.shutdown(wait=True, kill_workers=True)
        raise
    executor.shutdown(wait=True)


def _begin(job: bytes) -> None:
    """Take what all batches share; it stays in the process."""
    function, shared = cloudpickle.loads(job)
    _work[:] = [lambda batch: function(shared, batch)]


def _do(batch: Any) -> Any:
    return _work[0](batch)
