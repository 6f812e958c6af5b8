"""Which weights move, how they are saved in the ecosystem's format, and how they come back.

| kind | file | moves | saves |
|---|---|---|---|
| ``lora`` | ``lora`` | low-rank adapters | PEFT adapter |
| ``full`` | ``full`` | every weight | Hugging Face folder |
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from torch import nn
from transformers import PreTrainedModel

from tutelage.models.load import Bundle
from tutelage.recipe.tune import FullMethod, LoraMethod
from tutelage.tune.methods.full import tune_fully
from tutelage.tune.methods.lora import add_lora


class Tuned(Protocol):
    """A model some of whose weights move."""

    @property
    def model(self) -> PreTrainedModel:
        """What computes; only the trained weights require a gradient."""
        ...

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The trained weights by name, in a fixed order."""
        ...

    def settle(self) -> None:
        """Training is over: from here on the model computes as the library does that its weights are saved for."""
        ...

    def save(self, folder: Path) -> None:
        """Write the weights into an empty folder, safetensors only."""
        ...

    def reloaded(self, folder: Path) -> AbstractContextManager[PreTrainedModel]:
        """Give a model with the weights of ``folder``, read as any other program would; call it last."""
        ...

    def release(self) -> None:
        """Take out of the model what was put into it; may be called twice."""
        ...


def build_method(section: LoraMethod | FullMethod) -> Callable[[Bundle, int], Tuned]:
    """Return the function that makes the weights of a bundle's model trainable, given a seed."""
    match section:
        case LoraMethod():
            return lambda bundle, seed: add_lora(bundle, section, seed=seed)
        case FullMethod():
            return lambda bundle, seed: tune_fully(bundle)


__all__ = ["Tuned", "build_method"]
