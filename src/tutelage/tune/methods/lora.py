"""LoRA through PEFT: W + s·BA, W frozen, A random from the seed, B zero (Hu et al. 2021).

The scale s is alpha/r, or alpha/√r (rsLoRA, Kalajdzievski 2023). Adapters that begin elsewhere: ``principal``.
"""

from functools import partial

from peft import LoraConfig
from peft.tuners.lora import Linear
from peft.utils import transpose
from torch import Tensor, nn
from transformers import PreTrainedModel

from tutelage.models.load import Bundle
from tutelage.recipe.methods import LoraMethod
from tutelage.tune.methods.adapter import ADAPTER, AdapterTuned, named_layers
from tutelage.tune.training.adapted import KnownForward, Parts


class LoraTuned(AdapterTuned):
    """A model with a LoRA adapter in it, which is computed the short way until :meth:`settle`."""

    def __init__(self, bundle: Bundle, section: LoraMethod, *, seed: int) -> None:
        config = LoraConfig(
            r=section.r,
            lora_alpha=section.alpha,
            use_rslora=section.rslora,
            lora_dropout=section.dropout,
            target_modules=lora_targets(bundle.model, section.targets),
        )
        # PEFT would make the adapters float32; on a bfloat16 base that costs more time than the base itself.
        super().__init__(bundle, config, seed=seed, keep_dtype=section.dtype == "auto")
        shorten(self.model)

    def settle(self) -> None:
        """Give the adapters PEFT's own arithmetic back; in bfloat16 the shorter one rounds otherwise."""
        super().settle()
        for module in self.model.modules():
            if isinstance(module, Linear):
                vars(module).pop("forward", None)


def shorten(model: nn.Module) -> int:
    """Let every plain adapter of ``model`` be computed by :mod:`tutelage.tune.training.adapted`; return how many.

    The layers stay PEFT's, and one that is switched off, merged or joined by another adapter computes as PEFT does.
    """
    plain = [module for module in model.modules() if isinstance(module, Linear) and is_plain(module)]
    for module in plain:
        module.forward = KnownForward(module, partial(_parts, module))  # type: ignore[method-assign]
    return len(plain)


def is_plain(module: Linear) -> bool:
    """Return whether :mod:`tutelage.tune.training.adapted` computes the layer.

    It does not where there is dropout, a bias of the adapter, another arithmetic than the layer's, or a variant of
    LoRA.
    """
    if ADAPTER not in module.lora_A:
        return False
    a, b = module.lora_A[ADAPTER], module.lora_B[ADAPTER]
    base = module.base_layer
    return (
        type(base) is nn.Linear
        and isinstance(a, nn.Linear)
        and isinstance(b, nn.Linear)
        and a.bias is b.bias is None
        and a.weight.dtype == b.weight.dtype == base.weight.dtype
        and not any(parameter.requires_grad for parameter in base.parameters())
        and isinstance(module.lora_dropout[ADAPTER], nn.Identity)
        and not module.lora_variant
    )


def base_weight(module: Linear) -> Tensor:
    """Return the frozen weight (out, in) in float32, whichever way round its layer keeps it."""
    weight = module.get_base_layer().weight
    assert isinstance(weight, Tensor)
    whole: Tensor = transpose(weight.detach().float(), module.fan_in_fan_out)
    return whole


def _parts(module: Linear) -> Parts | None:
    if module.disable_adapters or module.merged or list(module.active_adapters) != [ADAPTER]:
        return None
    base, a, b = module.base_layer, module.lora_A[ADAPTER], module.lora_B[ADAPTER]
    assert isinstance(base, nn.Linear)
    assert isinstance(a, nn.Linear)
    assert isinstance(b, nn.Linear)
    return Parts(base.weight, base.bias, a.weight, b.weight, module.scaling[ADAPTER])


def add_lora(bundle: Bundle, section: LoraMethod, *, seed: int) -> LoraTuned:
    """Put a trainable adapter into the bundle's model.

    Raises
    ------
    TrainingError: a name of ``targets`` is no linear layer of the model, or there is an adapter already.
    """
    return LoraTuned(bundle, section, seed=seed)


def lora_targets(model: PreTrainedModel, targets: str | tuple[str, ...]) -> str | list[str]:
    """Return the target modules of PEFT's configuration. Raises :class:`TrainingError` for a name that is none."""
    return targets if isinstance(targets, str) else named_layers(model, targets)
