"""Simple preference optimization: −log σ(β·(mean log π_w − mean log π_l) − γ). Meng et al. 2024, eq. 6."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn.functional import logsigmoid

from tutelage.tune.objectives.objective import Cost
from tutelage.tune.objectives.pairs import Answers, OfPairs, told_of
from tutelage.tune.rows import Pair


@dataclass(frozen=True, slots=True)
class Simpo(OfPairs):
    """The reward of an answer is β times its mean log-probability; nothing is referred to."""

    beta: float = 2.0
    gamma: float = 1.0

    def of_answers(self, rows: Sequence[Pair], chosen: Answers, rejected: Answers) -> Cost:
        """The sum of the losses; rewards are told."""
        won, lost = self.beta * chosen.means, self.beta * rejected.means
        return Cost((-logsigmoid(won - lost - self.gamma).sum(),), told_of(won, lost))
