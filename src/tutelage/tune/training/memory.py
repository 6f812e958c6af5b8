"""How much memory the process has needed, and how much it may still take."""

import resource
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MEMORY = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_CLEAR_PEAK = "5"  # what Linux is told to set the peak of resident memory back to what is resident now


def peak_rss_bytes() -> int:
    """Return the peak of resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB, macOS bytes


def peak_device_bytes() -> int:
    """Return the peak of memory allocated on the accelerator so far; 0 without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def free_bytes(device: torch.device) -> int | None:
    """Return how much memory may still be taken on ``device``; None: the system does not tell (Linux does).

    On a CPU: what the kernel thinks can be had without swapping, or what is left to the process's control group (a
    container), if that is less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = (_kibibytes(_MEMORY, "MemAvailable"), _left_to_group(_GROUP))
    return min((limit for limit in limits if limit is not None), default=None)


def begin_peak(device: torch.device) -> int | None:
    """Start to measure the peak of memory on ``device`` from here on; return the bytes in use now.

    None: the system does not tell the peak of a part of a process's life (Linux does).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        _CLEAR.write_text(_CLEAR_PEAK, encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def peak_since(device: torch.device) -> int | None:
    """Return the peak since :func:`begin_peak`, in bytes; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM")


def _left_to_group(group: Path) -> int | None:
    """Bytes left to a control group (version 2); None where it has no limit. Idle cached files count as free."""
    most, used = ("".join(_lines(group / name)) for name in ("memory.max", "memory.current"))
    if not (most.isdigit() and used.isdigit()):  # "max": no limit
        return None
    cached = [int(line.split()[1]) for line in _lines(group / "memory.stat") if line.startswith("inactive_file ")]
    return max(0, int(most) - int(used) + sum(cached))


def _status(key: str) -> int | None:
    return _kibibytes(_STATUS, key)


def _kibibytes(file: Path, key: str) -> int | None:
    return next((int(line.split()[1]) * 1024 for line in _lines(file) if line.startswith(f"{key}:")), None)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
