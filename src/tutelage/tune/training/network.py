"""From packed documents to losses, for any model; knows neither objective nor method nor transformers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor, nn

from tutelage.models.template import Encoded
from tutelage.tune.training.batches import Packed, pack
from tutelage.tune.training.losses import CrossEntropies, PositionLoss, position_losses


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the network makes of D packed documents at the N positions that predict a target.

    ``states`` are hidden states (N, H), or logits (N, V) where there is no ``head``. ``targets`` int64 (N) are the
    tokens to be predicted, ``owners`` int64 (N) their documents, ascending, of ``documents`` in all. ``picked``: the
    predictions of which these are some, and where they stand there, int64 (N).

    A reward model predicts no tokens, N is 0, and ``rewards`` float32 (D) are what it makes of the documents.
    """

    states: Tensor
    head: nn.Module | None
    targets: Tensor
    owners: Tensor
    documents: int
    picked: "tuple[Predictions, Tensor] | None" = None
    rewards: Tensor | None = None
    _known: dict[float, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def token_losses(self, *, smoothing: float = 0.0) -> Tensor:
        """Return −log p of each target given its own document, float32 (N); ``smoothing`` is that of labels.

        Several objectives that ask for the same share one computation.
        """
        if self.picked is not None:
            whole, places = self.picked
            return whole.token_losses(smoothing=smoothing)[places]
        if smoothing not in self._known:
            self._known[smoothing] = self.losses(CrossEntropies(self.targets, smoothing))
        return self._known[smoothing]

    def losses(self, loss: PositionLoss) -> Tensor:
        """Return what ``loss`` says of the model's logits at each position, float32 (N)."""
        if self.head is not None:
            return position_losses(self.states, loss, head=self.head)
        return loss(self.states.float(), slice(0, len(self.states)))

    def by_document(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` (N) over the targets of each document (D)."""
        return torch.stack([part.sum() for part in torch.split(values, self._sizes())])

    def of(self, first: int, end: int) -> "Predictions":
        """Return those of the documents from ``first`` to before ``end``, which are counted from 0 again."""
        sizes = self._sizes()
        at = slice(sum(sizes[:first]), sum(sizes[:end]))
        return Predictions(
            self.states[at],
            self.head,
            self.targets[at],
            self.owners[at] - first,
            documents=end - first,
            rewards=None if self.rewards is None else self.rewards[first:end],
        )

    def pick(self, documents: Sequence[int]) -> "Predictions":
        """Return those of ``documents``, in that order, counted from 0; what is known of the tokens is shared."""
        if list(documents) == list(range(self.documents)):
            return self
        sizes = self._sizes()
        starts = [0, *accumulate(sizes)]
        places = torch.cat([torch.arange(starts[at], starts[at + 1]) for at in documents]).to(self.targets.device)
        owners = torch.repeat_interleave(torch.arange(len(documents)), torch.tensor([sizes[at] for at in documents]))
        return Predictions(
            self.states[places],
            self.head,
            self.targets[places],
            owners.to(self.targets.device),
            documents=len(documents),
            picked=(self, places),
        )

    def _sizes(self) -> list[int]:
        """How many targets each document has."""
        sizes: list[int] = torch.bincount(self.owners, minlength=self.documents).tolist()
        return sizes


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
    ``virtual`` tokens stand before every document. ``score`` makes rewards, float32 (n), of hidden states (n, H); None:
    the model predicts tokens. ``padding`` is the padding token of a reward model. ``sharded``: its weights are spread
    over processes, which make every pass together.
    """

    hidden: Forward
    logits: Forward
    head: nn.Module | None
    backend: str
    shares: bool
    device: torch.device
    width: int
    virtual: int = 0
    score: Callable[[Tensor], Tensor] | None = None
    padding: int | None = None
    sharded: bool = False

    @property
    def reads(self) -> str:
        """How losses read the output layer: in chunks (``chunked``), as the model computes it (``model``), or as one
        number a document (``reward``)."""
        if self.score is not None:
            return "reward"
        return "model" if self.head is None else "chunked"

    def pack(self, documents: Sequence[Encoded], *, share: bool = True) -> Packed:
        """Lay documents into a row for this model; ``share``: if it can, what they begin with alike stands once."""
        return pack(documents, self.device, share=share and self.shares, virtual=self.virtual, padding=self.padding)

    def predict(self, packed: Packed, *, noise: Sequence[float] = ()) -> Predictions:
        """Run the model once over a packed row.

        ``noise``: α of each document, whose L embeddings of d numbers then get uniform noise of up to α/√(L·d)
        (NEFTune, Jain et al. 2023); drawn from torch's random state, for documents that share no places. Virtual tokens
        are no part of L and get none.
        """
        drawn = self._draw(packed, noise) if any(noise) else None
        if self.score is not None:
            ends = packed.ending(self.hidden(packed, drawn))
            none = packed.targets[:0]
            return Predictions(ends[:0], None, none, none, documents=len(ends), rewards=self.score(ends))
        states = self.logits(packed, drawn) if self.head is None else packed.predicting(self.hidden(packed, drawn))
        return Predictions(states, self.head, packed.targets, packed.owners, documents=len(packed.lengths))

    def _draw(self, packed: Packed, noise: Sequence[float]) -> Tensor:
        assert packed.places is None, "the noise of a place that documents share would be that of none of them"
        own = [n - self.virtual for n in packed.lengths]
        most = [alpha / math.sqrt(n * self.width) for alpha, n in zip(noise, own, strict=True)]
        sizes = torch.repeat_interleave(torch.tensor(most), torch.tensor(packed.lengths)).to(self.device)
        if packed.virtual is not None:
            sizes[packed.virtual] = 0
        return torch.empty(1, len(sizes), self.width, device=self.device).uniform_(-1, 1).mul_(sizes[:, None])
