"""The memory that a tuning step takes, estimated before it: weights, what moves them, activations, logits.

Of a decoder layer a step keeps, for each token of a micro-batch and until the way back (hidden size H, its heads' width
Q, key and value heads' width K each, inner size I, rank r, b bytes a number):

- the inputs of two norms: b · 2H
- inputs of the linear layers, one for those that share it; that of the last is made anew: b · (2H + Q)
- what attention keeps: queries, keys, values: b · (Q + 2K)
- the gate and the other factor of the inner product: b · 2I
- the narrow side of seven adapters: b · 7r

which is b · (4H + 2Q + 2K + 2I + 7r). That is a decoder with a gated inner layer whose blocks are computed the short
way (:mod:`tutelage.tune.training.lean`), as those of Llama, Qwen, Mistral and SmolLM are; others keep more, and
``tutelage doctor`` measures by how much. With ``activation_checkpointing`` every layer keeps its input, b · H, and one
at a time all of the above. Scores of attention are made anew on the way back, on a CPU in blocks of queries: at most
:data:`tutelage.tune.training.cpu_attention.SCORES` at once, in four float32 copies; they are counted where the longest
document is given. Not counted: the program itself, and a copy of the weights where a merge needs float32.
"""

import torch
from torch import nn

from tutelage.models.bundle import Bundle
from tutelage.recipe.tune import AdafactorOptimizer, FullMethod, LoraMethod, TuneSection
from tutelage.records import Record
from tutelage.tune.training.cpu_attention import BLOCK, SCORES
from tutelage.tune.training.losses import CHUNK_BYTES

ADAPTED_A_LAYER = 7
SCORES_COPIES = 4
"""Float32 copies of a block's scores at once, on the way back: scores, weights, and the gradients of both."""
LOGITS_COPIES = 2
"""Float32 copies of a chunk of logits at once: the logits, and what their normalization makes of them."""


class StepMemory(Record):
    """Bytes of a tuning step: the model's ``weights``; ``training``, adapters, gradients, float32 copies and moments;
    ``activations`` of a micro-batch; ``logits`` of one chunk; ``scores`` of one block of attention on a CPU."""

    weights: int
    training: int
    activations: int
    logits: int
    scores: int = 0

    @property
    def beside_weights(self) -> int:
        """All but the weights, which are there before."""
        return self.training + self.activations + self.logits + self.scores

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.beside_weights


def estimate_step(
    bundle: Bundle, section: TuneSection, *, tokens: int, targets: int, longest: int = 0
) -> StepMemory | None:
    """Return the memory of a step of ``section`` whose largest micro-batch has ``tokens`` tokens, ``targets`` of them
    learned, in documents of at most ``longest`` tokens (0: scores are not counted); None where the configuration does
    not say the sizes of its layers, or the method is another one.

    The model must have no adapter in it yet.
    """
    model, trained = bundle.model, trained_weights(bundle, section)
    config = model.config.get_text_config()
    hidden, inner = (getattr(config, name, None) for name in ("hidden_size", "intermediate_size"))
    layers, heads = (getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads"))
    if trained is None or not (hidden and inner and layers and heads):
        return None
    size = _bytes_of(model.dtype, section.dtype)
    width = getattr(config, "head_dim", None) or hidden // heads
    queries, keys = heads * width, (getattr(config, "num_key_value_heads", None) or heads) * width
    on_cpu = model.device.type == "cpu"
    rank = section.method.r if isinstance(section.method, LoraMethod) else 0
    kept = size * (4 * hidden + 2 * queries + 2 * keys + 2 * inner + ADAPTED_A_LAYER * rank)
    weights = sum(parameter.numel() for parameter in model.parameters())
    chunk = min(4 * targets * config.vocab_size, CHUNK_BYTES)
    return StepMemory(
        weights=weights * size,
        training=trained * (_bytes_a_trained(section, size) + (0 if isinstance(section.method, FullMethod) else size)),
        activations=tokens * (layers * size * hidden + kept if section.activation_checkpointing else layers * kept),
        logits=LOGITS_COPIES * chunk + (2 * chunk * size // 4 if size < 4 else 0),
        scores=4 * SCORES_COPIES * min(SCORES, tokens * heads * min(BLOCK, longest)) if on_cpu else 0,
    )


def trained_weights(bundle: Bundle, section: TuneSection) -> int | None:
    """Return how many numbers a tuning of ``section`` moves; None: it is not known of this method.

    The model must have no adapter in it yet.
    """
    method = section.method
    if isinstance(method, FullMethod):
        return sum(parameter.numel() for parameter in bundle.model.parameters())
    if not isinstance(method, LoraMethod):
        return None
    head = bundle.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    found = 0
    for name, module in bundle.model.named_modules():
        if isinstance(module, nn.Linear) and module is not head:
            wanted = method.targets == "all-linear" or name.rsplit(".", 1)[-1] in method.targets
            found += method.r * (module.in_features + module.out_features) if wanted else 0
    layers: list[nn.Module] = [bundle.model.get_input_embeddings(), *([] if head is None else [head])]
    by_token = {id(weight): weight.shape[-1] for layer in layers for weight in layer.parameters()}
    return found + len(bundle.new_tokens) * sum(by_token.values())


def _bytes_a_trained(section: TuneSection, size: int) -> int:
    """Gradient, float32 master with its own gradient where the weights are smaller, and the optimizer's moments."""
    moments = 0 if isinstance(section.optimizer, AdafactorOptimizer) else 8
    return size + (8 if size < 4 else 0) + moments


def _bytes_of(own: torch.dtype, wanted: str) -> int:
    return {"bfloat16": 2, "float32": 4}.get(wanted, own.itemsize)
