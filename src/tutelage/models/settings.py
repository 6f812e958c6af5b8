"""What of a folder decides what its weights compute: configuration and tokenizer, as digests for keys."""

import hashlib
import json

from transformers import PreTrainedConfig, PreTrainedTokenizerFast

CHANCE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "_attn_implementation", "_commit_hash"}
"""Keys of a configuration that tell where it came from or how it was opened."""
LAST_CALL = {"truncation", "padding"}
"""What a tokenizer remembers of its last call."""


def config_digest(config: PreTrainedConfig) -> str:
    """Return 12 hexadecimal digits that are the same for configurations that compute the same."""
    return _digest({key: value for key, value in config.to_dict().items() if key not in CHANCE})


def tokenizer_digest(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return 12 hexadecimal digits that are the same for tokenizers that part texts in the same way."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    return _digest({key: value for key, value in backend.items() if key not in LAST_CALL})


def _digest(told: dict[str, object]) -> str:
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
