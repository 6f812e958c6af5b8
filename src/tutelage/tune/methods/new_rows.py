"""The rows of new tokens beside an adapter, in PEFT's format (``trainable_token_indices``) and its layers, computed by
:mod:`tutelage.tune.training.new_rows` until the end of training.
"""

from functools import partial

import torch
from peft import LoraConfig
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.utils.other import TrainableTokensWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.recipe.methods import DoraMethod, LoraMethod, Method, trains_new_tokens
from tutelage.tune.training.new_rows import KnownRows, Rows

ROWS = "trainable_tokens_delta"
"""What PEFT calls the trained rows; they are none of a layer's low-rank factors."""


def require_trained(bundle: Bundle, method: Method) -> None:
    """Raise :class:`TrainingError` where the bundle has new tokens and ``method`` would leave them as they begin, or an
    adapter of the model cannot train them."""
    if not bundle.new_tokens:
        return
    if isinstance(method, LoraMethod | DoraMethod):
        _require_possible(bundle.model, method.targets)
    elif not trains_new_tokens(method):
        raise TrainingError(
            "this method does not train the rows of new tokens",
            where="model.new_tokens",
            received=method.kind,
            remedy="take method: {kind: lora}, dora or full",
        )


def train_rows(config: LoraConfig, bundle: Bundle) -> None:
    """Let PEFT train the rows of the bundle's new tokens beside the adapter of ``config``; tied weights stay tied."""
    if not bundle.new_tokens:
        return
    ids, layers = list(bundle.new_tokens), _layers(bundle.model)
    config.trainable_token_indices = ids
    if len({id(layer.weight) for layer in layers.values()}) > 1:
        config.trainable_token_indices = dict.fromkeys(layers, ids)


def _layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Embeddings and, where there is one, the output layer, by their names in the model."""
    wanted = (model.get_input_embeddings(), model.get_output_embeddings())  # type: ignore[no-untyped-call]
    return {name: module for name, module in model.named_modules() if any(module is layer for layer in wanted)}


def _require_possible(model: PreTrainedModel, targets: str | tuple[str, ...]) -> None:
    """Refuse what PEFT would compute otherwise than the model: it leaves a bias out, believes the configuration, and
    puts no rows beside an adapter."""
    inside: nn.Module = model.get_input_embeddings()
    others = {name: layer for name, layer in _layers(model).items() if layer is not inside}
    refusal = ""
    for name, outside in others.items():
        tied = outside.weight is inside.weight
        if getattr(outside, "bias", None) is not None:
            refusal = "an output layer with a bias"
        elif tied != bool(model.config.tie_word_embeddings):
            refusal = f"embeddings that are {'' if tied else 'not '}tied against its configuration"
        elif targets != "all-linear" and name.rsplit(".", 1)[-1] in targets:
            refusal = f"an adapter of its output layer {name} (method.targets)"
    if refusal:
        raise TrainingError(
            "new tokens cannot be trained beside an adapter of this model",
            where=type(model).__name__,
            received=refusal,
            remedy="take method: {kind: full}",
        )


def shorten_rows(model: nn.Module, adapter: str) -> int:
    """Let trained rows of plain layers be computed by :mod:`tutelage.tune.training.new_rows`; return in how many.

    The layers stay PEFT's, and one that is switched off, merged or joined by another adapter computes as PEFT does.
    """
    found = [module for module in model.modules() if isinstance(module, TrainableTokensWrapper) and _is_plain(module)]
    for module in found:
        base = module.token_adapter.get_base_layer()
        new = torch.tensor(module.token_adapter.token_indices[adapter], device=next(base.parameters()).device)
        parts = partial(_parts, module.token_adapter, adapter, new)
        module.forward = KnownRows(module, parts, looks_up=isinstance(base, nn.Embedding))  # type: ignore[method-assign]
    return len(found)


def _parts(beside: TrainableTokensLayer, adapter: str, new: Tensor) -> Rows | None:
    if beside.disable_adapters or beside.merged or list(beside.active_adapters) != [adapter]:
        return None
    weight = beside.get_base_layer().weight
    assert isinstance(weight, Tensor)
    return Rows(weight, new, beside.trainable_tokens_delta[adapter].to(weight.dtype))


def settle_rows(model: nn.Module) -> None:
    """Give such layers PEFT's own arithmetic back."""
    for module in model.modules():
        if isinstance(module, TrainableTokensWrapper):
            vars(module).pop("forward", None)


def _is_plain(module: TrainableTokensWrapper) -> bool:
    """Whether the layer looks rows up, or multiplies by them, and does nothing else (Gemma's scales its embeddings)."""
    base = module.token_adapter.get_base_layer()
    if type(base) is nn.Embedding:
        return base.max_norm is None and not base.sparse and not base.scale_grad_by_freq
    return type(base) is nn.Linear and base.bias is None
