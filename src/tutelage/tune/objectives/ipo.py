"""Identity preference optimization: (h − 1/(2τ))², h the difference of both answers' ratios log π − log ref a token.

Azar et al. 2023, eq. 17. The paper writes ratios of whole answers; its authors advise means over tokens, without which
long answers are aimed at the same difference as short ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.models.template import Encoded
from tutelage.tune.objectives.dpo import ratios
from tutelage.tune.objectives.objective import Cost
from tutelage.tune.objectives.pairs import Answers, OfPairs, told_of
from tutelage.tune.reference import Reference
from tutelage.tune.rows import Pair


@dataclass(frozen=True, slots=True)
class Ipo(OfPairs):
    """The reward of an answer is its mean log-probability ratio to the model as it came."""

    reference: Reference
    tau: float = 0.1

    def referred(self, rows: Sequence[Pair]) -> Sequence[Encoded]:
        """Every answer."""
        return [document for row in rows for document in self.documents(row)]

    def of_answers(self, rows: Sequence[Pair], chosen: Answers, rejected: Answers) -> Cost:
        """The sum of the squares; mean ratios are told."""
        won, lost = ratios(rows, chosen, rejected, self.reference)
        won, lost = won / chosen.tokens, lost / rejected.tokens
        return Cost((((won - lost - 1 / (2 * self.tau)) ** 2).sum(),), told_of(won, lost))
