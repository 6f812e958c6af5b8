"""Whether this process was started by itself, or as one of several that do one thing together (torchrun)."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those that were started together: its number, from 0, of how many in all, and of
    how many on this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1


def place() -> Place:
    """Return where this process stands, by the variables that torchrun sets; one that was started by itself is alone.

    Raises :class:`ValueError` where such a variable is no number.
    """
    found = os.environ
    if "MASTER_ADDR" not in found or "RANK" not in found or "WORLD_SIZE" not in found:
        return Place()
    rank, count = int(found["RANK"]), int(found["WORLD_SIZE"])
    return Place(rank, count, int(found.get("LOCAL_RANK", rank)), int(found.get("LOCAL_WORLD_SIZE", count)))
