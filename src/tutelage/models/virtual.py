"""Virtual tokens: what prefix and prompt tuning put before every text. They are nobody's weights and cannot be merged.

A prefix is keys and values of each layer (Li & Liang 2021). A prompt is embeddings (Lester et al. 2021); under a causal
mask nothing that follows changes what the model makes of them, so once read it is keys and values too.
"""

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of P tokens by layer, (S, P, D) each: S key heads of width D."""


@dataclass(frozen=True, slots=True)
class VirtualTokens:
    """P tokens before every text, whose own first token stands at position P."""

    layers: Layers

    @property
    def count(self) -> int:
        """P."""
        return self.layers[0][0].shape[1]

    def cache(self) -> DynamicCache:
        """Return a new cache of one text that holds them and nothing else; a forward pass writes into it."""
        return DynamicCache([(keys[None], values[None]) for keys, values in self.layers])


def layers_of(cache: Cache) -> Layers:
    """Return the keys and values of a cache of one text. Raises ``ValueError`` when a layer has none, or only some."""
    found = []
    for layer in cache.layers:
        if not isinstance(layer, CacheLayerMixin) or layer.keys is None or layer.values is None:
            raise ValueError("some layers do not attend to keys and values of their own")
        found.append((layer.keys[0], layer.values[0]))
    counts = {keys.shape[1] for keys, _ in found}
    if len(counts) > 1:
        raise ValueError(f"the window of some layers is too short: they keep {min(counts)} of {max(counts)} tokens")
    return tuple(found)


@torch.no_grad()
def read_tokens(model: PreTrainedModel, ids: Tensor) -> VirtualTokens:
    """Return what the model makes of ``ids`` (P): virtual tokens that compute as if these stood there.

    Raises ``ValueError``, or what torch raises, when the model has layers without keys and values of their own.
    """
    cache = DynamicCache()
    model(input_ids=ids[None].to(model.device), past_key_values=cache, use_cache=True)
    return VirtualTokens(layers_of(cache))


def varied_tokens(model: PreTrainedModel, count: int) -> Tensor:
    """Return ``count`` fixed ids, to check with how virtual tokens are put before a text.

    Learned ones would not do: far from all that the model knows, bfloat16 alone may move its logits by a sixth of their
    spread (SmolLM2-135M behind normal numbers), whichever way they are computed.
    """
    vocabulary: int = model.config.get_text_config().vocab_size
    return (torch.arange(count, device=model.device) * 7919 + 31) % vocabulary


@torch.no_grad()
def virtual_tokens(adapted: PeftModel, base: PreTrainedModel) -> VirtualTokens:
    """Return what an adapter of prefix or prompt tuning puts before every text of ``base``.

    Raises ``ValueError``, or what torch raises, when it does not fit: a token is read behind it to find out.
    """
    found: object = adapted.get_prompt(batch_size=1)
    if isinstance(found, Tensor):
        embeddings, found = found, DynamicCache()
        base(inputs_embeds=embeddings.to(base.dtype), past_key_values=found, use_cache=True)
    assert isinstance(found, DynamicCache)
    tokens = VirtualTokens(layers_of(found))
    expected = base.config.get_text_config().num_hidden_layers
    if len(tokens.layers) != expected:
        raise ValueError(f"keys and values of {len(tokens.layers)} layers, and the model has {expected}")
    base(input_ids=torch.zeros(1, 1, dtype=torch.long, device=base.device), past_key_values=tokens.cache())
    return tokens
