"""Which weights move, how they are saved in the ecosystem's format, and how they come back.

| kind | file | moves | saves |
|---|---|---|---|
| ``lora`` | ``lora``, ``principal`` | low-rank adapters | PEFT adapter |
| ``dora`` | ``dora`` | low-rank adapters of directions, and lengths | PEFT adapter |
| ``qlora`` | ``qlora`` | low-rank adapters, beside weights of 4 bits | PEFT adapter |
| ``ia3`` | ``ia3`` | factors of inner activations | PEFT adapter |
| ``last`` | ``last`` | the last layers | Hugging Face folder |
| ``full`` | ``full`` | every weight | Hugging Face folder |
| ``prefix`` | ``soft`` | keys and values of virtual tokens before each text | PEFT adapter |
| ``prompt`` | ``soft`` | embeddings of virtual tokens before each text | PEFT adapter |
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from torch import nn
from transformers import PreTrainedModel

from tutelage.models.load import Bundle
from tutelage.recipe.methods import DoraMethod, FullMethod, Ia3Method, LastMethod, LoraMethod, Method, QloraMethod
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.tune.methods.dora import add_dora
from tutelage.tune.methods.full import tune_fully
from tutelage.tune.methods.ia3 import add_ia3
from tutelage.tune.methods.last import tune_last
from tutelage.tune.methods.lora import add_lora
from tutelage.tune.methods.new_rows import require_trained
from tutelage.tune.methods.principal import add_principal_lora
from tutelage.tune.methods.qlora import add_qlora
from tutelage.tune.methods.soft import SoftTuned, add_prefix, add_prompt
from tutelage.tune.training.virtual import Learned


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

    def reloaded(self, folder: Path) -> AbstractContextManager[nn.Module]:
        """Give a model with the weights of ``folder``, read as any other program would; call it last."""
        ...

    def release(self) -> None:
        """Take out of the model what was put into it; may be called twice."""
        ...


def build_method(section: Method) -> Callable[[Bundle, int], Tuned]:
    """Return the function that makes the weights of a bundle's model trainable, given a seed.

    The function raises :class:`TrainingError` where the method would leave new tokens of the bundle untrained.
    """
    make = _maker(section)

    def made(bundle: Bundle, seed: int) -> Tuned:
        require_trained(bundle, section)
        return make(bundle, seed)

    return made


def _maker(section: Method) -> Callable[[Bundle, int], Tuned]:
    match section:
        case LoraMethod(init="default"):
            return lambda bundle, seed: add_lora(bundle, section, seed=seed)
        case LoraMethod():
            return lambda bundle, seed: add_principal_lora(bundle, section, seed=seed)
        case DoraMethod():
            return lambda bundle, seed: add_dora(bundle, section, seed=seed)
        case QloraMethod():
            return lambda bundle, seed: add_qlora(bundle, section, seed=seed)
        case Ia3Method():
            return lambda bundle, seed: add_ia3(bundle, section, seed=seed)
        case LastMethod():
            return lambda bundle, seed: tune_last(bundle, section)
        case FullMethod():
            return lambda bundle, seed: tune_fully(bundle)
        case PrefixMethod():
            return lambda bundle, seed: add_prefix(bundle, section, seed=seed)
        case PromptMethod():
            return lambda bundle, seed: add_prompt(bundle, section, seed=seed)


def learned_before(tuned: Tuned) -> Learned | None:
    """Return what is learned that stands before every text and in no weight of the model; None: nothing is."""
    return tuned.learned if isinstance(tuned, SoftTuned) else None


__all__ = ["Tuned", "build_method", "learned_before", "require_trained"]
