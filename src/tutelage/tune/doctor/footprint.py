"""The memory of a short step, measured and estimated."""

from collections.abc import Sequence

import torch

from tutelage.models.bundle import Bundle
from tutelage.models.hardware import release_memory
from tutelage.models.template import Encoded
from tutelage.recipe.tune import TuneSection
from tutelage.tune.doctor.check import Check, judged, not_applicable
from tutelage.tune.doctor.trial import METHOD, OPTIMIZER
from tutelage.tune.estimate import StepMemory, estimate_step
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.memory import begin_peak, peak_since

MEMORY = "memory of a step"
FACTOR = 2.0
"""By how much the estimate may be off either way."""
SMALLEST = 64 << 20
"""Bytes below which a step cannot be told from what the program itself takes and gives back."""


def estimated(bundle: Bundle, documents: Sequence[Encoded]) -> StepMemory | None:
    """Return the estimate for one micro-batch of ``documents``; the model must have no adapter in it yet."""
    section = TuneSection(method=METHOD, optimizer=OPTIMIZER)
    tokens, targets = sum(map(len, documents)), sum(map(target_count, documents))
    return estimate_step(bundle, section, tokens=tokens, targets=targets)


class Meter:
    """By how many bytes the memory in use rises at its peak from here on."""

    def __init__(self, device: torch.device) -> None:
        release_memory()
        self._device = device
        self._before = begin_peak(device)

    def peak(self) -> int | None:
        """Return the rise so far; None where the system does not tell."""
        after = peak_since(self._device)
        return None if self._before is None or after is None else after - self._before


def check_memory(expected: StepMemory | None, peak: int | None, *, tokens: int) -> Check:
    """Compare the measured peak beside the weights with its estimate."""
    if expected is None:
        return not_applicable(MEMORY, "the configuration does not say the sizes of its layers")
    if peak is None:
        return not_applicable(MEMORY, f"{_mb(expected.total)} estimated; this system does not tell the peak")
    said = (
        f"{tokens:,} tokens: {_mb(peak)} beside the weights ({_mb(expected.weights)}), "
        f"{_mb(expected.beside_weights)} estimated"
    )
    if expected.beside_weights < SMALLEST:
        return not_applicable(MEMORY, f"{said}: too little to be told from the program itself")
    ratio = peak / expected.beside_weights
    return judged(
        MEMORY,
        1 / FACTOR <= ratio <= FACTOR,
        f"{said}, ratio {ratio:.2f}",
        tolerance=f"ratio {1 / FACTOR:g} to {FACTOR:g}",
        remedy="choose tune.micro_batch_tokens by what was measured, not by the estimate",
        figures={"measured": peak, "estimated": expected.beside_weights, "weights": expected.weights, "ratio": ratio},
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
