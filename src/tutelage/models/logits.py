"""What a model computes on rows, each by itself, and how far two such readings are from one another."""

from collections.abc import Iterable

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tutelage.models.virtual import VirtualTokens


@torch.no_grad()
def logits_of(model: nn.Module, rows: Iterable[ArrayLike], virtual: VirtualTokens | None = None) -> list[Tensor]:
    """Return the logits (T, V) of each row of ids by itself, behind ``virtual`` tokens, in float32 on the CPU."""
    device = next(model.parameters()).device
    found = []
    for row in rows:
        named = {} if virtual is None else {"past_key_values": virtual.cache()}
        ids = torch.as_tensor(row, dtype=torch.int64, device=device)
        logits = model(input_ids=ids[None], **named).logits[0]
        found.append(logits[-len(ids) :].float().cpu())  # PEFT's are of its virtual tokens first
    return found


def distance(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """Return the mean and the largest absolute difference in standard deviations of ``expected``.

    Both are NaN where the shapes differ or a number is not finite.
    """
    if found.shape != expected.shape:
        return float("nan"), float("nan")
    apart = (found.float() - expected.float()).abs() / expected.float().std()
    if not bool(torch.isfinite(apart).all()):
        return float("nan"), float("nan")
    return apart.mean().item(), apart.max().item()
