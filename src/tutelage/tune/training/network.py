"""From packed documents to token losses, for any model; knows neither objective nor method nor transformers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tutelage.tune.training.batches import Packed
from tutelage.tune.training.losses import PositionLoss, cross_entropies, position_losses


@dataclass(frozen=True, slots=True)
class Network:
    """A model as the objectives see it.

    ``hidden`` gives the last hidden states (T, H) of a packed row; ``head`` is the output layer, or None where the
    model does more to its logits than that layer; ``logits`` gives the model's own logits (N, V) of the positions
    that predict targets. ``backend`` names how attention is kept inside documents.
    """

    hidden: Callable[[Packed], Tensor]
    logits: Callable[[Packed], Tensor]
    head: nn.Module | None
    backend: str
    device: torch.device

    def token_losses(self, packed: Packed) -> Tensor:
        """Return −log p of each target given its own document, float32 (N), in the order of ``packed.targets``."""
        return self.losses(packed, cross_entropies(packed.targets))

    def losses(self, packed: Packed, loss: PositionLoss) -> Tensor:
        """Return what ``loss`` says of the model's logits at each position that predicts a target, float32 (N)."""
        if self.head is not None:
            return position_losses(self.hidden(packed)[packed.sources], loss, head=self.head)
        logits = self.logits(packed)
        return loss(logits.float(), slice(0, len(logits)))
