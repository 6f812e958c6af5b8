"""GGUF files: read once, kept as a plain model folder that loads in a second."""

import io
import os
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel, PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.files import atomic_folder, read_json, sha256_file, write_json
from tutelage.models.faults import InWords
from tutelage.models.gguf_header import broken_gguf, read_metadata
from tutelage.models.quiet import quiet

CONVERSION = 1
"""Version of the conversion; a new one makes older folders obsolete."""
CACHE_VARIABLE = "TUTELAGE_CACHE"
_MANIFEST = "tutelage.json"
# Pre-tokenizers, by GGUF's name, that split off every digit. transformers leaves that rule out when it reads a GGUF
# file, and then "\n\n1." gets other ids than those the model was trained on.
_DIGIT_SPLITTING = ("smollm", "starcoder", "refact", "command-r")


@dataclass(frozen=True, slots=True)
class Converted:
    """The model folder made from a GGUF file, the file's SHA-256 and its license as stated in it."""

    folder: Path
    sha256: str
    license: str


def cache_folder() -> Path:
    """Return the folder for converted models: ``$TUTELAGE_CACHE``, else ``~/.cache/tutelage``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "tutelage")


def converted(path: Path) -> Converted:
    """Return the plain model folder (bfloat16 safetensors, tokenizer, chat template) of a GGUF file.

    Made at the first call, found by the file's SHA-256 later; a folder whose files have changed is made anew. Raises
    :class:`ModelError` on a file that is not a whole GGUF model and :class:`StorageError` when the cache cannot be
    written.
    """
    digest = sha256_file(path)
    folder = cache_folder() / "gguf" / f"{digest}-{CONVERSION}"
    if not _is_whole(folder):
        _convert(path, digest, folder)
    return Converted(folder, digest, str(_manifest(folder).get("license", "")))


def read_gguf(path: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Return model and tokenizer of a GGUF file, weights unpacked to ``dtype``. Raises :class:`ModelError`."""
    facts = read_metadata(path)
    # transformers draws a bar of its own while it unpacks.
    with quiet(), redirect_stderr(io.StringIO()):
        with InWords(lambda reason: broken_gguf(path, reason)):
            tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                str(path.parent),
                gguf_file=path.name,
                dtype=dtype,
                quantization_config=GgufConfig(dequantize=True),
            )
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelError("this GGUF file has a tokenizer of an unknown kind", where=str(path))
        if facts.get("tokenizer.ggml.pre") in _DIGIT_SPLITTING:
            tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
        # The weights are plain now; the note would make every later load look for the GGUF file.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
    return model, tokenizer


def _convert(path: Path, digest: str, folder: Path) -> None:
    license = read_metadata(path).get("general.license", "")
    model, tokenizer = read_gguf(path, torch.bfloat16)
    with quiet(), atomic_folder(folder, replace=True) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        files = {entry.name: sha256_file(entry) for entry in sorted(partial.iterdir())}
        write_json(partial / _MANIFEST, {"gguf_sha256": digest, "license": license, "files": files})


def _manifest(folder: Path) -> dict[str, object]:
    content = read_json(folder / _MANIFEST)
    return content if isinstance(content, dict) else {}


def _is_whole(folder: Path) -> bool:
    if not (folder / _MANIFEST).is_file():
        return False
    files = _manifest(folder).get("files")
    return isinstance(files, dict) and all(
        (folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in files.items()
    )
