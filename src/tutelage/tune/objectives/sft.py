"""Supervised fine-tuning: L = −Σ log p(target | its document before it) / number of targets, over the whole step."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.tune.training.batches import Packed, target_count
from tutelage.tune.training.network import Network


@dataclass(frozen=True, slots=True)
class Sft:
    """Every target token of a step weighs the same, whichever row or micro-batch it is in."""

    def documents(self, row: Encoded) -> tuple[Encoded, ...]:
        """The row itself."""
        return (row,)

    def weight(self, row: Encoded) -> float:
        """Its target tokens."""
        return target_count(row)

    def loss(self, network: Network, rows: Sequence[Encoded], packed: Packed) -> Tensor:
        """The sum of the negative log-likelihoods, in nats."""
        return network.token_losses(packed).sum()
