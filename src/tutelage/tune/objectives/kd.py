"""Knowledge distillation: Σ_t D(teacher(· | before t), student(· | before t)) / Σ targets, over the whole step.

D is the forward or reverse Kullback-Leibler divergence or the generalized Jensen-Shannon divergence between them
(:mod:`tutelage.tune.divergences`); Hinton et al. 2015; GKD, Agarwal et al. 2024. On-policy, the tokens are those that
the student answered before the step, and no gradient goes through their choice (eq. 3 and 4 there).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.own_answers import OwnAnswers, facts_of
from tutelage.tune.reference import key_of
from tutelage.tune.rows import Pair
from tutelage.tune.teacher import Teacher
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.network import Network, Predictions


@dataclass(frozen=True, slots=True)
class Kd(Objective[Encoded | Pair]):
    """Every target weighs the same. Of a pair the chosen answer is learned. The objective of a step has the ``answers``
    of the student that stand for rows, by :func:`key_of` of these, and the ``facts`` to be told of them."""

    teacher: Teacher
    own: OwnAnswers | None = None
    step: int = 0
    answers: Mapping[str, Encoded] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)

    def at(self, step: int) -> "Kd":
        """The objective of a step."""
        return replace(self, step=step)

    def documents(self, row: Encoded | Pair) -> tuple[Encoded, ...]:
        """The row itself, or its chosen answer, or the student's own in the place of that."""
        written = _written(row)
        return (self.answers.get(key_of(written), written) if self.answers else written,)

    def weights(self, row: Encoded | Pair) -> tuple[float, ...]:
        """Its target tokens."""
        (document,) = self.documents(row)
        return (float(target_count(document)),)

    def taught(self, rows: Sequence[Encoded | Pair]) -> Sequence[Encoded]:
        """All of them."""
        return [document for row in rows for document in self.documents(row)]

    def before(self, rows: Sequence[Encoded | Pair], network: Network, limit: int) -> "Kd":
        """Let the student answer where it is asked to, and the teacher look at the rows of the step."""
        ready = self
        if self.own is not None:
            given = self.own.of_step(self.step, [_written(row) for row in rows], network, limit)
            ready = replace(self, answers=given.documents, facts=facts_of(given, rows=len(rows)))
        self.teacher.look(ready.taught(rows), limit)
        return ready

    def cost(self, rows: Sequence[Encoded | Pair], predictions: Predictions) -> Cost:
        """The sum of the divergences, in nats."""
        loss = self.teacher.loss(self.taught(rows), predictions.targets.device)
        total = predictions.losses(loss).sum()
        return Cost((total,), {name: total.new_tensor(value * len(rows)) for name, value in self.facts.items()})


def _written(row: Encoded | Pair) -> Encoded:
    return row.chosen if isinstance(row, Pair) else row
