"""Cross-entropy of selected positions, in chunks: full logits of a batch never exist.

The loss of a position depends on its own hidden state only. So the gradient of every position's loss with respect to
its hidden state can be computed in the forward pass, chunk by chunk, and the backward pass merely scales its rows by
what arrives from above: exact for every objective that is a function of token losses, and one matrix product cheaper
than recomputing logits. (The idea of computing it forward is that of Liger-Kernel, Hsu et al. 2024; row-wise
upstream gradients are why it is kept unsummed here.) It needs a frozen output layer; where that one is trained too,
each chunk is recomputed in the backward pass.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

CHUNK_BYTES = 1 << 26
"""Bytes of the float32 logits of one chunk: 64 MiB, 341 positions of a vocabulary of 49,152."""


def token_losses(hidden: Tensor, targets: Tensor, *, head: nn.Module) -> Tensor:
    """Return −log p(target) of each position in nats, float32 (N).

    Parameters
    ----------
    hidden: (N, H), the states that predict ``targets``.
    targets: int64 (N).
    head: the output layer, (n, H) → (n, V); the softmax is taken in float32 whatever its arithmetic.
    """
    if not len(targets):
        return hidden.new_zeros(0, dtype=torch.float32)
    trains_head = any(parameter.requires_grad for parameter in head.parameters())
    if torch.is_grad_enabled() and hidden.requires_grad and not trains_head:
        return _ForwardGradient.apply(hidden, targets, head)  # type: ignore[no-untyped-call, no-any-return]
    losses = []
    for part, wanted in _chunks(hidden, targets, head):
        if torch.is_grad_enabled():
            losses.append(checkpoint(_chunk_losses, part, wanted, head, use_reentrant=False))
        else:
            losses.append(_chunk_losses(part, wanted, head))
    return torch.cat(losses)


def _chunk_losses(hidden: Tensor, targets: Tensor, head: nn.Module) -> Tensor:
    return cross_entropy(head(hidden).float(), targets, reduction="none")


def _chunks(hidden: Tensor, targets: Tensor, head: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    vocabulary = next(head.parameters()).shape[0]
    size = max(1, CHUNK_BYTES // (4 * vocabulary))
    return zip(torch.split(hidden, size), torch.split(targets, size), strict=True)


class _ForwardGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: nn.Module) -> Tensor:
        losses, gradients = [], []
        for part, wanted in _chunks(hidden, targets, head):
            with torch.enable_grad():
                leaf = part.detach().requires_grad_()
                loss = _chunk_losses(leaf, wanted, head)
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
            losses.append(loss.detach())
            gradients.append(gradient)
        ctx.save_for_backward(torch.cat(gradients))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradients,) = ctx.saved_tensors
        return (gradients * upstream[0][:, None]).to(gradients.dtype), None, None
