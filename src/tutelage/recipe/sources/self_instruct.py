"""Self-Instruct as a source of rows: how the pool grows, what is shown, what is new."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.sources.self_improvement import SelfImprovementSource


class SelfInstructSource(SelfImprovementSource):
    """New tasks after Self-Instruct (Wang et al. 2023): a pool of instructions grows step by step from those of
    experts, each new one is told whether it is classification, gets inputs and outputs, and passes the paper's
    filters."""

    kind: Literal["self_instruct"]

    tasks: int = Field(default=32, ge=1)
    """New instructions wanted a round. Fewer come where ``steps`` are over before."""

    dimension: str = Field(default="utility", min_length=1)
    """The dimension that the rows count for. Nobody checks it; they have no level."""

    shown: int = Field(default=8, ge=1)
    """Instructions shown in each request for new ones, …"""

    generated: int = Field(default=2, ge=0)
    """… of which at most so many were written by the model; the others are of experts."""

    proposals: int = Field(default=8, ge=1)
    """New instructions asked for in one request."""

    prompts: int = Field(default=2, ge=1)
    """Requests of one step at most. They are asked at once, and what they give joins the pool before the next step."""

    steps: int = Field(default=8, ge=1)
    """Steps of a round at most."""

    examples: int = Field(default=4, ge=0)
    """Seed tasks shown when it is told what is classification, half of them classification (where the seeds say it),
    and when inputs and outputs are written, all of the kind in question."""

    instances: int = Field(default=1, ge=1, le=5)
    """Inputs with outputs that are written for each instruction."""

    novelty: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L that an instruction must stay below, to each one in the pool, those of experts included."""

    temperature: float = Field(default=0.7, gt=0)
    """Sampling temperature of new instructions; all else is written greedily."""

    @model_validator(mode="after")
    def _shows_experts(self) -> Self:
        if self.generated >= self.shown:
            raise ValueError(f"generated: at least one of the {self.shown} that are shown is an expert's; take fewer")
        return self
