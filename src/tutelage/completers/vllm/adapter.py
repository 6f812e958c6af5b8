"""Which adapters vLLM takes as they are, and the name under which it gets one.

It reads of ``adapter_config.json`` the rank, alpha, rsLoRA, and what it refuses (``vllm/lora/peft_helper.py``); the
rest it passes over. So ranks or alphas of single layers, rows of new tokens and trained biases would be left out
without a word, and are refused here.
"""

import hashlib
import json
import struct
from pathlib import Path

from tutelage.files import read_text, sha256_file, storage

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What ``--max-lora-rank`` may be."""
IN_NO_WEIGHT = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING")
"""Kinds that stand before every text and cannot be merged."""
_PASSED_OVER = {
    "trainable_token_indices": "rows of new tokens",
    "rank_pattern": "ranks of single layers",
    "alpha_pattern": "scales of single layers",
    "layer_replication": "repeated layers",
    "target_parameters": "single parameters",
    "lora_bias": "trained biases",
    "use_qalora": "QALoRA",
}
_BY_TOKEN = ("embed_tokens", "lm_head", "lora_embedding_")


def is_adapter(folder: Path) -> bool:
    """Whether ``folder`` holds an adapter, and not a whole model."""
    return (folder / CONFIG).is_file()


def kind_of(folder: Path) -> str:
    """Return PEFT's name of the adapter's kind."""
    return str(_config(folder).get("peft_type"))


def rank_of(folder: Path) -> int:
    """Return the adapter's rank."""
    return int(str(_config(folder).get("r", 0)))


def room_for(rank: int) -> int:
    """Return the least ``--max-lora-rank`` for an adapter of ``rank``, of at most 512."""
    return next(most for most in RANKS if most >= rank)


def why_not(folder: Path) -> str:
    """Return in words why vLLM cannot take the adapter of ``folder`` as it is; empty: it can."""
    config = _config(folder)
    if (kind := kind_of(folder)) != "LORA":
        return f"vLLM takes LoRA alone, and this is {kind}"
    if config.get("use_dora"):
        return "vLLM does not take DoRA"
    if config.get("modules_to_save"):
        return "vLLM takes no modules that were trained whole (modules_to_save)"
    if config.get("bias", "none") != "none":
        return "vLLM would leave the trained biases out"
    for key, named in _PASSED_OVER.items():
        if config.get(key):
            return f"vLLM would leave {named} out ({key})"
    if rank_of(folder) > RANKS[-1]:
        return f"vLLM takes ranks up to {RANKS[-1]}, and this one has {rank_of(folder)}"
    if by_token := [name for name in _names(folder) if any(part in name for part in _BY_TOKEN)]:
        return f"not every vLLM takes adapters of embeddings or of the output layer ({by_token[0]})"
    return ""


def name_of(folder: Path) -> str:
    """Return the name under which a server gets the adapter: equal for equal weights and settings alone."""
    digest = hashlib.sha256(f"{sha256_file(folder / CONFIG)} {sha256_file(folder / WEIGHTS)}".encode())
    return f"adapter-{digest.hexdigest()[:24]}"


def _config(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(read_text(folder / CONFIG))
    return found


def _names(folder: Path) -> list[str]:
    """The names of the adapter's weights, from the head of the file (safetensors: its length, then JSON)."""
    file = folder / WEIGHTS
    with storage(file, "read the adapter"), file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        return sorted(json.loads(opened.read(length)))
