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
from tutelage.models.rewards import reward_head
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
        _require_possible(bundle.model)
    elif not trains_new_tokens(method):
        raise TrainingError(
            "this method does not train the rows of new tokens",
            where="model.new_tokens",
            received=method.kind,
            remedy="take method: {kind: lora}, dora or full",
        )


def train_rows(config: LoraConfig, bundle: Bundle) -> None:
    """Let PEFT train the rows of the bundle's new tokens beside the adapter of ``config``; tied weights stay tied.

    Raises
    ------
    TrainingError: PEFT cannot do it in this model, or the output layer gets an adapter too.
    """
    if not bundle.new_tokens:
        return
    model, ids = bundle.model, list(bundle.new_tokens)
    inside: nn.Module = model.get_input_embeddings()
    outside: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    names = {id(module): name for name, module in model.named_modules()}
    _require_possible(model)
    named = config.target_modules if isinstance(config.target_modules, list | set) else ()
    if outside is not None and names[id(outside)].rsplit(".", 1)[-1] in named:
        raise TrainingError(
            "the output layer has rows of new tokens that are trained, and cannot get an adapter too",
            where="method.targets",
            received=names[id(outside)],
            remedy="leave it out of the targets, or take method: {kind: full}",
        )
    config.trainable_token_indices = ids
    if outside is not None and outside.weight is not inside.weight:
        config.trainable_token_indices = {names[id(layer)]: ids for layer in (inside, outside)}


def _require_possible(model: PreTrainedModel) -> None:
    """Refuse what PEFT would compute otherwise than the model: it leaves a bias out, and believes the configuration."""
    inside: nn.Module = model.get_input_embeddings()
    outside: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    refusal = ""
    tied = outside is not None and outside.weight is inside.weight
    if outside is not None and getattr(outside, "bias", None) is not None:
        refusal = "an output layer with a bias"
    elif outside is not None and tied != bool(model.config.tie_word_embeddings):
        refusal = f"embeddings that are {'' if tied else 'not '}tied against its configuration"
    elif reward_head(model) is None and outside is None:
        refusal = "no output layer"
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
