"""LoRA through PEFT: W + (alpha/r)·BA, W frozen, A random from the seed, B zero (Hu et al. 2021)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.rewards import reward_head
from tutelage.recipe.tune import LoraMethod
from tutelage.tune.training.adapted import adapted_linear

ADAPTER = "default"
"""PEFT's name for an adapter that was given none."""


class LoraTuned:
    """A model with one adapter in it. The base is frozen, and is as it came after :meth:`release`."""

    def __init__(self, bundle: Bundle, section: LoraMethod, *, seed: int) -> None:
        self.model: PreTrainedModel = bundle.model
        if any(isinstance(module, BaseTunerLayer) for module in self.model.modules()):
            raise TrainingError("the model has an adapter in it already", remedy="load the base model, or merge first")
        self._keep_dtype = section.dtype == "auto"
        config = LoraConfig(
            r=section.r,
            lora_alpha=section.alpha,
            lora_dropout=section.dropout,
            target_modules=_targets(self.model, section.targets),
            task_type="CAUSAL_LM" if reward_head(self.model) is None else "SEQ_CLS",  # saves the head too
        )
        device = self.model.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), quiet():
            torch.manual_seed(seed)
            # PEFT would make the adapters float32; on a bfloat16 base that costs more time than the base itself.
            self._peft: PeftModel | None = get_peft_model(
                self.model, config, autocast_adapter_dtype=not self._keep_dtype
            )
        if isinstance(config.target_modules, set):  # would be written in the order of hashes, new in every process
            config.target_modules = sorted(config.target_modules)
        shorten(self.model)
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }

    def settle(self) -> None:
        """Give the adapters PEFT's own arithmetic back; in bfloat16 the shorter one rounds otherwise."""
        for module in self.model.modules():
            if isinstance(module, Linear):
                vars(module).pop("forward", None)

    def save(self, folder: Path) -> None:
        """Write ``adapter_model.safetensors`` and ``adapter_config.json``."""
        assert self._peft is not None
        # "auto" would ask the hub whether the vocabulary has grown.
        self._peft.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)

    @contextmanager
    def reloaded(self, folder: Path) -> Iterator[PreTrainedModel]:
        """Give the base model with the adapter of ``folder``; the trained one is taken out of it first.

        Raises
        ------
        TrainingError: the folder lacks the head of a reward model.
        """
        self.release()
        head = reward_head(self.model)
        for weight in () if head is None else head.parameters():  # PEFT leaves the trained one in its place
            nn.init.constant_(weight, math.nan)
        try:
            with quiet():
                again = PeftModel.from_pretrained(self.model, str(folder), autocast_adapter_dtype=not self._keep_dtype)
        except KeyError as error:
            raise TrainingError(
                "a weight is missing from what was saved",
                where=str(folder),
                received=f"no {error}",
                remedy="report this with the recipe; the last checkpoint is kept",
            ) from error
        try:
            yield self.model
        finally:
            again.unload()

    def release(self) -> None:
        """Take the adapter out of the model."""
        if self._peft is not None:
            self._peft.unload()
            self._peft = None


def shorten(model: nn.Module) -> int:
    """Let every plain adapter of ``model`` be computed by :func:`adapted_linear`; return how many there are.

    The layers stay PEFT's, and one that is switched off, merged or joined by another adapter computes as PEFT does. Not
    plain are adapters with dropout, bias, another arithmetic than their layer's, or a variant of LoRA.
    """
    plain = [module for module in model.modules() if isinstance(module, Linear) and _is_plain(module)]
    for module in plain:
        module.forward = partial(_forward, module)  # type: ignore[method-assign]
    return len(plain)


def _is_plain(module: Linear) -> bool:
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


def _forward(module: Linear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if args or kwargs or module.disable_adapters or module.merged or list(module.active_adapters) != [ADAPTER]:
        whole: Tensor = type(module).forward(module, x, *args, **kwargs)
        return whole
    base, a, b = module.base_layer, module.lora_A[ADAPTER], module.lora_B[ADAPTER]
    assert isinstance(base, nn.Linear)
    assert isinstance(a, nn.Linear)
    assert isinstance(b, nn.Linear)
    return adapted_linear(x, base.weight, base.bias, a.weight, b.weight, module.scaling[ADAPTER])


def add_lora(bundle: Bundle, section: LoraMethod, *, seed: int) -> LoraTuned:
    """Put a trainable adapter into the bundle's model.

    Raises
    ------
    TrainingError: a name of ``targets`` is no linear layer of the model, or there is an adapter already.
    """
    return LoraTuned(bundle, section, seed=seed)


def _targets(model: PreTrainedModel, targets: str | tuple[str, ...]) -> str | list[str]:
    if isinstance(targets, str):
        return targets
    head = reward_head(model)
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head)
    layers = {name.rsplit(".", 1)[-1] for name in linear}
    unknown = [name for name in targets if name not in layers]
    if unknown:
        raise TrainingError(
            "no linear layer of the model has this name",
            where="method.targets",
            received=", ".join(unknown),
            remedy=f"choose among {', '.join(sorted(layers))}, or all-linear",
        )
    return list(targets)
