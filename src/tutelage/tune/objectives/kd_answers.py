"""Knowledge distillation from what an endpoint said of its own answers: Σ_t KL(teacher ‖ student) / Σ targets.

Over the likely tokens of each place and all others as one, a lower bound (:mod:`tutelage.tune.divergences`).
Where nothing was said, the token that was written is certain: distillation at sequence level (Kim & Rush 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.tune.divergences import OfLikely
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.rows import Told
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Predictions


@dataclass(frozen=True, slots=True)
class KdAnswers(Objective[Encoded]):
    """Every target weighs the same, whether its distribution is known (:class:`tutelage.tune.rows.Told`) or not."""

    def documents(self, row: Encoded) -> tuple[Encoded, ...]:
        """The row itself."""
        return (row,)

    def weights(self, row: Encoded) -> tuple[float, ...]:
        """Its target tokens."""
        return (float(target_count(row)),)

    def cost(self, rows: Sequence[Encoded], predictions: Predictions) -> Cost:
        """The sum of the divergences, in nats."""
        likely, logprobs = stacked(rows)
        device = predictions.targets.device
        return Cost((predictions.losses(OfLikely(likely.to(device), logprobs.to(device))).sum(),))


def stacked(rows: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Return the likely tokens int64 (N, k) of all targets of ``rows`` and their log-probabilities float32 (N, k), −∞
    where a place has fewer than the longest."""
    said = [(row.likely, row.logprobs) if isinstance(row, Told) else _certain(row) for row in rows]
    width = max(likely.shape[1] for likely, _ in said)
    ids = [np.pad(likely, ((0, 0), (0, width - likely.shape[1]))) for likely, _ in said]
    logprobs = [np.pad(found, ((0, 0), (0, width - found.shape[1])), constant_values=-np.inf) for _, found in said]
    return torch.from_numpy(np.concatenate(ids).astype(np.int64)), torch.from_numpy(np.concatenate(logprobs))


def _certain(row: Encoded) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    written = row.ids[row.targets][:, None]
    return written, np.zeros(written.shape, dtype=np.float32)
