"""How much memory the process has needed."""

import resource
import sys

import torch


def peak_rss_bytes() -> int:
    """Return the peak of resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB, macOS bytes


def peak_device_bytes() -> int:
    """Return the peak of memory allocated on the accelerator so far; 0 without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
