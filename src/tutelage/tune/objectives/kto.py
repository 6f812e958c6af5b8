"""Kahneman-Tversky optimization: λ_D·(1 − σ(β·(r − z))) for answers that are wanted, λ_U·(1 − σ(β·(z − r))) for others.

Ethayarajh et al. 2024, eq. 8. r = log π − log ref of an answer; z ≥ 0 is the mean of the same for the step's answers
behind the question of the next row, which estimates how far the model has come from the one it started as; no gradient
goes through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.reference import Reference, logprobs_of
from tutelage.tune.rows import Rated
from tutelage.tune.training.network import Network, Predictions


@dataclass(frozen=True, slots=True)
class Kto(Objective[Rated]):
    """``baseline`` is z, of the step at hand."""

    reference: Reference
    beta: float = 0.1
    wanted: float = 1.0
    unwanted: float = 1.0
    longest: int | None = None
    """Tokens to which an answer behind another question is cut; None: whole."""
    baseline: float = 0.0

    def documents(self, row: Rated) -> tuple[Encoded, ...]:
        """The answer behind its prompt."""
        return (row.answer,)

    def weights(self, row: Rated) -> tuple[float, ...]:
        """One: λ weighs the loss and not its denominator."""
        return (1.0,)

    def referred(self, rows: Sequence[Rated]) -> Sequence[Encoded]:
        """The answers, behind their own question and behind another."""
        return [*(row.answer for row in rows), *mismatched(rows, self.longest)]

    def before(self, rows: Sequence[Rated], network: Network, limit: int) -> "Kto":
        """Return the objective with the baseline of the step."""
        others = mismatched(rows, self.longest)
        if not others:
            return replace(self, baseline=0.0)
        now = torch.cat([found for _, found in logprobs_of(others, network, limit)])
        return replace(self, baseline=max(0.0, (now - self.reference.of(others, now)).mean().item()))

    def cost(self, rows: Sequence[Rated], predictions: Predictions) -> Cost:
        """The sum of the losses; told: how many are on their side of the baseline, how far, and where it is."""
        now = -predictions.by_document(predictions.token_losses())
        ratios = now - self.reference.of([row.answer for row in rows], now)
        signs = now.new_tensor([1.0 if row.wanted else -1.0 for row in rows])
        weights = now.new_tensor([self.wanted if row.wanted else self.unwanted for row in rows])
        apart = signs * (ratios - self.baseline)
        losses = weights * (1 - torch.sigmoid(self.beta * apart))
        told = {
            "accuracy": (apart.detach() > 0).float().sum(),
            "margin": (self.beta * apart.detach()).sum(),
            "baseline": torch.full_like(now.detach(), self.baseline).sum(),
        }
        return Cost((losses.sum(),), told)


def mismatched(rows: Sequence[Rated], longest: int | None = None) -> list[Encoded]:
    """Return the answer of each row behind the question of the next, the last one's behind the first; none of one."""
    if len(rows) < 2:
        return []
    others = [*rows[1:], rows[0]]
    return [_behind(row.answer, other.answer, longest) for row, other in zip(rows, others, strict=True)]


def _behind(answer: Encoded, other: Encoded, longest: int | None) -> Encoded:
    """The targets of ``answer`` and what stands between them, behind the prompt of ``other``; ``longest`` in all."""
    begin, end = int(answer.targets.argmax()), len(answer) - int(answer.targets[::-1].argmax())
    prompt = int(other.targets.argmax())
    return Encoded(
        ids=np.concatenate([other.ids[:prompt], answer.ids[begin:end]])[:longest],
        targets=np.concatenate([other.targets[:prompt], answer.targets[begin:end]])[:longest],
    )
