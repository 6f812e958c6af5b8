"""Full-parameter tuning: every weight moves."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel

from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet


class TunedInPlace:
    """A model some of whose own weights are trained. Tied weights are one weight."""

    def __init__(self, bundle: Bundle, chosen: Collection[nn.Parameter]) -> None:
        self._bundle = bundle
        self.model: PreTrainedModel = bundle.model
        self._before = [(parameter, parameter.requires_grad) for parameter in self.model.parameters()]
        self.model.requires_grad_(False)
        for parameter in chosen:
            parameter.requires_grad_(True)
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }

    def settle(self) -> None:
        """It always did."""

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder: weights, configuration, tokenizer with its chat template."""
        with quiet():
            self.model.save_pretrained(folder)
            self._bundle.tokenizer.save_pretrained(folder)

    @contextmanager
    def reloaded(self, folder: Path) -> Iterator[PreTrainedModel]:
        """Give a second model read from ``folder``."""
        with quiet():
            again: PreTrainedModel = type(self.model).from_pretrained(
                folder,
                dtype=self.model.dtype,
                attn_implementation=self.model.config._attn_implementation,
                device_map=self.model.device,
                local_files_only=True,
            )
        yield again

    def release(self) -> None:
        """Nothing was put into the model; it keeps its new weights, and those that were frozen may move again."""
        for parameter, free in self._before:
            parameter.requires_grad_(free)


def tune_fully(bundle: Bundle) -> TunedInPlace:
    """Make every weight of the bundle's model trainable."""
    return TunedInPlace(bundle, list(bundle.model.parameters()))
