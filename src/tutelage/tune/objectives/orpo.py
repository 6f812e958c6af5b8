"""Odds ratio preference optimization: cross-entropy of the chosen answers − λ·log σ(log odds_w − log odds_l).

Hong et al. 2024, eq. 4 to 7; odds = P / (1 − P), P an answer's mean token probability exp(mean log π). The first term
is averaged over the step's target tokens, as in supervised tuning, the second over its pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tutelage.tune.objectives.objective import Cost
from tutelage.tune.objectives.pairs import Answers, OfPairs, told_of
from tutelage.tune.rows import Pair
from tutelage.tune.training.batches import target_count

LARGEST = -1e-7
"""Log-probability from which on an answer counts as certain, so that its odds are finite."""


@dataclass(frozen=True, slots=True)
class Orpo(OfPairs):
    """Two terms: what supervised tuning minimizes, and the odds ratio with ``weight``; nothing is referred to."""

    weight: float = 0.1

    @property
    def scales(self) -> tuple[float, ...]:
        """1 and λ."""
        return (1.0, self.weight)

    def weights(self, row: Pair) -> tuple[float, ...]:
        """The chosen answer's tokens, and one."""
        return (float(target_count(row.chosen)), 1.0)

    def of_answers(self, rows: Sequence[Pair], chosen: Answers, rejected: Answers) -> Cost:
        """Negative log-likelihoods of the chosen answers, and losses of the odds ratios; log odds are told."""
        won, lost = log_odds(chosen.means), log_odds(rejected.means)
        return Cost((-chosen.logprobs.sum(), -logsigmoid(won - lost).sum()), told_of(won, lost))


def log_odds(logprobs: Tensor) -> Tensor:
    """Return log(p / (1 − p)) for log p (R)."""
    logprobs = logprobs.clamp_max(LARGEST)
    return logprobs - torch.log(-torch.expm1(logprobs))
