"""LoRA through PEFT: W + (alpha/r)·BA, W frozen, A random from the seed, B zero (Hu et al. 2021)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.recipe.tune import LoraMethod


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
            task_type="CAUSAL_LM",
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
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }

    def save(self, folder: Path) -> None:
        """Write ``adapter_model.safetensors`` and ``adapter_config.json``."""
        assert self._peft is not None
        # "auto" would ask the hub whether the vocabulary has grown.
        self._peft.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)

    @contextmanager
    def reloaded(self, folder: Path) -> Iterator[PreTrainedModel]:
        """Give the base model with the adapter of ``folder``; the trained one is taken out of it first."""
        self.release()
        with quiet():
            again = PeftModel.from_pretrained(self.model, str(folder), autocast_adapter_dtype=not self._keep_dtype)
        try:
            yield self.model
        finally:
            again.unload()

    def release(self) -> None:
        """Take the adapter out of the model."""
        if self._peft is not None:
            self._peft.unload()
            self._peft = None


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
    layers = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    unknown = [name for name in targets if name not in layers]
    if unknown:
        raise TrainingError(
            "no linear layer of the model has this name",
            where="method.targets",
            received=", ".join(unknown),
            remedy=f"choose among {', '.join(sorted(layers))}, or all-linear",
        )
    return list(targets)
