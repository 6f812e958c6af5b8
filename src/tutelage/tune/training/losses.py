"""Losses of selected positions, in chunks: full logits of a batch never exist.

The loss of a position depends on its own hidden state only. So the gradient of every position's loss with respect to
its hidden state can be computed in the forward pass, chunk by chunk, and the backward pass merely scales its rows by
what arrives from above: exact for every objective that is a function of such losses, and one matrix product cheaper
than recomputing logits. (The idea of computing it forward is that of Liger-Kernel, Hsu et al. 2024; row-wise
upstream gradients are why it is kept unsummed here.) It needs a frozen output layer, or one of which only some rows are
trained, whose slopes are kept; where all of it is trained, each chunk is recomputed in the backward pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from tutelage.tune.training.new_rows import rows_of

CHUNK_BYTES = 1 << 26
"""Bytes of the float32 logits of one chunk: 64 MiB, 341 positions of a vocabulary of 49,152."""


class PositionLoss(ABC):
    """What a position costs, of its logits alone."""

    @abstractmethod
    def __call__(self, logits: Tensor, at: slice) -> Tensor:
        """Return the losses (n) of float32 ``logits`` (n, V) of the positions ``at``."""

    def with_slopes(self, logits: Tensor, at: slice) -> tuple[Tensor, Tensor]:
        """Return the losses and their gradients by the logits (n, V); ``logits`` may be used up."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            losses = self(leaf, at)
            (slopes,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), slopes


@dataclass(frozen=True, slots=True)
class CrossEntropies(PositionLoss):
    """The loss (1 − ε)·−log p(target) + ε · mean over the vocabulary of −log p, in nats, for int64 ``targets`` (N); p
    is that of the logits divided by ``temperature``."""

    targets: Tensor
    smoothing: float = 0.0
    temperature: float = 1.0

    def __call__(self, logits: Tensor, at: slice) -> Tensor:
        """Return the losses."""
        logits = logits if self.temperature == 1 else logits / self.temperature
        return cross_entropy(logits, self.targets[at], reduction="none", label_smoothing=self.smoothing)

    def with_slopes(self, logits: Tensor, at: slice) -> tuple[Tensor, Tensor]:
        """Return the losses and p − (1 − ε)·1[target] − ε/V, over the temperature, in the place of ``logits``."""
        targets, smoothing = self.targets[at][:, None], self.smoothing
        if self.temperature != 1:
            logits.div_(self.temperature)
        whole = logits.logsumexp(-1, keepdim=True)
        losses = whole - logits.gather(1, targets)
        if smoothing:
            losses = (1 - smoothing) * losses + smoothing * (whole - logits.mean(-1, keepdim=True))
        slopes = logits.sub_(whole).exp_()
        slopes.scatter_add_(1, targets, torch.full_like(losses, smoothing - 1))
        if smoothing:
            slopes.sub_(smoothing / logits.shape[-1])
        if self.temperature != 1:
            slopes.div_(self.temperature)
        return losses[:, 0], slopes


def position_losses(hidden: Tensor, loss: PositionLoss, *, head: nn.Module) -> Tensor:
    """Return ``loss`` at each position, float32 (N).

    Parameters
    ----------
    hidden: (N, H), the states that predict.
    loss: what a position costs.
    head: the output layer, (n, H) → (n, V); its logits are given to ``loss`` in float32 whatever its arithmetic.
    """
    if not len(hidden):
        return hidden.new_zeros(0, dtype=torch.float32)
    some = rows_of(head)
    trains_head = some is None and any(parameter.requires_grad for parameter in head.parameters())
    if torch.is_grad_enabled() and hidden.requires_grad and not trains_head:
        trained = (None, None) if some is None else (some.rows, some.new)
        return _ForwardGradient.apply(hidden, loss, head, *trained)  # type: ignore[no-untyped-call, no-any-return]
    losses = []
    for at in _chunks(len(hidden), head):
        if torch.is_grad_enabled():
            losses.append(checkpoint(_chunk_losses, hidden[at], loss, at, head, use_reentrant=False))
        else:
            losses.append(_chunk_losses(hidden[at], loss, at, head))
    return torch.cat(losses)


def _chunk_losses(hidden: Tensor, loss: PositionLoss, at: slice, head: nn.Module) -> Tensor:
    return loss(head(hidden).float(), at)


def _chunks(count: int, head: nn.Module) -> Iterator[slice]:
    vocabulary = max(parameter.shape[0] for parameter in head.parameters())
    size = max(1, CHUNK_BYTES // (4 * vocabulary))
    return (slice(start, start + size) for start in range(0, count, size))


class _ForwardGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, loss: PositionLoss, head: nn.Module, rows: Tensor | None, new: Tensor | None
    ) -> Tensor:
        losses: list[Tensor] = []
        gradients: list[Tensor] = []
        kept: list[Tensor] = []  # slopes of the trained rows' logits, (n, k)
        for at in _chunks(len(hidden), head):
            with torch.enable_grad():
                leaf = hidden[at].detach().requires_grad_()
                logits = head(leaf)
            found, slopes = loss.with_slopes(logits.detach().float(), at)
            losses.append(found)
            if new is not None:
                kept.append(slopes[:, new])
            gradients += torch.autograd.grad(logits, leaf, slopes.to(logits.dtype))
        ctx.save_for_backward(torch.cat(gradients), *((hidden, torch.cat(kept)) if kept else ()))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients, *more = ctx.saved_tensors
        above = upstream[0][:, None]
        of_rows = None
        if more:
            hidden, kept = more
            of_rows = (kept * above).to(hidden.dtype).T @ hidden
        return (gradients * above).to(gradients.dtype), None, None, of_rows, None
