"""From packed documents to losses, for any model; knows neither objective nor method nor transformers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from tutelage.models.template import Encoded
from tutelage.tune.training.batches import Packed, pack
from tutelage.tune.training.losses import CrossEntropies, PositionLoss, position_losses


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

    def token_losses(self, *, smoothing: float = 0.0) -> Tensor:
        """Return −log p of each target given its own document, float32 (N); ``smoothing`` is that of labels."""
        return self.losses(CrossEntropies(self.targets, smoothing))

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


class Forward(Protocol):
    """A pass of the model over a packed row, to whose embeddings ``noise`` of shape (1, T, width) may be added."""

    def __call__(self, packed: Packed, noise: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Network:
    """A model as the training step sees it.

    ``hidden`` gives the last hidden states (T, H) of a packed row; ``head`` is the output layer, or None where the
    model does more to its logits than that layer; ``logits`` gives the model's own logits (N, V) of the positions
    that predict targets. ``backend`` names how attention is kept inside documents; ``shares``: whether it also keeps
    apart documents that share the places of what they begin with alike. ``width`` is that of the embeddings.
    """

    hidden: Forward
    logits: Forward
    head: nn.Module | None
    backend: str
    shares: bool
    device: torch.device
    width: int

    def pack(self, documents: Sequence[Encoded], *, share: bool = True) -> Packed:
        """Lay documents into a row for this model; ``share``: if it can, what they begin with alike stands once."""
        return pack(documents, self.device, share=share and self.shares)

    def predict(self, packed: Packed, *, noise: Sequence[float] = ()) -> Predictions:
        """Run the model once over a packed row.

        ``noise``: α of each document, whose L embeddings of d numbers then get uniform noise of up to α/√(L·d)
        (NEFTune, Jain et al. 2023); drawn from torch's random state, for documents that share no places.
        """
        drawn = self._draw(packed, noise) if any(noise) else None
        if self.head is None:
            return Predictions(self.logits(packed, drawn), None, packed.targets, packed.owners)
        states = packed.predicting(self.hidden(packed, drawn))
        return Predictions(states, self.head, packed.targets, packed.owners)

    def _draw(self, packed: Packed, noise: Sequence[float]) -> Tensor:
        assert packed.places is None, "the noise of a place that documents share would be that of none of them"
        most = [alpha / math.sqrt(n * self.width) for alpha, n in zip(noise, packed.lengths, strict=True)]
        sizes = torch.repeat_interleave(torch.tensor(most), torch.tensor(packed.lengths)).to(self.device)
        return torch.empty(1, len(sizes), self.width, device=self.device).uniform_(-1, 1).mul_(sizes[:, None])
