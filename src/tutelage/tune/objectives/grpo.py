"""Group relative policy optimization, the clipped policy gradient of answers that are compared inside their group.

    −min(ρ·A, clip(ρ, 1 − ε_low, 1 + ε_high)·A) + β·(exp(d) − d − 1)        ρ = p/p_old, d = log p_first − log p

a token of an answer with advantage A (Shao et al. 2024, eq. 3 and 4; ε_high apart from ε_low: Yu et al. 2025, eq. 10).
In the first step on new answers p_old is p itself: ρ = 1, and the gradient is that of REINFORCE with a baseline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tutelage.models.template import Encoded
from tutelage.recipe.grpo import GrpoObjective
from tutelage.tune.objectives.advantages import advantages
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.policy import Answered, Policy, facts_of
from tutelage.tune.rows import Asked
from tutelage.tune.training.losses import CrossEntropies
from tutelage.tune.training.network import Network, Predictions


@dataclass(frozen=True, slots=True)
class Group:
    """What a step computes of the answers to a prompt, and what the loss needs of each of the D documents: advantages
    (D), what a token of it weighs (D), and log p (n) of all tokens when they were sampled and before the first step
    (empty: not needed). ``weight`` is what the whole group adds to the denominator, ``tokens`` its counted tokens."""

    documents: tuple[Encoded, ...]
    advantages: Tensor
    weights: Tensor
    old: Tensor
    first: Tensor
    weight: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Grpo(Objective[Asked]):
    """Rows are prompts. The objective of a step has the groups that stand for its rows, and the ``facts`` to be
    told."""

    section: GrpoObjective
    policy: Policy
    step: int = 0
    groups: Mapping[str, Group] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def updates(self) -> int:
        """How many steps learn from the same answers."""
        return self.section.updates

    def at(self, step: int) -> "Grpo":
        """The objective of a step."""
        return replace(self, step=step)

    def before(self, rows: Sequence[Asked], network: Network, limit: int) -> "Grpo":
        """Let the model answer, or take the answers of the step before."""
        rollout = self.policy.roll(self.step, rows, network, limit)
        groups = {place: group_of(answers, self.section) for place, answers in rollout.groups.items()}
        if not any(group.weight for group in groups.values()):  # all cut off and masked: a loss of zero over any number
            groups = {place: replace(group, weight=1.0) for place, group in groups.items()}
        first = self.step % self.section.updates == 0
        return replace(self, groups=groups, facts=facts_of(rollout, first=first))

    def documents(self, row: Asked) -> tuple[Encoded, ...]:
        """The answers behind their prompt."""
        return self.groups[row.item.id].documents

    def weights(self, row: Asked) -> tuple[float, ...]:
        """Tokens, answers, or answers times the longest there may be: see ``average``."""
        return (self.groups[row.item.id].weight,)

    def cost(self, rows: Sequence[Asked], predictions: Predictions) -> Cost:
        """The sum of the losses; told are the facts, the share of clipped tokens, and the divergence."""
        groups, device = [self.groups[row.item.id] for row in rows], predictions.targets.device
        now = -self._losses(predictions)
        reference = now.detach()
        if self.step % self.updates:
            reference = torch.cat([group.old for group in groups]).to(device)
        gains = torch.cat([group.advantages for group in groups]).to(device)[predictions.owners]
        weights = torch.cat([group.weights for group in groups]).to(device)[predictions.owners]
        ratio = torch.exp(now - reference)
        clipped = ratio.clamp(1 - self.section.clip_low, 1 + self.section.clip_high)
        losses = -torch.min(ratio * gains, clipped * gains)
        counted = (weights > 0).float()
        told = {name: losses.new_tensor(value * len(rows)) for name, value in self.facts.items()}
        tokens = max(1, sum(group.tokens for group in self.groups.values())) / len(self.groups)
        told["clipped"] = ((clipped * gains < ratio * gains).float() * counted).sum() / tokens
        if self.section.kl:
            apart = torch.cat([group.first for group in groups]).to(device) - now
            divergence = torch.exp(apart) - apart - 1
            losses = losses + self.section.kl * divergence
            told["kl"] = (divergence.detach() * counted).sum() / tokens
        return Cost(((losses * weights).sum(),), told)

    def _losses(self, predictions: Predictions) -> Tensor:
        """−log p of each token at the temperature of sampling (N)."""
        if self.section.temperature == 1:
            return predictions.token_losses()
        return predictions.losses(CrossEntropies(predictions.targets, temperature=self.section.temperature))


def group_of(answers: Sequence[Answered], section: GrpoObjective) -> Group:
    """Return what a step computes of the answers to a prompt.

    Answers without a score, and those that were cut off where these are masked, count for nothing. Of those that count,
    an answer with A = 0 has no gradient without a divergence; neither of both is computed.
    """
    rewards = [one.sampled.reward for one in answers]
    known = [math.nan if reward is None else reward for reward in rewards]
    found = advantages(torch.tensor(known, dtype=torch.float64), section.advantage)
    counts = [one.sampled.reward is not None and (one.sampled.ended or section.truncated == "score") for one in answers]
    lengths = [len(one.sampled.tokens) for one in answers]
    match section.average:
        case "token":
            weight = float(sum(length for length, count in zip(lengths, counts, strict=True) if count))
        case "row":
            weight = float(sum(counts))
        case "constant":
            weight = float(sum(counts) * section.max_tokens)
    moving = [at for at, count in enumerate(counts) if count and (section.kl or found[at] != 0)]
    kept = moving or [0]  # a row has a document, whatever it is worth
    each = [(1.0 / lengths[at] if section.average == "row" else 1.0) * counts[at] for at in kept]
    firsts = [first for at in kept if (first := answers[at].first) is not None]
    return Group(
        documents=tuple(answers[at].document for at in kept),
        advantages=found[kept],
        weights=torch.tensor(each, dtype=torch.float32),
        old=torch.cat([answers[at].old for at in kept]),
        first=torch.cat(firsts) if firsts else torch.zeros(0),
        weight=weight,
        tokens=sum(length for length, count in zip(lengths, counts, strict=True) if count),
    )
