"""Passes over documents without a gradient, in parts that the memory holds."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tutelage.errors import TrainingError
from tutelage.models.faults import is_out_of_memory
from tutelage.models.template import Encoded
from tutelage.tune.training.batches import micro_batches

Found = TypeVar("Found")


def in_parts(
    documents: Sequence[Encoded],
    limit: int,
    compute: Callable[[Sequence[Encoded]], Found],
    *,
    virtual: int = 0,
    whole: bool = False,
) -> Iterator[tuple[Sequence[Encoded], Found]]:
    """Yield documents, ``limit`` tokens at once, with what ``compute`` makes of them; halved where memory runs out.

    ``virtual`` tokens stand before each of them. ``whole``: a part is never halved, for other processes compute with
    this one and would not know.

    Raises
    ------
    TrainingError: the memory does not suffice for a single document, or for a part that is never halved.
    """
    sizes = [len(one) + virtual for one in documents]
    waiting = [[documents[at] for at in part] for part in micro_batches(sizes, limit)]
    waiting.reverse()
    while waiting:
        part = waiting.pop()
        try:
            found = compute(part)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if whole:
                raise TrainingError(
                    "the memory does not suffice, and sharded processes cannot go on with less at once",
                    received=f"{sum(map(len, part))} tokens",
                    remedy="lower tune.micro_batch_tokens",
                ) from error
            if len(part) == 1:
                raise TrainingError(
                    "the memory does not suffice for one row",
                    received=f"a row of {len(part[0])} tokens",
                    remedy="lower max_tokens, or take a smaller model or teacher",
                ) from error
        else:
            yield part, found
            continue
        half = len(part) // 2
        waiting += [part[half:], part[:half]]
