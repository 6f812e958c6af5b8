"""Adapters put onto a base model, and refused where they do not fit."""

import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from tutelage.errors import ModelError
from tutelage.files import sha256_file
from tutelage.models.faults import InWords
from tutelage.models.hardware import cast_weights

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def require_adapter(folder: Path) -> None:
    """Raise :class:`ModelError` unless ``folder`` holds a PEFT adapter in safetensors."""
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            "this folder holds no adapter",
            where=str(folder),
            received=f"no {' and no '.join(missing)}",
            remedy="give a folder that PEFT has saved with safetensors",
        )


def adapter_digest(folder: Path) -> str:
    """Return the SHA-256 of the adapter's weights."""
    return sha256_file(folder / WEIGHTS)


def add_adapter(model: PreTrainedModel, folder: Path, *, merge: bool) -> PreTrainedModel:
    """Return ``model`` with the adapter of ``folder``: as layers beside the weights, or added into them.

    ``merge`` adds in float32 and rounds once; in bfloat16 small updates still vanish in the rounding of large weights,
    so unmerged is what scores are made with. Raises :class:`ModelError` when the adapter does not fit the model.
    """
    require_adapter(folder)
    dtype = model.dtype
    if merge:
        cast_weights(model, torch.float32)
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        with InWords(lambda reason: _misfit(folder, reason)):
            adapted = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
    # PEFT only warns when weights are absent, and then leaves them random.
    absent = [str(complaint.message) for complaint in complaints if "missing adapter keys" in str(complaint.message)]
    if absent:
        raise _misfit(folder, absent[0][:300])
    plain = adapted.merge_and_unload() if merge else adapted.get_base_model()
    assert isinstance(plain, PreTrainedModel)
    cast_weights(plain, dtype)
    return plain


def _misfit(folder: Path, received: str) -> ModelError:
    return ModelError(
        "the adapter does not fit the base model",
        where=str(folder),
        received=received,
        remedy="load it on the model it was trained on (adapter_config.json names it)",
    )
