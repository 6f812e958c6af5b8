"""Prefix and prompt tuning through PEFT: the model stays as it is, virtual tokens before each text are learned.

Li & Liang 2021 (prefix: keys and values of each layer) and Lester et al. 2021 (prompt: embeddings). PEFT's encoder
holds the weights, in float32 whatever the model is in, and makes of them what goes before the text. What they begin as
is PEFT's too, but a prompt that begins as a text says ``RANDOM`` in its file, because PEFT would load a tokenizer by
its name to do the same again. A prefix that begins as what the model makes of tokens is Li & Liang's (section 7.4).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from tutelage.errors import ModelError
from tutelage.models.faults import InWords
from tutelage.models.load import Bundle
from tutelage.models.quiet import quiet
from tutelage.models.virtual import Layers, layers_of, read_tokens
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.tune.methods.adapter import ADAPTER, PeftTuned, seeded
from tutelage.tune.training.attention import plain_logits
from tutelage.tune.training.virtual import Learned, LearnedPrefix, LearnedPrompt


class SoftTuned(PeftTuned):
    """A frozen model and the virtual tokens before its texts; nothing is put into it."""

    def __init__(self, bundle: Bundle, config: PrefixTuningConfig | PromptTuningConfig) -> None:
        super().__init__(bundle, config)
        assert self._peft is not None
        encoder: nn.Module = self._peft.prompt_encoder[ADAPTER]
        self.parameters = dict(encoder.named_parameters())
        count = config.num_virtual_tokens
        self.learned: Learned = (
            LearnedPrefix(count, self._layers)
            if isinstance(config, PrefixTuningConfig)
            else LearnedPrompt(count, self._embeddings)
        )

    @contextmanager
    def reloaded(self, folder: Path) -> Iterator[nn.Module]:
        """Give PEFT's own model with the virtual tokens of ``folder`` before the same base."""
        self.release()
        with quiet():
            again = PeftModel.from_pretrained(self.model, str(folder))
        try:
            yield again
        finally:
            self._take_out(again)

    def _embeddings(self) -> Tensor:
        assert self._peft is not None
        found = self._peft.get_prompt(batch_size=1)
        assert isinstance(found, Tensor)
        return found[0]

    def _layers(self) -> Layers:
        assert self._peft is not None
        found = self._peft.get_prompt(batch_size=1)
        assert isinstance(found, DynamicCache)
        return layers_of(found)


def add_prompt(bundle: Bundle, section: PromptMethod, *, seed: int) -> SoftTuned:
    """Put trainable embeddings of virtual tokens before the texts of the bundle's model.

    Raises
    ------
    TrainingError: the model has an adapter in it. ModelError: it cannot read embeddings.
    """
    drawn = "SAMPLE_VOCAB" if section.init == "vocabulary" else "RANDOM"
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=section.tokens, prompt_tuning_init=drawn)
    with seeded(bundle.model, seed):
        tuned = SoftTuned(bundle, config)
    if section.text is not None:
        ids = _ids_of(bundle, section.text, section.tokens)
        with torch.no_grad():
            tuned.parameters["embedding.weight"].copy_(bundle.model.get_input_embeddings()(ids))
    _require_fit(tuned)
    return tuned


def add_prefix(bundle: Bundle, section: PrefixMethod, *, seed: int) -> SoftTuned:
    """Put trainable keys and values of virtual tokens before the texts of the bundle's model, in every layer.

    Raises
    ------
    TrainingError: the model has an adapter in it. ModelError: it has layers without keys and values of their own.
    """
    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=section.tokens)
    if section.projection is not None:
        config.prefix_projection, config.encoder_hidden_size = True, section.projection
    with seeded(bundle.model, seed):
        tuned = SoftTuned(bundle, config)
        vocabulary: int = bundle.model.config.get_text_config().vocab_size
        drawn = torch.randint(0, vocabulary, (section.tokens,))
    if section.text is not None:
        drawn = _ids_of(bundle, section.text, section.tokens)
    if section.projection is None and section.init != "random":
        with _fitting(bundle.model), torch.no_grad():
            tuned.parameters["embedding.weight"].copy_(_flat(read_tokens(bundle.model, drawn).layers))
    _require_fit(tuned)
    return tuned


def _flat(layers: Layers) -> Tensor:
    """Keys and values of all layers as PEFT lays them: (P, layers · 2 · S · D), float32."""
    states = torch.stack([states for layer in layers for states in layer])
    return states.permute(2, 0, 1, 3).flatten(1).float()


def _ids_of(bundle: Bundle, text: str, count: int) -> Tensor:
    """``count`` ids of a text, repeated or cut, with the special tokens that the tokenizer adds, as in PEFT."""
    ids = bundle.tokenizer(text)["input_ids"]
    assert isinstance(ids, list)
    return torch.tensor((ids * (count // len(ids) + 1))[:count], device=bundle.model.device)


def _require_fit(tuned: SoftTuned) -> None:
    """Compute one token behind the virtual ones, and say it in words where the model cannot."""
    layers = tuned.model.config.get_text_config().num_hidden_layers
    with _fitting(tuned.model), torch.no_grad():
        if isinstance(tuned.learned, LearnedPrefix) and len(tuned.learned.layers()) != layers:
            raise ValueError("some layers have no keys and values of their own")
        plain_logits(tuned.model, torch.zeros(1, 1, dtype=torch.long, device=tuned.model.device), tuned.learned)


def _fitting(model: PreTrainedModel) -> InWords:
    what = "virtual tokens cannot be put before the texts of this model"
    remedy = "take method: {kind: lora}"
    return InWords(lambda reason: ModelError(what, where=type(model).__name__, received=reason, remedy=remedy))
