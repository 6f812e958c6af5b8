"""The last layers alone: what lies below them is frozen, so the backward pass ends where they begin."""

from torch import nn
from transformers import PreTrainedModel

from tutelage.errors import TrainingError
from tutelage.models.load import Bundle
from tutelage.recipe.methods import LastMethod
from tutelage.tune.methods.full import TunedInPlace


def tune_last(bundle: Bundle, section: LastMethod) -> TunedInPlace:
    """Make the last decoder layers of the bundle's model trainable, and what ``section`` names above them.

    Raises
    ------
    TrainingError: the model has fewer layers, no norm behind them, or an output layer that is the embedding too.
    """
    found = decoder_of(bundle.model)
    if found is None:
        raise TrainingError(
            "the decoder's layers are not found in this model",
            where="method",
            received=type(bundle.model).__name__,
            remedy="take method: {kind: lora} or {kind: full}",
        )
    owner, layers = found
    if section.layers > len(layers):
        raise TrainingError(
            "the model has not so many layers",
            where="method.layers",
            received=f"{section.layers}; it has {len(layers)}",
            remedy="lower it, or take method: {kind: full}",
        )
    chosen: list[nn.Module] = list(layers)[-section.layers :]
    if section.norm:
        chosen.append(_norm_behind(bundle.model, owner))
    if section.head:
        chosen.append(_head(bundle.model))
    return TunedInPlace(bundle, [parameter for module in chosen for parameter in module.parameters()])


def decoder_of(model: PreTrainedModel) -> tuple[nn.Module, nn.ModuleList] | None:
    """Return the list of the decoder's layers, as many as the configuration says, and the module that holds it; None:
    it is not found."""
    depth: int = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        for child in module.children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return module, child
    return None


def _norm_behind(model: PreTrainedModel, owner: nn.Module) -> nn.Module:
    """The last norm beside the layers; one on the embeddings stands before it."""
    norms = [child for child in owner.children() if "norm" in type(child).__name__.lower()]
    if not norms:
        raise TrainingError(
            "there is no norm behind the last layer",
            where="method.norm",
            received=type(model).__name__,
            remedy="set it to false",
        )
    return norms[-1]


def _head(model: PreTrainedModel) -> nn.Module:
    head: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    embedding: nn.Module = model.get_input_embeddings()
    below = {id(parameter) for parameter in embedding.parameters()}
    if head is None or any(id(parameter) in below for parameter in head.parameters()):
        raise TrainingError(
            "the output layer is the embedding too, which lies below the layers that are frozen",
            where="method.head",
            received=type(model).__name__,
            remedy="set it to false, or take method: {kind: full}",
        )
    return head
