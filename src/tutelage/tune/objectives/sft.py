"""Supervised fine-tuning: L = Σ_r n_r^(−p) Σ_t −log p(target t | row r before it) / Σ_r n_r^(1−p), over the whole step.

n_r are the target tokens of row r. p = 0 averages over tokens, 1 over rows, 1/2 stands between (Chen et al. 2024,
"Expanding Performance Boundaries of Open-Source Multimodal Models": token, sample and square averaging).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tutelage.models.template import Encoded
from tutelage.recipe.objectives import Average
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.rows import Pair
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Predictions

POWERS: dict[Average, float] = {"token": 0.0, "square": 0.5, "row": 1.0}


@dataclass(frozen=True, slots=True)
class Sft(Objective[Encoded | Pair]):
    """Whichever micro-batch a row is in, its tokens weigh the same; ``average`` says how much of a long and a short.

    Of a pair the chosen answer is learned.
    """

    average: Average = "token"
    label_smoothing: float = 0.0
    alpha: float = 0.0
    """Of the noise."""

    @property
    def noise(self) -> float:
        """α of NEFTune."""
        return self.alpha

    def documents(self, row: Encoded | Pair) -> tuple[Encoded, ...]:
        """The row itself, or its chosen answer."""
        return (row.chosen if isinstance(row, Pair) else row,)

    def weights(self, row: Encoded | Pair) -> tuple[float, ...]:
        """n^(1−p) of its n target tokens."""
        (document,) = self.documents(row)
        return (float(target_count(document) ** (1 - POWERS[self.average])),)

    def cost(self, rows: Sequence[Encoded | Pair], predictions: Predictions) -> Cost:
        """The weighted sum of the negative log-likelihoods, in nats."""
        losses = predictions.token_losses(smoothing=self.label_smoothing)
        if self.average == "token":
            return Cost((losses.sum(),))
        counts = torch.bincount(predictions.owners, minlength=len(rows)).to(losses.dtype)
        return Cost(((losses * counts[predictions.owners] ** -POWERS[self.average]).sum(),))
