"""How much better an answer is than others to the same prompt: what takes the place of a learned value function."""

import torch
from torch import Tensor

from tutelage.recipe.grpo import Advantage

EPSILON = 1e-4
"""Beside the standard deviation of a group, as in TRL: rewards that differ by less are taken for nearly equal."""


def advantages(rewards: Tensor, kind: Advantage) -> Tensor:
    """Return A of each answer of a group, float32 (G), of its ``rewards`` (G); NaN is unscored, and has A = 0.

    * ``grpo``: (r − mean)/(std + 1e-4), std with G − 1 below (Shao et al. 2024, §4.1.2)
    * ``dr_grpo``: r − mean (Liu et al. 2025): the std would let the easiest and the hardest prompts count most
    * ``rloo``: r − mean of the others, which is (r − mean)·G/(G − 1) (Ahmadian et al. 2024)

    A group whose scored answers are fewer than two, or have all one reward, tells nothing: A = 0.
    """
    found = torch.zeros(rewards.shape, dtype=torch.float64)
    scored = ~rewards.isnan()
    values = rewards[scored].double()
    count = len(values)
    if count < 2 or values.min() == values.max():
        return found.float()
    apart = values - values.mean()
    match kind:
        case "grpo":
            apart = apart / (values.std() + EPSILON)
        case "rloo":
            apart = apart * count / (count - 1)
        case "dr_grpo":
            pass
    found[scored] = apart
    return found.float()
