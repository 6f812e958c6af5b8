"""Which weights move: one section for each method, told apart by ``kind``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod

Names = Annotated[tuple[str, ...], Field(min_length=1)]


class LoraMethod(Section):
    """Low-rank adapters, W + (alpha/r)·BA with W frozen (Hu et al. 2021)."""

    kind: Literal["lora"]

    r: int = Field(default=16, ge=1)
    """Rank of the update."""

    alpha: int = Field(default=32, ge=1)
    """Numerator of the scale alpha/r."""

    rslora: bool = False
    """Whether the scale is alpha/√r, which keeps updates of high rank from vanishing (Kalajdzievski 2023)."""

    init: Literal["default", "pissa", "olora"] = "default"
    """Where A and B begin. ``default``: A random, B zero. ``pissa``: at the r largest singular values and vectors of W
    (Meng et al. 2024); ``olora``: at the first r columns and rows of its QR decomposition (Büyükakyüz 2024). The part
    of W that they begin with is taken off again beside them, so W stays as it is, and what is saved is a plain adapter
    of rank 2r."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of the adapter's input while training."""

    targets: Literal["all-linear"] | Names = "all-linear"
    """Which linear layers get an adapter: all but the output layer, or names such as [q_proj, v_proj]."""

    dtype: Literal["auto", "float32"] = "auto"
    """Arithmetic of the adapters: ``auto`` is that of the model (fast; updated through float32 copies)."""

    @model_validator(mode="after")
    def _drops_nothing_of_the_model(self) -> Self:
        if self.dropout and self.init != "default":
            raise ValueError(
                f"dropout: adapters that begin at a part of the weights ({self.init}) would lose some of the model "
                "by it; leave it at 0, or take init: default"
            )
        return self


class DoraMethod(Section):
    """Weight-decomposed low-rank adapters (Liu et al. 2024): m·(W + (alpha/r)·BA)/‖W + (alpha/r)·BA‖, norms by output,
    W frozen: LoRA moves directions, m their lengths. Adapters compute in float32, as the norms need it."""

    kind: Literal["dora"]

    r: int = Field(default=16, ge=1)
    """Rank of the update of directions."""

    alpha: int = Field(default=32, ge=1)
    """Numerator of the scale alpha/r."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of the adapter's input while training."""

    targets: Literal["all-linear"] | Names = "all-linear"
    """Which linear layers get an adapter: all but the output layer, or names such as [q_proj, v_proj]."""


class QloraMethod(Section):
    """LoRA on a base whose linear layers are kept in 4 bits (NF4, Dettmers et al. 2023), for models that do not fit
    into memory otherwise. Needs ``bitsandbytes``. The adapter learns beside the rounded weights, and is scored merged
    into the weights as they came."""

    kind: Literal["qlora"]

    r: int = Field(default=16, ge=1)
    """Rank of the update."""

    alpha: int = Field(default=32, ge=1)
    """Numerator of the scale alpha/r."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of the adapter's input while training."""

    targets: Literal["all-linear"] | Names = "all-linear"
    """Which linear layers get an adapter: all but the output layer, or names such as [q_proj, v_proj]."""


class Ia3Method(Section):
    """Learned factors of inner activations (IA³, Liu et al. 2022): keys, values and what the feed-forward layers pass
    on are multiplied element by element; one number a channel, which begins at 1 and never decays. Wants about ten
    times LoRA's learning rate: its authors took 3e-3."""

    kind: Literal["ia3"]

    targets: Literal["default"] | Names = "default"
    """Which linear layers get factors: what PEFT knows to be right for the architecture, or names such as
    [k_proj, v_proj, down_proj]."""

    feedforward: tuple[str, ...] = ()
    """Those of the named targets whose input is multiplied, not their output; such as [down_proj]."""

    @model_validator(mode="after")
    def _feeds_a_target(self) -> Self:
        others = [name for name in self.feedforward if name not in self.targets or self.targets == "default"]
        if others:
            raise ValueError(
                f"feedforward: {', '.join(others)} is not among the named targets; name it in targets too, or leave "
                "both to the architecture"
            )
        return self


class LastMethod(Section):
    """The last decoder layers move and all below are frozen, so that the way back ends where they begin. Saved as a
    whole model. Wants about a tenth of LoRA's learning rate."""

    kind: Literal["last"]

    layers: int = Field(default=4, ge=1)
    """How many layers, counted from the top."""

    norm: bool = True
    """Whether the norm behind the last layer moves too."""

    head: bool = False
    """Whether the output layer moves too; not where it is the embedding as well, which lies below all layers."""


class FullMethod(Section):
    """Every weight moves. Wants about a tenth of LoRA's learning rate."""

    kind: Literal["full"]


Method = Annotated[
    LoraMethod | DoraMethod | QloraMethod | Ia3Method | LastMethod | FullMethod | PrefixMethod | PromptMethod,
    Field(discriminator="kind"),
]


def saves_whole_model(method: Method) -> bool:
    """Return whether what is saved is a whole model and no adapter beside one."""
    return isinstance(method, FullMethod | LastMethod)


def wants_four_bits(method: Method) -> bool:
    """Return whether the model must be loaded in 4 bits."""
    return isinstance(method, QloraMethod)


def begins_at_zero(method: Method) -> bool:
    """Return whether weights that are trained begin at zero, where steps in proportion to their size lead nowhere."""
    return isinstance(method, DoraMethod | QloraMethod) or (isinstance(method, LoraMethod) and method.init == "default")


def trains_reward_heads(method: Method) -> bool:
    """Return whether a reward model can be tuned so: its new head moves too, and is saved."""
    if isinstance(method, LoraMethod):
        return method.init == "default"
    return isinstance(method, DoraMethod | Ia3Method | FullMethod)


def trains_new_tokens(method: Method) -> bool:
    """Return whether the rows of new tokens learn too; the others freeze the embeddings and save none of their rows."""
    return isinstance(method, LoraMethod | DoraMethod | FullMethod)
