"""Reinforcement learning with verifiable rewards: the section of its objective."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tutelage.recipe.base import Section
from tutelage.records.base import Level, RowKind

Advantage = Literal["grpo", "dr_grpo", "rloo"]


class GrpoObjective(Section):
    """Group relative policy optimization (Shao et al. 2024, eq. 3 and 4): the model answers prompts of the recipe's
    tasks several times, each answer is scored by its task's check, and those above the average of their group get
    likelier. −min(ρ·A, clip(ρ, 1 − clip_low, 1 + clip_high)·A) + kl·k3 a token, where ρ is its probability over that at
    sampling. The defaults are those of DAPO (Yu et al. 2025). Wants a tenth or less of supervised tuning's learning
    rate. A step takes ``batch_size`` prompts."""

    rows: ClassVar[RowKind] = "prompts"

    kind: Literal["grpo"]

    prompts: int = Field(default=64, ge=1)
    """Prompts of the train split, of each level of each task."""

    levels: Annotated[tuple[Level, ...], Field(min_length=1)] | None = None
    """Which levels are asked; null: all that the tasks have."""

    group: int = Field(default=8, ge=2)
    """Answers to each prompt."""

    max_tokens: int = Field(default=128, ge=1)
    """Longest answer. Prompt and answer together fit into ``tune.max_tokens``."""

    temperature: float = Field(default=1.0, gt=0)
    """Answers are drawn from the whole distribution of the logits divided by this, and learned under the same; nothing
    is filtered (top-k, top-p), for the probabilities would be others than those that are learned."""

    advantage: Advantage = "grpo"
    """A of an answer with reward r: ``grpo`` is (r − mean)/(std + 1e-4) over its group; ``dr_grpo`` is r − mean (Liu et
    al. 2025); ``rloo`` is r less the mean of the others (Ahmadian et al. 2024)."""

    average: Literal["token", "row", "constant"] = "token"
    """What weighs the same: every token of the step (DAPO), every answer (GRPO), or a token whatever the length of the
    answers, Σ / (answers · max_tokens) (Dr. GRPO)."""

    clip_low: float = Field(default=0.2, ge=0, lt=1)
    """ε below 1: how far a token's probability may fall before it is no longer pushed."""

    clip_high: float = Field(default=0.28, ge=0)
    """ε above 1: how far it may rise. More than ``clip_low`` keeps rare tokens in play (DAPO)."""

    kl: float = Field(default=0.0, ge=0)
    """β of the divergence from the model before the first step, k3 = exp(d) − d − 1 with d = log p_first − log p."""

    updates: int = Field(default=1, ge=1)
    """Optimizer steps on the same answers; only with more than one can anything be clipped."""

    dynamic_sampling: int = Field(default=0, ge=0)
    """How often groups whose rewards are all equal, of which nothing can be learned, are replaced by those of other
    prompts before a step (DAPO); 0: never. What then still tells nothing stays."""

    truncated: Literal["score", "mask"] = "score"
    """Answers cut off at ``max_tokens``: ``score`` learns from them by what their check says; ``mask`` leaves them out
    of the loss (DAPO's overlong filtering), while their reward stays in the average of their group."""

    answers_at_once: int = Field(default=64, ge=1)
    """Answers that are decoded at a time."""
