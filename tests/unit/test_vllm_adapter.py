"""Which adapters vLLM takes as they are: by their configuration and their weights' names, before a server is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tutelage.completers.vllm.adapter import name_of, rank_of, room_for, why_not

PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 16,
    "lora_alpha": 22.6,
    "use_rslora": True,
    "use_dora": False,
    "bias": "none",
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "trainable_token_indices": None,
    "target_modules": ["q_proj"],
}
NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def adapter(folder: Path, name: str = NAME, value: float = 0.0, **changed: Any) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN | changed))
    save_file({name: torch.full((2, 2), value)}, folder / "adapter_model.safetensors")
    return folder


def test_plain_lora_is_taken_with_its_rank(tmp_path: Path) -> None:
    assert why_not(adapter(tmp_path)) == ""
    assert rank_of(tmp_path) == 16
    assert [room_for(rank) for rank in (1, 8, 9, 16, 64, 257, 512)] == [8, 8, 16, 16, 64, 320, 512]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"peft_type": "IA3"}, "LoRA alone, and this is IA3"),
        ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING"),
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [5]}, "rows of new tokens"),
        ({"rank_pattern": {"q_proj": 4}}, "ranks of single layers"),
        ({"alpha_pattern": {"q_proj": 4}}, "scales of single layers"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"r": 1024}, "ranks up to 512, and this one has 1024"),
        ({"name": "base_model.model.model.embed_tokens.lora_embedding_A"}, "embeddings"),
        ({"name": "base_model.model.lm_head.lora_A.weight"}, "output layer"),
    ],
)
def test_what_it_would_refuse_or_pass_over_is_named(changed: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in why_not(adapter(tmp_path, **changed))


def test_the_name_is_of_weights_and_settings(tmp_path: Path) -> None:
    first = name_of(adapter(tmp_path))
    assert name_of(adapter(tmp_path)) == first
    assert len({first, name_of(adapter(tmp_path, value=1.0)), name_of(adapter(tmp_path, lora_alpha=8))}) == 3
