"""Self-Instruct as a source of rows: how the pool grows, what is shown, what is new."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.sources.bootstrap import BootstrapSource


class SelfInstructSource(BootstrapSource):
    """New tasks after Self-Instruct (Wang et al. 2023): a pool of instructions grows step by step from those of
    experts, each new one is told whether it is classification, gets inputs and outputs, and passes the paper's
    filters."""

    kind: Literal["self_instruct"]

    examples: int = Field(default=4, ge=0)
    """Seed tasks shown when it is told what is classification, half of them classification (where the seeds say it),
    and when inputs and outputs are written, all of the kind in question."""

    instances: int = Field(default=1, ge=1, le=5)
    """Inputs with outputs that are written for each instruction."""

    temperature: float = Field(default=0.7, gt=0)
    """Sampling temperature of new instructions; all else is written greedily."""
