"""Converting a model to CTranslate2: once for equal weights, whole or not at all, and compared with the original."""

import hashlib
import importlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

import torch

from tutelage.errors import MissingExtra, ModelError
from tutelage.files import atomic_folder
from tutelage.models.bundle import Bundle
from tutelage.models.gguf_file import cache_folder
from tutelage.models.load import save_folder
from tutelage.models.logits import logits_of
from tutelage.models.quiet import quiet

COMPUTE = "int8"
KEPT = 4
"""Converted models that stay in the cache: every round of a run makes one, and each is as large as its model."""

_PROBE = " ".join(
    f"On day {day} the keeper climbed the {7 * day} stairs of the lighthouse, wound the clock and wrote the weather "
    f"into a book; the wind had turned to the {direction}, and {day + 2} ships had passed."
    for day, direction in enumerate(("north", "east", "south", "west", "north", "east", "south", "west"), start=1)
)
# SmolLM2-135M: 0.08 from the rounding of the weights; 0.5 when the base of the rotary frequencies is ten times too low.
_TOLERANCE = 0.25


def ctranslate2_installed() -> bool:
    """Whether the fast CPU engine can be used here."""
    return importlib.util.find_spec("ctranslate2") is not None


def require_ctranslate2() -> ModuleType:
    """Return the package; raises :class:`MissingExtra` with the line that installs it."""
    if not ctranslate2_installed():
        raise MissingExtra("the fast CPU engine (CTranslate2)", "cpu")
    with quiet():
        return importlib.import_module("ctranslate2")


def converted_folder(bundle: Bundle, *, cache: Path | None = None) -> Path:
    """Return the folder of a bundle as an int8 CTranslate2 model, converting it unless equal weights were before.

    Raises :class:`ModelError` when an adapter stands beside the weights or before the text, when the architecture is
    not supported, and when the converted model does not compute what the original does.
    """
    if bundle.virtual is not None:
        raise ModelError(
            "CTranslate2 cannot put the virtual tokens of prefix or prompt tuning before a text",
            where=bundle.source.identity,
            remedy="sample with the transformers engine instead (engines.sampling.kind)",
        )
    runtime = require_ctranslate2()
    home = cache_folder() if cache is None else cache
    folder = home / "ctranslate2" / _digest(bundle, str(runtime.__version__))
    if folder.is_dir():
        os.utime(folder)
        return folder
    with tempfile.TemporaryDirectory(prefix="tutelage-") as scratch:
        plain = Path(scratch) / "model"
        save_folder(bundle, plain)
        with atomic_folder(folder, replace=True) as partial:
            _convert(runtime, bundle, plain, partial)
    _forget_oldest(folder.parent)
    return folder


def _convert(runtime: ModuleType, bundle: Bundle, plain: Path, target: Path) -> None:
    name = type(bundle.model).__name__
    converters = importlib.import_module("ctranslate2.converters")
    try:
        with quiet():
            converter = converters.TransformersConverter(str(plain), low_cpu_mem_usage=True)
            converter.convert(str(target), quantization=COMPUTE, force=True)
    except (ValueError, NotImplementedError, RuntimeError, AttributeError, KeyError, TypeError) as fault:
        raise ModelError(
            "CTranslate2 cannot convert this model",
            where=name,
            received=f"{type(fault).__name__}: {fault}"[:300],
            remedy="sample with the transformers engine instead (engines.sampling.kind)",
        ) from fault
    difference = _difference(runtime, bundle, target)
    if not difference < _TOLERANCE:
        raise ModelError(
            "the converted model does not compute what the original does",
            where=name,
            received=f"log-probabilities of a known text differ by {difference:.2f} a token",
            remedy="sample with the transformers engine instead (engines.sampling.kind)",
        )


def _difference(runtime: ModuleType, bundle: Bundle, folder: Path) -> float:
    """Mean absolute difference of the log-probabilities that both give to the tokens of a known text, new ones at its
    end.

    Converters that do not know a newer configuration read wrong rotary frequencies or scales without a word; that
    shows over some hundred tokens. Computed in float32, so that only the rounding of the weights is left.
    """
    ids = bundle.tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    assert isinstance(ids, list)
    ids += bundle.new_tokens
    generator = runtime.Generator(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    scored = generator.score_batch([bundle.tokenizer.convert_ids_to_tokens(ids)])[0].log_probs
    (logits,) = logits_of(bundle.model, [ids])
    exact = logits[:-1].log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]
    found = torch.tensor(scored)[-len(exact) :]
    return float((exact - found).abs().mean())


def _digest(bundle: Bundle, version: str) -> str:
    """SHA-256 over weights, configuration, tokenizer and the converter's version, 24 digits."""
    digest = hashlib.sha256(f"{version}\n{COMPUTE}\n{bundle.template.digest}\n".encode())
    digest.update(bundle.model.config.to_json_string(use_diff=False).encode())
    for name, weights in sorted(bundle.model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:24]


def _forget_oldest(home: Path) -> None:
    folders = sorted((entry for entry in home.iterdir() if entry.is_dir()), key=lambda entry: entry.stat().st_mtime)
    for folder in folders[:-KEPT]:
        if not folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
