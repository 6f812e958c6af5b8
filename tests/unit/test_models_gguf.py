"""GGUF files, written here from the tiny model with the ggml project's own writer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from tutelage.errors import ModelError
from tutelage.models.gguf_file import converted
from tutelage.models.gguf_header import read_metadata
from tutelage.models.load import load_bundle, load_template
from tutelage.models.tiny import tiny_model
from tutelage.records import user

TENSORS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """ggml's order of the rotary halves: (head, half, pair) becomes (head, pair, half)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path: Path, pre: str = "gpt-2", template: bool = True) -> None:
    bundle = tiny_model()
    config = bundle.model.config
    writer = GGUFWriter(path, "llama")
    writer.add_license("mit")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    names = bundle.tokenizer.convert_ids_to_tokens(list(range(len(bundle.tokenizer))))
    writer.add_token_list(names)
    writer.add_token_types([3 if index < 4 else 1 for index in range(len(names))])
    merges = json.loads(bundle.tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    if template:
        writer.add_chat_template(bundle.tokenizer.chat_template)
    for name, weight in bundle.model.state_dict().items():
        if name == "lm_head.weight":
            continue
        stored = weight.numpy()
        if "q_proj" in name or "k_proj" in name:
            stored = interleaved(stored, config.num_attention_heads)
        for ours, theirs in TENSORS.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, np.ascontiguousarray(stored))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def test_weights_tokens_and_template_come_through(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_bundle(str(file), dtype="float32", device="cpu")
    assert capfd.readouterr() == ("", "")
    original = tiny_model().model
    ids = torch.tensor([[1, 70, 80, 90, 100]])
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.copy_(parameter.to(torch.bfloat16).float())
        assert torch.allclose(loaded.model(input_ids=ids).logits, original(input_ids=ids).logits, atol=1e-6)
    assert loaded.template.render((user("Hi"),)) == tiny_model().template.render((user("Hi"),))
    assert loaded.template.end_ids == tiny_model().template.end_ids
    assert (loaded.source.kind, loaded.source.license) == ("gguf", "mit")
    assert loaded.source.identity == f"tiny.gguf@{loaded.source.sha256[:12]}"


def test_second_load_reads_the_folder_and_a_changed_folder_is_made_anew(file: Path) -> None:
    made = converted(file)
    weights = made.folder / "model.safetensors"
    whole, written = weights.read_bytes(), weights.stat().st_mtime_ns
    assert converted(file) == made
    assert weights.stat().st_mtime_ns == written
    weights.write_bytes(whole[:-1] + b"\x00" if whole[-1] else whole[:-1] + b"\x01")
    assert converted(file) == made
    assert weights.read_bytes() == whole
    assert [entry.name for entry in made.folder.parent.iterdir()] == [made.folder.name]


@pytest.mark.parametrize(("pre", "splits"), [("smollm", True), ("gpt-2", False)])
def test_digits_are_split_off_where_the_file_says_so(tmp_path: Path, pre: str, splits: bool) -> None:
    path = tmp_path / "digits.gguf"
    write_gguf(path, pre)
    assert read_metadata(path)["tokenizer.ggml.pre"] == pre
    load_bundle(str(path))
    backend = load_bundle(str(path)).tokenizer.backend_tokenizer
    pieces = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str("a:\n\n12")]
    assert pieces == (["a", ":", "ĊĊ", "1", "2"] if splits else ["a", ":", "Ċ", "Ċ", "12"])


def test_file_without_a_chat_template_names_the_remedy(tmp_path: Path) -> None:
    write_gguf(tmp_path / "plain.gguf", template=False)
    with pytest.raises(ModelError, match=r"no chat template.*model\.template"):
        load_template(str(tmp_path / "plain.gguf"))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(100), b"GGUF\3\0\0\0" + b"\xff" * 99, b"text" * 99])
def test_what_is_not_gguf_is_refused(tmp_path: Path, cache: Path, content: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.gguf: this GGUF file cannot be read"):
        load_bundle(str(path))
    assert not list(cache.glob("gguf/*"))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.99])
def test_truncated_file_is_refused(file: Path, cache: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"tiny\.gguf: this GGUF file cannot be read"):
        load_bundle(str(file))
    assert not list(cache.glob("gguf/*"))
