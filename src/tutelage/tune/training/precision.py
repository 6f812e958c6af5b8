"""Arithmetic by capability of the processor."""

from typing import Literal

import torch
from torch import nn

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


def compute_dtype(setting: Literal["auto", "bfloat16", "float32"], device: torch.device) -> torch.dtype:
    """Return the arithmetic of training on ``device``; ``auto`` is bfloat16 where the processor computes in it.

    On a CPU without such instructions bfloat16 is emulated and slower than float32.
    """
    if setting != "auto":
        return DTYPES[setting]
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        fast = any(bool(capabilities.get(name)) for name in BF16_INSTRUCTIONS)
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def cast_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the floating-point parameters in place. Buffers stay: rotary frequencies in bfloat16 misplace tokens."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
