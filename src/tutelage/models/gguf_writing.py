"""A Llama as a GGUF file: weights, tokenizer and chat template (format: the ggml project's gguf specification).

Only what can be read back and compared is written: Llama's architecture with plain rotary embeddings and without
biases, weights in bfloat16 or float32, norms in float32 as llama.cpp wants them, and byte-level BPE with one of two
known ways of splitting text first. GGUF names that way and does not describe it, so another one would be read wrongly.
"""

import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.files import storage
from tutelage.models.bundle import Bundle

ARCHITECTURE = "llama"
_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "model.layers.": "blk.",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
_TYPES = {torch.bfloat16: GGMLQuantizationType.BF16, torch.float32: GGMLQuantizationType.F32}


def require_gguf(bundle: Bundle) -> None:
    """Raise :class:`ModelError`, with the reason by name, unless the bundle can be written as a GGUF file."""
    config = bundle.model.config
    refusal = ""
    if config.model_type != ARCHITECTURE:
        refusal = f"the architecture {config.model_type}"
    elif config.rope_parameters.get("rope_type", "default") != "default":
        refusal = f"rotary embeddings of the kind {config.rope_parameters['rope_type']}"
    elif config.attention_bias or config.mlp_bias:
        refusal = "layers with a bias"
    elif config.head_dim * config.num_attention_heads != config.hidden_size:
        refusal = f"heads of {config.head_dim} numbers in layers of {config.hidden_size}"
    elif _splitting(bundle.tokenizer) is None:
        refusal = "a tokenizer that splits text otherwise than GPT-2's or SmolLM's"
    elif bundle.model.dtype not in _TYPES:
        refusal = f"weights in {bundle.model.dtype}"
    if refusal:
        raise ModelError(
            "this model cannot be written as a GGUF file that can be proved",
            where=bundle.source.id,
            received=refusal,
            remedy="leave out --gguf, export with --merged and convert the folder with llama.cpp's own script",
        )


def write_gguf(bundle: Bundle, path: Path, *, name: str) -> None:
    """Write the bundle's model, tokenizer and chat template; ``name`` is what the file calls itself."""
    require_gguf(bundle)
    config, tokenizer = bundle.model.config, bundle.tokenizer
    with storage(path, "write the GGUF file"):
        writer = GGUFWriter(path, ARCHITECTURE)
        writer.add_name(name)
        if bundle.source.license:
            writer.add_license(bundle.source.license)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_vocab_size(config.vocab_size)
        _add_tokenizer(writer, bundle, tokenizer)
        for ours, weight in bundle.model.state_dict().items():
            if ours == "lm_head.weight" and config.tie_word_embeddings:
                continue  # its absence says that it is the embeddings
            _add_tensor(writer, ours, weight, heads=config.num_attention_heads, shared=config.num_key_value_heads)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _add_tokenizer(writer: GGUFWriter, bundle: Bundle, tokenizer: PreTrainedTokenizerFast) -> None:
    size = bundle.model.config.vocab_size
    known = tokenizer.added_tokens_decoder
    names, types = [], []
    for index in range(size):
        name = tokenizer.convert_ids_to_tokens(index) if index < len(tokenizer) else None
        names.append(name if isinstance(name, str) else f"[PAD{index}]")
        if not isinstance(name, str):
            types.append(TokenType.UNUSED)
        elif index in known:
            types.append(TokenType.CONTROL if known[index].special else TokenType.USER_DEFINED)
        else:
            types.append(TokenType.NORMAL)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in backend["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_splitting(tokenizer) or "")
    writer.add_token_list(names)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    # llama.cpp stops at one token; the one that ends the template's answers is the one that the model has learned.
    writer.add_eos_token_id(bundle.template.end_ids[0])
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)  # the template writes it where it belongs
    template = tokenizer.chat_template
    assert isinstance(template, str)
    writer.add_chat_template(template)


def _add_tensor(writer: GGUFWriter, ours: str, weight: Tensor, *, heads: int, shared: int) -> None:
    stored = weight.detach().cpu().float().numpy()
    if "q_proj" in ours or "k_proj" in ours:
        stored = _interleaved(stored, heads if "q_proj" in ours else shared)
    name = ours
    for before, after in _NAMES.items():
        name = name.replace(before, after)
    kind = _TYPES[weight.dtype] if weight.ndim > 1 else GGMLQuantizationType.F32
    stored = np.ascontiguousarray(stored)
    if kind == GGMLQuantizationType.F32:
        writer.add_tensor(name, stored)
    else:
        writer.add_tensor(name, quantize(stored, kind), raw_dtype=kind)


def _interleaved(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """ggml's order of the rotary halves: (head, half, pair) becomes (head, pair, half)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _splitting(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """GGUF's name of how the tokenizer splits text before it merges; None: none of those that are known here."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    if backend["model"]["type"] != "BPE" or backend["normalizer"] is not None:
        return None
    first = backend["pre_tokenizer"]
    if first == _BYTES:
        return "gpt-2"
    if first == {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]}:
        return "smollm"
    return None
