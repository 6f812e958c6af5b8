"""Where a model computes, and in which arithmetic."""

import ctypes
import gc
import os
from typing import Literal

import torch
from torch import nn

from tutelage.errors import ModelError
from tutelage.launch import place

Dtype = Literal["auto", "bfloat16", "float32"]
_DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
# x86 names, then Arm's. Without such instructions a CPU emulates bfloat16, slower than float32.
_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


# On a CPU torch keeps a compiled product for each of the last 1,024 shapes, twice. Packed rows have a new length in
# nearly every step: that came to over a gigabyte, and one step's shapes are all that are met again. Read before the
# first product.
for _variable in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(_variable, "128")


def processors() -> int:
    """Return how many processors this process may use; those of the machine where the system does not tell.

    Processes that torchrun started together share them.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // place().local_count)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device ``name``; ``auto`` is the first CUDA device, else the CPU. Raises :class:`ModelError`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as fault:
        raise ModelError("no such device", received=name, remedy="use auto, cpu, cuda or cuda:N") from fault
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            "this device is not here", received=name, remedy=f"{torch.cuda.device_count()} CUDA devices are; use auto"
        )
    return device


def pick_dtype(name: Dtype, device: torch.device) -> torch.dtype:
    """Return the arithmetic ``name``; ``auto`` is bfloat16 where the processor computes in it, else float32."""
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = device.type == "cpu" and any(capabilities.get(name) for name in _BF16_INSTRUCTIONS)
    return torch.bfloat16 if fast else torch.float32


def cast_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the floating-point parameters in place. Buffers stay: rotary frequencies in bfloat16 misplace tokens."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def release_memory() -> None:
    """Give back what no object holds any more: to the accelerator, and from the heap of the C library to the system.

    glibc keeps the freed pieces of big arrays for later, and a process that opens one model after another grows by
    them.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
