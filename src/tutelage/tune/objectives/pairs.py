"""What objectives of pairs have in common: log-probabilities of two answers, and what is told of them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.rows import Pair
from tutelage.tune.training.network import Predictions


@dataclass(frozen=True, slots=True)
class Answers:
    """R answers: the sum of their tokens' log-probabilities in nats, float32 (R), and how many tokens, float32 (R)."""

    logprobs: Tensor
    tokens: Tensor

    @property
    def means(self) -> Tensor:
        """Log-probability of a token on average (R)."""
        return self.logprobs / self.tokens


class OfPairs(Objective[Pair]):
    """An objective whose rows are pairs; one term a row, each row weighs the same."""

    __slots__ = ()

    def documents(self, row: Pair) -> tuple[Encoded, ...]:
        """The chosen answer and the rejected one, each behind the prompt."""
        return (row.chosen, row.rejected)

    def weights(self, row: Pair) -> tuple[float, ...]:
        """One."""
        return (1.0,)

    def cost(self, rows: Sequence[Pair], predictions: Predictions) -> Cost:
        """The losses of the pairs, how many are told apart, and by how much."""
        return self.of_answers(rows, *both_answers(predictions))

    @abstractmethod
    def of_answers(self, rows: Sequence[Pair], chosen: Answers, rejected: Answers) -> Cost:
        """Return what the pairs cost, given their answers."""


def both_answers(predictions: Predictions) -> tuple[Answers, Answers]:
    """Return chosen and rejected answers of documents that alternate."""
    losses = predictions.token_losses()
    sums = -predictions.by_document(losses).view(-1, 2)
    tokens = predictions.by_document(torch.ones_like(losses)).view(-1, 2)
    chosen, rejected = (Answers(sums[:, place], tokens[:, place]) for place in (0, 1))
    return chosen, rejected


def told_of(chosen: Tensor, rejected: Tensor) -> Mapping[str, Tensor]:
    """Return the sums that are told of R pairs with rewards (R): accuracy, margin, and both rewards."""
    won, lost = chosen.detach(), rejected.detach()
    return {
        "accuracy": (won > lost).float().sum(),
        "margin": (won - lost).sum(),
        "chosen": won.sum(),
        "rejected": lost.sum(),
    }
