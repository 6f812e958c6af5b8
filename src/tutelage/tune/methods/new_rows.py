"""The rows of new tokens beside an adapter, as PEFT trains them (``trainable_token_indices``), without its copies.

PEFT writes the trained rows into a copy of all embeddings in every pass, and so the way back makes a gradient of all
rows, both of the whole vocabulary's size. Here they take the place of what the frozen rows give:

    x = E[ids], but N[j] where ids is the j-th new token        y = h Wᵀ, but h Nᵀ in the columns of the new tokens

so that only N (k, H) and the hidden states get gradients. PEFT's layers stay in the model and hold the weights.
"""

import torch
from peft import LoraConfig
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.utils.other import TrainableTokensWrapper
from torch import Tensor, nn
from torch.nn.functional import embedding, linear
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.rewards import reward_head
from tutelage.recipe.methods import Method, trains_new_tokens

ROWS = "trainable_tokens_delta"
"""What PEFT calls the trained rows; they are none of a layer's low-rank factors."""


def require_trained(bundle: Bundle, method: Method) -> None:
    """Raise :class:`TrainingError` where the bundle has new tokens and ``method`` would leave them as they begin."""
    if bundle.new_tokens and not trains_new_tokens(method):
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
    _require_possible(model, inside, outside)
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


def _require_possible(model: PreTrainedModel, inside: nn.Module, outside: nn.Module | None) -> None:
    """Refuse what PEFT would compute otherwise than the model: it leaves a bias out, and believes the configuration."""
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


class KnownRows:
    """The forward pass of embeddings or of an output layer with trained rows; where the adapter is switched off, merged
    or joined by another, it is PEFT's."""

    def __init__(self, module: TrainableTokensWrapper, adapter: str) -> None:
        self.module, self.adapter = module, adapter
        self.beside: TrainableTokensLayer = module.token_adapter
        self.base: nn.Module = self.beside.get_base_layer()
        self.ids = torch.tensor(self.beside.token_indices[adapter], device=next(self.base.parameters()).device)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the layer: embeddings (..., H) of ids (...), or logits (..., V) of hidden states (..., H)."""
        beside, weight = self.beside, self.base.weight
        if beside.disable_adapters or beside.merged or list(beside.active_adapters) != [self.adapter]:
            whole: Tensor = type(self.module).forward(self.module, x)  # type: ignore[no-untyped-call]
            return whole
        assert isinstance(weight, Tensor)
        rows: Tensor = beside.trainable_tokens_delta[self.adapter].to(weight.dtype)
        if isinstance(self.base, nn.Embedding):
            return _looked_up(x, weight, self.ids, rows)
        return linear(x, weight).index_copy_(-1, self.ids, linear(x, rows))


def _looked_up(ids: Tensor, weight: Tensor, new: Tensor, rows: Tensor) -> Tensor:
    """Return E (V, H) at ``ids`` (...), and ``rows`` (k, H) where one of ``new`` (k) stands."""
    hits = ids[..., None] == new
    return torch.where(hits.any(-1, keepdim=True), embedding(hits.int().argmax(-1), rows), embedding(ids, weight))


def shorten_rows(model: nn.Module, adapter: str) -> int:
    """Let trained rows of plain layers be computed as here; return in how many layers."""
    found = [module for module in model.modules() if isinstance(module, TrainableTokensWrapper) and _is_plain(module)]
    for module in found:
        module.forward = KnownRows(module, adapter)  # type: ignore[method-assign]
    return len(found)


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
