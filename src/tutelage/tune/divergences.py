"""Divergences between what is expected at a position and what the model at hand says there, as losses of positions.

Gradients are written in closed form, in the place of the logits where that is possible: autograd makes a copy of n × V
numbers for every operation.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from tutelage.tune.training.losses import PositionLoss

LEAST = 1e-6
"""Least probability of all other tokens together, so that its logarithm is finite."""


class OfLikely(PositionLoss):
    """The loss KL(expected ‖ now) in nats, over each of the ``likely`` tokens (N, k) and all others as one.

    That is a lower bound of the divergence over all tokens (information processing inequality). ``logprobs`` (N, k) are
    the expected ones of the likely tokens, −∞ where a position has fewer than k: what stands there counts as nothing.
    What the model says is that of its logits / ``temperature``.
    """

    def __init__(self, likely: Tensor, logprobs: Tensor, *, temperature: float = 1.0) -> None:
        self.likely, self.logprobs, self.temperature = likely, logprobs, temperature
        self.absent = logprobs.isneginf() if logprobs.isneginf().any() else None
        self.expected = logprobs.exp()
        self.others = (1 - self.expected.sum(-1)).clamp_min(LEAST)

    def __call__(self, logits: Tensor, at: slice) -> Tensor:
        """Return the losses."""
        logits = logits / self.temperature
        return self._losses(self._now(logits, logits.logsumexp(-1, keepdim=True), at), at)

    def with_slopes(self, logits: Tensor, at: slice) -> tuple[Tensor, Tensor]:
        """Return the losses and their gradients in the place of ``logits``.

        With p expected and q now, Q = Σ q and o = 1 − Σ p over the likely tokens, by the logit of token j:
        q_j·(Σ p − o·Q/(1 − Q)), and for a likely one − p_j + o·q_j/(1 − Q) besides; where 1 − Q is at its least, the
        loss of all others does not move and o counts as 0.
        """
        likely, expected = self.likely[at], self.expected[at]
        if self.temperature != 1:
            logits.div_(self.temperature)
        whole = logits.logsumexp(-1, keepdim=True)
        now = self._now(logits, whole, at)
        q = now.exp()
        taken = q.sum(-1, keepdim=True)
        ratio = torch.where(taken < 1 - LEAST, self.others[at][:, None] / (1 - taken), 0.0)
        slopes = logits.sub_(whole).exp_().mul_(expected.sum(-1, keepdim=True) - ratio * taken)
        slopes.scatter_add_(1, likely, ratio * q - expected)
        if self.temperature != 1:
            slopes.div_(self.temperature)
        return self._losses(now, at), slopes

    def _now(self, logits: Tensor, whole: Tensor, at: slice) -> Tensor:
        """What the model says of the likely tokens (n, k)."""
        now = logits.gather(1, self.likely[at]) - whole
        return now if self.absent is None else now.masked_fill(self.absent[at], -torch.inf)

    def _losses(self, now: Tensor, at: slice) -> Tensor:
        rest = torch.log1p(-now.exp().sum(-1).clamp_max(1 - LEAST))
        others, apart = self.others[at], self.logprobs[at] - now
        if self.absent is not None:
            apart = apart.masked_fill(self.absent[at], 0.0)  # −∞ less −∞
        return (self.expected[at] * apart).sum(-1) + others * (others.log() - rest)


class OfWhole(PositionLoss):
    """The divergence between the whole distributions of a teacher and of the model, in nats, at one temperature.

    With t the teacher's and s the model's: ``forward`` KL(t ‖ s), ``reverse`` KL(s ‖ t), ``jsd``
    β·KL(t ‖ m) + (1 − β)·KL(s ‖ m) with m = β·t + (1 − β)·s (GKD, Agarwal et al. 2024, eq. 1). ``states`` (N, H) are
    the teacher's hidden states and ``head`` its output layer, or its logits (N, V) and None.
    """

    def __init__(
        self,
        states: Tensor,
        head: nn.Module | None,
        *,
        divergence: Literal["forward", "reverse", "jsd"] = "forward",
        beta: float = 0.5,
        temperature: float = 1.0,
    ) -> None:
        self.states, self.head = states, head
        self.divergence, self.beta, self.temperature = divergence, beta, temperature

    def __call__(self, logits: Tensor, at: slice) -> Tensor:
        """Return the losses."""
        now, taught = (logits / self.temperature).log_softmax(-1), self._taught(at)
        match self.divergence:
            case "forward":
                return (taught.exp() * (taught - now)).sum(-1)
            case "reverse":
                return (now.exp() * (now - taught)).sum(-1)
            case "jsd":
                mixture = self._mixture(now, taught)
                of_teacher, of_student = ((p.exp() * (p - mixture)).sum(-1) for p in (taught, now))
                return self.beta * of_teacher + (1 - self.beta) * of_student

    def with_slopes(self, logits: Tensor, at: slice) -> tuple[Tensor, Tensor]:
        """Return the losses and their gradients by the logits.

        By logit j, times the temperature: s_j − t_j for ``forward``, else s_j·(g_j − Σ s·g), where g = log(s/t) for
        ``reverse`` and (1 − β)·log(s/m) for ``jsd``.
        """
        now, taught = (logits / self.temperature).log_softmax(-1), self._taught(at)
        student = now.exp()
        if self.divergence == "forward":
            teacher = taught.exp()
            losses = (teacher * (taught - now)).sum(-1)
            return losses, student.sub_(teacher).div_(self.temperature)
        if self.divergence == "reverse":
            moving = now.sub_(taught)
            losses = mean = (student * moving).sum(-1)
        else:
            mixture = self._mixture(now, taught)
            of_teacher = (taught.exp() * (taught - mixture)).sum(-1)
            moving = now.sub_(mixture).mul_(1 - self.beta)
            mean = (student * moving).sum(-1)
            losses = self.beta * of_teacher + mean
        return losses, student.mul_(moving.sub_(mean[:, None])).div_(self.temperature)

    @torch.no_grad()
    def _taught(self, at: slice) -> Tensor:
        """Log-probabilities of the teacher (n, V), float32."""
        states = self.states[at]
        logits = (states if self.head is None else self.head(states)).float()
        taught: Tensor = (logits / self.temperature).log_softmax(-1)
        return taught

    def _mixture(self, now: Tensor, taught: Tensor) -> Tensor:
        return torch.logaddexp(now + math.log1p(-self.beta), taught + math.log(self.beta))
