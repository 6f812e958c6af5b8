"""Prefix and prompt tuning for tests: small models of several kinds, the methods, and PEFT's own adapters."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import Tensor
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from tutelage.models.bundle import Bundle, ModelSource
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod

Soft = PrefixMethod | PromptMethod
COUNT = 5
METHODS: dict[str, Soft] = {
    "prompt": PromptMethod(kind="prompt", tokens=COUNT),
    "prefix": PrefixMethod(kind="prefix", tokens=COUNT, init="random"),
    "prefix of a projection": PrefixMethod(kind="prefix", tokens=COUNT, projection=12),
}
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def _grouped(vocabulary: int) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SIZES, vocab_size=vocabulary))


def _sliding(vocabulary: int) -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**SIZES, vocab_size=vocabulary, sliding_window=8))


def _two_windows(vocabulary: int) -> PreTrainedModel:
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    return Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZES, vocab_size=vocabulary, head_dim=8, sliding_window=8, layer_types=layers)
    )


KINDS: dict[str, Callable[[int], PreTrainedModel] | None] = {
    "tiny": None,
    "grouped heads": _grouped,
    "sliding window": _sliding,
    "two windows": _two_windows,
}


def bundle_of(kind: str) -> Bundle:
    """A small model of a kind, made anew, whose logits are far from uniform."""
    bundle = tiny_model()
    make = KINDS[kind]
    if make is not None:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = make(len(bundle.tokenizer)).eval()
        source = ModelSource(id=kind, kind="folder")
        bundle = Bundle(model=model, tokenizer=bundle.tokenizer, template=bundle.template, source=source)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return bundle


def documents(lengths: Sequence[int], *, seed: int = 0, vocabulary: int = 300, alike: int = 3) -> list[Encoded]:
    """Documents of random tokens; all begin with ``alike`` same ones, and about half of the others are targets."""
    generator = np.random.default_rng(seed)
    beginning = generator.integers(0, vocabulary, alike)
    found = []
    for length in lengths:
        ids = generator.integers(0, vocabulary, length).astype(np.int32)
        ids[:alike] = beginning[:length]
        targets = generator.random(length) < 0.5
        targets[0], targets[-1] = False, True
        found.append(Encoded(ids=ids, targets=targets))
    return found


def peft_of(model: PreTrainedModel, method: Soft, *, seed: int) -> PeftModel:
    """PEFT's own model of a method, drawn from ``seed``."""
    config: PrefixTuningConfig | PromptTuningConfig
    if isinstance(method, PrefixMethod):
        config = PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=method.tokens,
            prefix_projection=method.projection is not None,
            encoder_hidden_size=method.projection,
        )
    else:
        init = "SAMPLE_VOCAB" if method.init == "vocabulary" else "RANDOM"
        config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=method.tokens, prompt_tuning_init=init)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def peft_from(model: PreTrainedModel, folder: Path) -> PeftModel:
    with quiet():
        return PeftModel.from_pretrained(model, str(folder)).eval()


def logits_of(adapted: PeftModel, document: Encoded) -> Tensor:
    """Logits (T, V) of one document through PEFT's forward; those of a prompt's own tokens are left out."""
    ids = torch.as_tensor(document.ids, dtype=torch.int64)[None]
    found: Tensor = adapted(input_ids=ids).logits[0, -ids.shape[1] :]
    return found


def losses_of(adapted: PeftModel, document: Encoded) -> Tensor:
    """−log p of each target (N)."""
    targets = torch.as_tensor(document.targets).clone()
    targets[0] = False
    at = targets.nonzero(as_tuple=True)[0]
    logprobs = logits_of(adapted, document).float().log_softmax(-1)[at - 1]
    ids = torch.as_tensor(document.ids, dtype=torch.int64)
    return -logprobs.gather(1, ids[at, None])[:, 0]
