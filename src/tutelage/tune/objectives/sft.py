"""Supervised fine-tuning: L = Σ_r n_r^(−p) Σ_t −log p(target t | row r before it) / Σ_r n_r^(1−p), over the whole step.

n_r are the target tokens of row r. p = 0 averages over tokens, 1 over rows, 1/2 stands between (Chen et al. 2024,
"Expanding Performance Boundaries of Open-Source Multimodal Models": token, sample and square averaging).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.recipe.tune import Average
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Predictions

POWERS: dict[Average, float] = {"token": 0.0, "square": 0.5, "row": 1.0}


@dataclass(frozen=True, slots=True)
class Sft:
    """Whichever micro-batch a row is in, its tokens weigh the same; ``average`` says how much of a long and a short."""

    average: Average = "token"
    label_smoothing: float = 0.0
    noise: float = 0.0

    def documents(self, row: Encoded) -> tuple[Encoded, ...]:
        """The row itself."""
        return (row,)

    def weight(self, row: Encoded) -> float:
        """n^(1−p) of its n target tokens."""
        return float(target_count(row) ** (1 - POWERS[self.average]))

    def loss(self, rows: Sequence[Encoded], predictions: Predictions) -> Tensor:
        """The weighted sum of the negative log-likelihoods, in nats."""
        losses = predictions.token_losses(smoothing=self.label_smoothing)
        if self.average == "token":
            return losses.sum()
        counts = torch.tensor([target_count(row) for row in rows], dtype=losses.dtype, device=losses.device)
        return (losses * counts[predictions.owners] ** -POWERS[self.average]).sum()
