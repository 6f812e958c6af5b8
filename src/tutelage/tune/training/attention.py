"""Attention that never leaves its document, and the proof of it on the model at hand.

Two ways, the first that the model passes is taken:

1. ``documents``: a function registered with transformers' ``AttentionInterface``. On CUDA, torch's variable-length
   flash attention where it is there and the arithmetic is 16-bit; on a CPU, documents in batches
   (:mod:`cpu_attention`); everywhere else one scaled-dot-product attention a document.
2. ``mask``: the model's own attention. transformers reads the restarting positions and builds a block mask, T × T.

In the first way what documents begin with alike is computed once: a system turn, or the prompt of several answers.
It alone can put a learned prefix, keys and values of virtual tokens, before each document.

Neither is trusted: :func:`connect` compares a packed row with its documents computed one by one, changes one of them
and looks at the logits of the others. A model that lets documents touch (recurrent layers, convolutions over the row)
is refused, never trained wrongly.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from tutelage.errors import ModelError
from tutelage.models.rewards import reward_head
from tutelage.models.template import Encoded
from tutelage.models.virtual import Layers, VirtualTokens, read_tokens, varied_tokens
from tutelage.tune.training.batches import Packed, pack
from tutelage.tune.training.cpu_attention import attend_on_cpu
from tutelage.tune.training.lean import lean
from tutelage.tune.training.network import Network
from tutelage.tune.training.recompute import recomputed
from tutelage.tune.training.virtual import Learned, LearnedPrefix, LearnedPrompt

try:
    from torch.nn.attention.varlen import varlen_attn

    HAS_VARLEN = {"scale", "window_size", "enable_gqa"} <= set(inspect.signature(varlen_attn).parameters)
except ImportError:  # older torch
    HAS_VARLEN = False

NAME = "tutelage_documents"
MAX_FLASH_HEAD = 256
PROBE_LENGTHS = (17, 23, 11, 19)
PROBE_SHARED = 9


class UnsupportedAttention(ModelError):
    """The model asks for something that attention by document does not compute."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: Packed | None = None,
    prefix: Layers | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **extras: object,
) -> tuple[Tensor, None]:
    """Causal attention inside each document of ``packed``; the signature is that of ``AttentionInterface``.

    ``query`` is (1, heads, T, D), ``key`` and ``value`` (1, shared heads, T, D); returns (1, T, heads, D). ``prefix``
    are keys and values of virtual tokens in all layers; they take the place of what the layer makes there. What it does
    not know (soft capping, sinks, biases, bidirectional attention) is refused with :class:`UnsupportedAttention`.
    """
    asked = [name for name in ("softcap", "s_aux", "position_bias", "cache") if extras.get(name) is not None]
    if packed is None:
        asked.append("no document boundaries reach the attention")
    if extras.get("is_causal") is False or not getattr(module, "is_causal", True):
        asked.append("bidirectional attention")
    if packed is None or asked or attention_mask is not None:
        raise UnsupportedAttention("attention by document does not fit this model", received=", ".join(asked))
    if prefix is not None:
        learned = prefix[int(module.layer_idx)]  # type: ignore[arg-type]
        key, value = (packed.with_virtual(of, one[None], 2) for of, one in zip((key, value), learned, strict=True))
    window = sliding_window if sliding_window is not None and sliding_window < max(packed.lengths) else None
    flash = query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and query.shape[-1] <= MAX_FLASH_HEAD
    if query.is_cpu and not dropout and window is None and query.shape[-1] == value.shape[-1]:
        return attend_on_cpu(query, key, value, packed, scale=scaling), None
    query, key, value = (packed.spread(states, 2) for states in (query, key, value))
    if HAS_VARLEN and flash and not dropout and query.shape[-1] == value.shape[-1]:
        found = _attend_at_once(query, key, value, packed=packed, window=window, scaling=scaling)
    else:
        found = _attend_one_by_one(query, key, value, packed.lengths, window=window, scaling=scaling, dropout=dropout)
    return packed.collect(found, 1), None


def _attend_one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    *,
    window: int | None,
    scaling: float | None,
    dropout: float,
) -> Tensor:
    """One scaled-dot-product attention a document; returns (1, T, heads, D)."""
    # torch's backward pass on a CPU takes five times as long in bfloat16 as in float32, a fifth of the whole step.
    wide = query.is_cpu and query.requires_grad and query.dtype == torch.bfloat16
    dtype = torch.float32 if wide else query.dtype
    # split and cat are one autograd node each; slices would each give a gradient of the whole row.
    states = (torch.split(states.to(dtype), list(lengths), dim=2) for states in (query, key, value))
    parts = [
        scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if window is None else _window_mask(q.shape[2], window, q.device),
            dropout_p=dropout,
            is_causal=window is None,
            scale=scaling,
            enable_gqa=key.shape[1] != query.shape[1],
        )
        for q, k, v in zip(*states, strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).to(query.dtype).contiguous()


def _attend_at_once(
    query: Tensor, key: Tensor, value: Tensor, *, packed: Packed, window: int | None, scaling: float | None
) -> Tensor:
    """All documents in one call of variable-length flash attention; returns (1, T, heads, D)."""
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    longest = max(packed.lengths)
    laid = varlen_attn(
        q,
        k,
        v,
        packed.offsets,
        packed.offsets,
        longest,
        longest,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=key.shape[1] != query.shape[1],
    )
    assert isinstance(laid, Tensor)
    return laid[None]


def _window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """bool (length, length): each token sees itself and the ``window`` − 1 before it."""
    ones = torch.ones(length, length, dtype=torch.bool, device=device)
    return ones.tril() & ones.triu(1 - window)


AttentionInterface.register(NAME, attend)


@contextmanager
def connect(model: PreTrainedModel, learned: Learned | None = None, *, anew: bool = False) -> Iterator[Network]:
    """Give the network of ``model`` with attention kept inside documents, each behind what is ``learned``; puts back
    the model's own attention at the end. ``anew``: activations are made anew on the way back (:mod:`recompute`).

    Raises
    ------
    ModelError: documents of one row influence one another whichever attention is used, none that keeps them apart can
        put a prefix before them, the rewards of a reward model are not those of its head on the last hidden state, or
        the model has no layers that can be computed anew.
    """
    native, training = model.config._attn_implementation, model.training
    model.train(False)
    try:
        with torch.no_grad():
            network = _verified(model, native, learned)
        model.train(training)
        with ExitStack() as stack:
            stack.enter_context(lean(model))
            if anew:
                stack.enter_context(recomputed(model, GradientCheckpointingLayer))
            yield network
    finally:
        model.set_attn_implementation(native)
        model.train(training)


def plain_logits(model: PreTrainedModel, ids: Tensor, learned: Learned | None = None) -> Tensor:
    """Return logits (T, V) of one document (1, T) by the model's own attention, behind what is ``learned``: as PEFT
    puts it there."""
    match learned:
        case None:
            logits: Tensor = model(input_ids=ids, use_cache=False).logits[0]
        case LearnedPrompt():
            embedded = model.get_input_embeddings()(ids)
            whole = torch.cat([learned.embeddings()[None].to(embedded.dtype), embedded], dim=1)
            logits = model(inputs_embeds=whole, use_cache=False).logits[0, learned.count :]
        case LearnedPrefix():
            logits = model(input_ids=ids, past_key_values=VirtualTokens(learned.layers()).cache()).logits[0]
    return logits


def _verified(model: PreTrainedModel, native: str, learned: Learned | None) -> Network:
    documents = _probe(model.config.get_text_config().vocab_size)
    known = _known(model, learned)
    if reward_head(model) is None:
        rows = [pack([document], model.device) for document in documents]
        alone = torch.cat([plain_logits(model, row.ids, known)[row.sources] for row in rows])
    else:
        plain = _network(model, "mask", known)
        _require_plain_rewards(model, plain, documents)
        alone = torch.cat([plain.logits(plain.pack([document])) for document in documents])
    refusals = []
    replaceable: bool = model.is_backend_compatible()  # type: ignore[no-untyped-call]
    ways = [("documents", NAME)] if replaceable else []
    if not isinstance(learned, LearnedPrefix):
        ways.append(("mask", native))
    for backend, implementation in ways:
        model.set_attn_implementation(implementation)
        network = _network(model, backend, known)
        try:
            fault = _fault(network, documents, alone=alone)
        except UnsupportedAttention as error:
            fault = error.problem.received
        if not fault:
            found = _network(model, backend, learned)
            return found if found.score is not None else replace(found, head=_plain_head(model, network))
        refusals.append(f"{backend}: {fault}")
    if isinstance(learned, LearnedPrefix):
        raise ModelError(
            "a learned prefix cannot be put before the documents of this model",
            where=type(model).__name__,
            received="; ".join(refusals) or "attention that cannot be replaced",
            remedy="take method: {kind: prompt} or {kind: lora}",
        )
    raise ModelError(
        "documents packed into one row influence one another in this model",
        where=type(model).__name__,
        received="; ".join(refusals),
        remedy="tune a decoder-only transformer whose attention stays inside its documents",
    )


def _known(model: PreTrainedModel, learned: Learned | None) -> Learned | None:
    """What the model knows in the place of what is learned, as many tokens."""
    if learned is None:
        return None
    ids = varied_tokens(model, learned.count)
    if isinstance(learned, LearnedPrompt):
        embeddings: Tensor = model.get_input_embeddings()(ids)
        return LearnedPrompt(learned.count, lambda: embeddings)
    layers = read_tokens(model, ids).layers
    return LearnedPrefix(learned.count, lambda: layers)


def _network(model: PreTrainedModel, backend: str, learned: Learned | None) -> Network:
    decoder = model.base_model
    embedding: nn.Module = model.get_input_embeddings()
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    scores = reward_head(model)

    def arguments(packed: Packed, noise: Tensor | None) -> dict[str, Any]:
        named: dict[str, Any] = {"position_ids": packed.positions, "use_cache": False}
        if backend == "documents":
            named["packed"] = packed
        if isinstance(learned, LearnedPrefix):
            named["prefix"] = learned.layers()
        if noise is None and not isinstance(learned, LearnedPrompt):
            return {**named, "input_ids": packed.ids}
        embedded: Tensor = embedding(packed.ids)
        if noise is not None:
            embedded = embedded + noise.to(embedded.dtype)
        if isinstance(learned, LearnedPrompt):
            embedded = packed.with_virtual(embedded, learned.embeddings()[None], 1)
        return {**named, "inputs_embeds": embedded}

    def hidden(packed: Packed, noise: Tensor | None = None) -> Tensor:
        states: Tensor = decoder(**arguments(packed, noise)).last_hidden_state[0]
        return states

    def logits(packed: Packed, noise: Tensor | None = None) -> Tensor:
        if scores is not None:  # there are none; what is read of the row shows as well whether documents touch
            return packed.predicting(hidden(packed, noise))
        if keeps:
            kept: Tensor = model(**arguments(packed, noise), logits_to_keep=packed.sources).logits[0]
            return kept
        full: Tensor = model(**arguments(packed, noise)).logits[0]
        return full[packed.sources]

    return Network(
        hidden=hidden,
        logits=logits,
        head=None,
        backend=backend,
        shares=backend == "documents",
        device=model.device,
        width=next(embedding.parameters()).shape[1],
        virtual=0 if learned is None else learned.count,
        score=None if scores is None else partial(_score, scores),
        padding=None if scores is None else model.config.get_text_config().pad_token_id,
    )


def _score(head: nn.Module, states: Tensor) -> Tensor:
    """Rewards (n) of hidden states (n, H), in float32 whatever they are: near 1, bfloat16 has steps of 1/128."""
    weight = head.weight
    assert isinstance(weight, Tensor)
    return linear(states.float(), weight.float())[:, 0]


def _require_plain_rewards(model: PreTrainedModel, network: Network, documents: list[Encoded]) -> None:
    """Raise :class:`ModelError` where a reward model's own rewards of documents by themselves are not what is read."""
    if network.score is None:
        return
    rows = [network.pack([document]) for document in documents]
    own = torch.cat([model(input_ids=row.ids).logits.view(-1) for row in rows]).float()
    read = torch.cat([network.score(row.ending(network.hidden(row))) for row in rows])
    error = (own - read).abs().max().item() if own.shape == read.shape else float("nan")
    if not error <= (1e-3 if model.dtype == torch.float32 else 0.1) * own.abs().max().item():
        raise ModelError(
            "the rewards of this model are more than one layer on the last hidden state",
            where=type(model).__name__,
            received=f"rewards that differ by {error:.2g}",
            remedy="take a model whose score is a plain layer",
        )


def _probe(vocabulary: int) -> list[Encoded]:
    """Documents of fixed, varied tokens, every one of them a target; the last begins as the second does."""
    rows = [
        (np.arange(length) * 7919 + 104729 * number) % vocabulary
        for number, length in enumerate(PROBE_LENGTHS, start=1)
    ]
    rows[-1][:PROBE_SHARED] = rows[1][:PROBE_SHARED]
    return [Encoded(ids=row.astype(np.int32), targets=np.ones(len(row), dtype=np.bool_)) for row in rows]


def _fault(network: Network, documents: list[Encoded], *, alone: Tensor) -> str:
    """Say what is wrong with a packed row of ``documents``, whose logits one by one are ``alone``; empty: nothing.

    The first document is changed and the logits of the others must not move: the shapes are the same, so beyond the
    rounding of the arithmetic (sums of experts may be ordered otherwise) any movement is a leak.
    """
    first, *others = documents
    changed = Encoded(ids=first.ids[::-1].copy(), targets=first.targets)
    row = network.pack(documents)
    before = network.logits(row)
    after = network.logits(network.pack([changed, *others]))
    theirs = row.owners > 0
    moved = (before[theirs].float() - after[theirs].float()).abs().max().item()
    if moved > _rounding(before):
        return f"changing one document moves the logits of the next by {moved:.2g}"
    error = (before.float() - alone.float()).abs().mean().item()
    if error > (1e-3 if before.dtype == torch.float32 else 0.1) * alone.float().std().item():
        return f"logits of a packed row differ from those of its documents by {error:.2g} on average"
    return ""


def _plain_head(model: PreTrainedModel, network: Network) -> nn.Module | None:
    """Return the output layer if the model's logits are that layer and nothing else, as some scale or cap them."""
    head: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        return None
    row = network.pack(_probe(model.config.get_text_config().vocab_size), share=False)
    own, plain = network.logits(row), head(network.hidden(row)[row.sources])
    same = own.shape == plain.shape and (own.float() - plain.float()).abs().max().item() <= _rounding(own)
    return head if same else None


def _rounding(logits: Tensor) -> float:
    """What equal computations may differ by: two units in the last place of the largest of ``logits``."""
    return max(1e-5, 2 * torch.finfo(logits.dtype).eps) * logits.float().abs().max().item()
