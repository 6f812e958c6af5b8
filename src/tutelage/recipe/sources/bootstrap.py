"""What sources have in common whose instructions grow step by step from those of experts, after Self-Instruct."""

from typing import Self

from pydantic import Field, model_validator

from tutelage.recipe.sources.self_improvement import SelfImprovementSource


class BootstrapSource(SelfImprovementSource):
    """A pool of instructions that grows from those of experts."""

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

    novelty: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L that an instruction must stay below, to each one in the pool, those of experts included."""

    @model_validator(mode="after")
    def _shows_experts(self) -> Self:
        if self.generated >= self.shown:
            raise ValueError(f"generated: at least one of the {self.shown} that are shown is an expert's; take fewer")
        return self
