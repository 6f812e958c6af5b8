"""What PEFT's adapters of linear layers have in common: how they get into a model, into a folder, and out again."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.rewards import reward_head
from tutelage.tune.methods.new_rows import settle_rows, shorten_rows, train_rows

ADAPTER = "default"
"""PEFT's name for an adapter that was given none."""


class PeftTuned:
    """A frozen model and what PEFT adds to it. The model is as it came after :meth:`release`."""

    parameters: dict[str, nn.Parameter]

    def __init__(self, bundle: Bundle, config: PeftConfig, *, keep_dtype: bool = False) -> None:
        self.model: PreTrainedModel = bundle.model
        self._tokenizer = bundle.tokenizer if bundle.new_tokens else None  # such an adapter needs its own
        if any(isinstance(module, BaseTunerLayer) for module in self.model.modules()):
            raise TrainingError("the model has an adapter in it already", remedy="load the base model, or merge first")
        self._free = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        with quiet():
            self._peft: PeftModel | None = get_peft_model(self.model, config, autocast_adapter_dtype=not keep_dtype)

    def settle(self) -> None:
        """Let it compute as PEFT does."""
        settle_rows(self.model)

    def save(self, folder: Path) -> None:
        """Write ``adapter_model.safetensors`` and ``adapter_config.json``, and the tokenizer if it has new tokens."""
        assert self._peft is not None
        # "auto" would ask the hub whether the vocabulary has grown.
        self._peft.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        if self._tokenizer is not None:
            with quiet():
                self._tokenizer.save_pretrained(folder)

    def release(self) -> None:
        """Take out of the model what was put into it; its weights may move again."""
        if self._peft is not None:
            self._take_out(self._peft)
            self._peft = None

    def _take_out(self, adapted: PeftModel) -> None:
        for parameter in self._free:
            parameter.requires_grad_(True)


class AdapterTuned(PeftTuned):
    """A model with one adapter in it.

    ``keep_dtype``: the adapter computes as its model does; else in float32, as PEFT has it.
    """

    def __init__(self, bundle: Bundle, config: LoraConfig | IA3Config, *, seed: int, keep_dtype: bool) -> None:
        self._keep_dtype = keep_dtype
        if isinstance(config, LoraConfig):
            train_rows(config, bundle)
        config.task_type = "CAUSAL_LM" if reward_head(bundle.model) is None else "SEQ_CLS"  # saves the head too
        with seeded(bundle.model, seed):
            super().__init__(bundle, config, keep_dtype=keep_dtype)
        if isinstance(config.target_modules, set):  # would be written in the order of hashes, new in every process
            config.target_modules = sorted(config.target_modules)
        self.parameters = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }
        shorten_rows(self.model, ADAPTER)

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
            self._take_out(again)

    def _take_out(self, adapted: PeftModel) -> None:
        adapted.unload()
        super()._take_out(adapted)


@contextmanager
def seeded(model: PreTrainedModel, seed: int) -> Iterator[None]:
    """Draw from ``seed``, and leave what is drawn after it as it was."""
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def named_layers(model: PreTrainedModel, names: tuple[str, ...]) -> list[str]:
    """Return ``names``, each of which some linear layer of the model has. Raises :class:`TrainingError`."""
    head = reward_head(model)
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head)
    layers = {name.rsplit(".", 1)[-1] for name in linear}
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise TrainingError(
            "no linear layer of the model has this name",
            where="method.targets",
            received=", ".join(unknown),
            remedy=f"choose among {', '.join(sorted(layers))}, or leave targets out",
        )
    return list(names)
