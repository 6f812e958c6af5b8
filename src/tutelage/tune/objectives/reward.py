"""Reward model: −log σ(r_w − r_l − m) + c·(r_w + r_l)², r the reward of an answer behind its prompt.

Bradley & Terry 1952, as Ouyang et al. 2022, eq. 1, have it, every pair by itself. Margin m: Touvron et al. 2023
(Llama 2), eq. 2; a constant, and besides it what a row says. c centers rewards around 0, which differences alone leave
open (Eisenstein et al. 2023; TRL's ``center_rewards_coefficient``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn.functional import logsigmoid

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.objectives.pairs import told_of
from tutelage.tune.rows import Pair
from tutelage.tune.training.network import Predictions


@dataclass(frozen=True, slots=True)
class Reward(Objective[Pair]):
    """Rewards are read at the end of each answer; the model predicts no token."""

    margin: float = 0.0
    center: float = 0.0

    def documents(self, row: Pair) -> tuple[Encoded, ...]:
        """The chosen answer and the rejected one, each behind the prompt."""
        return (row.chosen, row.rejected)

    def weights(self, row: Pair) -> tuple[float, ...]:
        """One."""
        return (1.0,)

    def cost(self, rows: Sequence[Pair], predictions: Predictions) -> Cost:
        """The sum of the losses; rewards are told, and the margin between them without m."""
        assert predictions.rewards is not None, "only a reward model has rewards"
        won, lost = predictions.rewards.view(-1, 2).unbind(1)
        margins = won.new_tensor([self.margin + row.margin for row in rows])
        losses = -logsigmoid(won - lost - margins) + self.center * (won + lost) ** 2
        return Cost((losses.sum(),), told_of(won, lost))
