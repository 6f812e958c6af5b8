"""From packed documents to losses, for any model; knows neither objective nor method nor transformers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tutelage.tune.training.batches import Packed
from tutelage.tune.training.losses import PositionLoss, cross_entropies, position_losses


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the network makes of a packed row at the N positions that predict a target.

    ``states`` are hidden states (N, H), or logits (N, V) where there is no ``head``. ``targets`` int64 (N) are the
    tokens to be predicted, ``owners`` int64 (N) their documents, ascending.
    """

    states: Tensor
    head: nn.Module | None
    targets: Tensor
    owners: Tensor

    def token_losses(self) -> Tensor:
        """Return −log p of each target given its own document, float32 (N)."""
        return self.losses(cross_entropies(self.targets))

    def losses(self, loss: PositionLoss) -> Tensor:
        """Return what ``loss`` says of the model's logits at each position, float32 (N)."""
        if self.head is not None:
            return position_losses(self.states, loss, head=self.head)
        return loss(self.states.float(), slice(0, len(self.states)))

    def of(self, first: int, end: int) -> "Predictions":
        """Return those of the documents from ``first`` to before ``end``, which are counted from 0 again."""
        bounds = torch.tensor([first, end], device=self.owners.device)
        start, stop = torch.searchsorted(self.owners, bounds).tolist()
        at = slice(start, stop)
        return replace(self, states=self.states[at], targets=self.targets[at], owners=self.owners[at] - first)


@dataclass(frozen=True, slots=True)
class Network:
    """A model as the training step sees it.

    ``hidden`` gives the last hidden states (T, H) of a packed row; ``head`` is the output layer, or None where the
    model does more to its logits than that layer; ``logits`` gives the model's own logits (N, V) of the positions
    that predict targets. ``backend`` names how attention is kept inside documents.
    """

    hidden: Callable[[Packed], Tensor]
    logits: Callable[[Packed], Tensor]
    head: nn.Module | None
    backend: str
    device: torch.device

    def predict(self, packed: Packed) -> Predictions:
        """Run the model once over a packed row."""
        states = self.logits(packed) if self.head is None else self.hidden(packed)[packed.sources]
        return Predictions(states, self.head, packed.targets, packed.owners)
