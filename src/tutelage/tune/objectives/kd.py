"""Knowledge distillation: Σ_t D(teacher(· | before t), student(· | before t)) / Σ targets, over the whole step.

D is the forward or reverse Kullback-Leibler divergence or the generalized Jensen-Shannon divergence between them
(:mod:`tutelage.tune.divergences`); Hinton et al. 2015; GKD, Agarwal et al. 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.rows import Pair
from tutelage.tune.teacher import Teacher
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Network, Predictions


@dataclass(frozen=True, slots=True)
class Kd(Objective[Encoded | Pair]):
    """Every target weighs the same. Of a pair the chosen answer is learned."""

    teacher: Teacher

    def documents(self, row: Encoded | Pair) -> tuple[Encoded, ...]:
        """The row itself, or its chosen answer."""
        return (row.chosen if isinstance(row, Pair) else row,)

    def weights(self, row: Encoded | Pair) -> tuple[float, ...]:
        """Its target tokens."""
        (document,) = self.documents(row)
        return (float(target_count(document)),)

    def taught(self, rows: Sequence[Encoded | Pair]) -> Sequence[Encoded]:
        """All of them."""
        return [document for row in rows for document in self.documents(row)]

    def before(self, rows: Sequence[Encoded | Pair], network: Network, limit: int) -> "Kd":
        """Let the teacher look at the rows of the step."""
        self.teacher.look(self.taught(rows), limit)
        return self

    def cost(self, rows: Sequence[Encoded | Pair], predictions: Predictions) -> Cost:
        """The sum of the divergences, in nats."""
        loss = self.teacher.loss(self.taught(rows), predictions.targets.device)
        return Cost((predictions.losses(loss).sum(),))
