"""Memory that nothing holds any more goes back to the system."""

import ctypes
import os
from pathlib import Path

import pytest
import torch

from tutelage.models.hardware import release_memory

STATM = Path("/proc/self/statm")


def resident() -> int:
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not (STATM.is_file() and hasattr(ctypes.CDLL(None), "malloc_trim")), reason="the C library is not glibc"
)
def test_freed_pieces_between_kept_ones_are_given_back() -> None:
    pieces = [torch.ones(16_000) for _ in range(4_000)]  # 64 kB each: from the heap, not mapped by itself
    kept = pieces[::50]
    pieces.clear()
    before = resident()
    release_memory()
    assert before - resident() > 150e6
    assert all(bool((piece == 1).all()) for piece in kept)
