"""When a training that goes wrong is stopped."""

from pydantic import Field

from tutelage.recipe.base import Section


class WatchdogSection(Section):
    """Stops a training that diverges: a running loss far above its best, or exploding gradients, for many steps on
    end. It changes no step; the last checkpoint from before the trouble is kept."""

    rise: float = Field(default=1.0, gt=0)
    """How far the running loss may be above its best, in the loss's own unit (nats a token for sft)."""

    window: int = Field(default=10, ge=1)
    """Steps whose mean is the running loss."""

    gradient: float = Field(default=100.0, gt=1)
    """How many times the median of all norms so far the gradient's norm (before clipping) may be."""

    patience: int = Field(default=20, ge=1)
    """Steps on end with one of both, from which on the training is stopped."""
