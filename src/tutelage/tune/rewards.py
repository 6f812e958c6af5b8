"""Rewards of documents, read from a reward model without a gradient."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.tune.training.network import Network
from tutelage.tune.training.parts import in_parts


def rewards_of(
    documents: Sequence[Encoded], network: Network, limit: int
) -> Iterator[tuple[Sequence[Encoded], Tensor]]:
    """Yield documents and the reward of each, float32, ``limit`` tokens at once; in order."""

    @torch.no_grad()
    def compute(part: Sequence[Encoded]) -> Tensor:
        rewards = network.predict(network.pack(part)).rewards
        assert rewards is not None, "only a reward model has rewards"
        return rewards

    return in_parts(documents, limit, compute)
