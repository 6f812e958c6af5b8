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
    """Return where this process stands, by the variables that torchrun sets; without them it is alone."""
    found = os.environ
    rank, count = found.get("RANK", ""), found.get("WORLD_SIZE", "")
    if "MASTER_ADDR" not in found or not rank.isdigit() or not count.isdigit():
        return Place()
    local_rank, local_count = found.get("LOCAL_RANK", rank), found.get("LOCAL_WORLD_SIZE", count)
    return Place(int(rank), int(count), int(local_rank), int(local_count))
