"""Direct preference optimization: −(1 − ε)·log σ(m) − ε·log σ(−m), m = β·(log π_w/ref_w − log π_l/ref_l).

Rafailov et al. 2023, eq. 7; ε > 0 is conservative DPO (Mitchell 2023). "ref" is the model as it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost
from tutelage.tune.objectives.pairs import Answers, OfPairs, told_of
from tutelage.tune.reference import Reference
from tutelage.tune.rows import Pair


def ratios(rows: Sequence[Pair], chosen: Answers, rejected: Answers, reference: Reference) -> tuple[Tensor, Tensor]:
    """Return log π − log ref of the chosen and of the rejected answers, float32 (R) each."""
    before = reference.of([row.chosen for row in rows], chosen.logprobs)
    other = reference.of([row.rejected for row in rows], rejected.logprobs)
    return chosen.logprobs - before, rejected.logprobs - other


@dataclass(frozen=True, slots=True)
class Dpo(OfPairs):
    """The reward of an answer is β times its log-probability ratio to the model as it came."""

    reference: Reference
    beta: float = 0.1
    smoothing: float = 0.0

    def referred(self, rows: Sequence[Pair]) -> Sequence[Encoded]:
        """Every answer."""
        return [document for row in rows for document in self.documents(row)]

    def of_answers(self, rows: Sequence[Pair], chosen: Answers, rejected: Answers) -> Cost:
        """The sum of the losses; rewards are told."""
        won, lost = (self.beta * ratio for ratio in ratios(rows, chosen, rejected, self.reference))
        margins = won - lost
        losses = -(1 - self.smoothing) * logsigmoid(margins) - self.smoothing * logsigmoid(-margins)
        return Cost((losses.sum(),), told_of(won, lost))
