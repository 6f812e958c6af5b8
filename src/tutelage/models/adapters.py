"""Adapters put onto a base model, or before its texts, and refused where they do not fit."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, PeftType, TaskType
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from tutelage.errors import ModelError
from tutelage.files import read_text, sha256_file
from tutelage.models.faults import InWords
from tutelage.models.hardware import cast_weights
from tutelage.models.logits import distance, logits_of
from tutelage.models.new_tokens import num_rows, trained_ids
from tutelage.models.rewards import HEAD, no_language_model, reward_head
from tutelage.models.virtual import VirtualTokens, virtual_tokens

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MERGE_TOLERANCE = 1e-3
"""Largest difference of logits that a merge in float32 may make, in standard deviations of the logits."""
MUCH_ROUNDED = 0.5
"""Share of an adapter's effect above which what rounding does to a merged model is worth a word."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model with an adapter.

    ``rounded`` is how far rounding the merged weights moves the logits of a fixed row, as a share of how far the
    adapter itself moves them: at 1 the merged model is as far from the adapter as the base is. None: nothing was
    merged and rounded, or the adapter moves nothing. ``virtual``: the adapter is in no weight but stands before every
    text. ``moved`` is how far merging in float32 moved the logits, in their standard deviations; 0 where nothing was
    merged.
    """

    model: PreTrainedModel
    rounded: float | None = None
    virtual: VirtualTokens | None = None
    moved: float = 0.0


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


def require_reward_adapter(folder: Path) -> str:
    """Return the base model that the adapter of a reward model names; "" if it names none.

    Raises :class:`ModelError` unless ``folder`` holds a PEFT adapter in safetensors, with a reward head in it.
    """
    require_adapter(folder)
    with InWords(lambda reason: ModelError("the adapter cannot be read", where=str(folder), received=reason)):
        named = json.loads(read_text(folder / CONFIG)).get("base_model_name_or_path")
        with safe_open(folder / WEIGHTS, framework="pt") as found:
            names = list(found.keys())
    if not any(name.endswith(f".{HEAD}.weight") for name in names):
        raise ModelError(
            "this adapter gives no rewards",
            where=str(folder),
            received=f"{len(names)} weights, and none of a {HEAD}",
            remedy="give what a tuning with objective: {kind: reward} left",
        )
    return str(named or "")


def adapter_digest(folder: Path) -> str:
    """Return the SHA-256 of the adapter's weights."""
    return sha256_file(folder / WEIGHTS)


def add_adapter(model: PreTrainedModel, folder: Path, *, merge: bool) -> PreTrainedModel:
    """Return ``model`` with the adapter of ``folder``, as :func:`adapt` does.

    Raises :class:`ModelError` for virtual tokens too, which are in no model.
    """
    adapted = adapt(model, folder, merge=merge)
    if adapted.virtual is not None:
        remedy = "load it with load_bundle(..., adapter=...)"
        raise ModelError("this adapter stands before every text, not in the model", where=str(folder), remedy=remedy)
    return adapted.model


def adapt(model: PreTrainedModel, folder: Path, *, merge: bool) -> Adapted:
    """Put the adapter of ``folder`` on ``model``: as layers beside the weights, or added into them.

    ``merge`` adds in float32 and rounds once, to the arithmetic that the model came in: in bfloat16 a sum
    W + (alpha/r)·BA would round most of a small update away. What that one rounding costs is measured. Beside the
    weights, LoRA computes in the model's arithmetic, DoRA and IA³ in float32. Virtual tokens of prefix and prompt
    tuning are not merged; they come beside the model as it is.

    Raises
    ------
    ModelError: the adapter does not fit the model, is a reward model's and the model has no head, or merging in
        float32 changes the logits of a fixed row by more than :data:`MERGE_TOLERANCE`.
    """
    config = adapter_config(folder)
    if config.task_type == TaskType.SEQ_CLS and reward_head(model) is None:
        raise no_language_model(str(folder), TaskType.SEQ_CLS.value)
    if config.is_prompt_learning:
        with InWords(lambda reason: _misfit(folder, reason)):
            adapted = PeftModel.from_pretrained(model, str(folder))
            return Adapted(model, virtual=virtual_tokens(adapted, model))
    dtype = model.dtype
    new = trained_ids(config.trainable_token_indices) if isinstance(config, LoraConfig) else ()
    if new and new[-1] >= num_rows(model):
        raise _misfit(folder, f"a trained row of token {new[-1]}; the model has {num_rows(model)} tokens")
    base: Tensor | None = None
    if merge:
        cast_weights(model, torch.float32)
        model.train(False)
        base = _logits(model, new) if dtype != torch.float32 else None
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        with InWords(lambda reason: _misfit(folder, reason)):
            adapted = PeftModel.from_pretrained(model, str(folder))  # the adapter in float32
    # PEFT only warns when weights are absent, and then leaves them random.
    absent = [str(complaint.message) for complaint in complaints if "missing adapter keys" in str(complaint.message)]
    if absent:
        raise _misfit(folder, absent[0][:300])
    if not merge:
        plain = adapted.get_base_model()
        assert isinstance(plain, PreTrainedModel)
        if not needs_float32(adapted.active_peft_config):
            cast_weights(plain, dtype)
        return Adapted(plain)
    adapted.train(False)
    beside = _logits(adapted, new)
    merged, moved = _merged(adapted, folder, beside, new)
    cast_weights(merged, dtype)
    return Adapted(merged, None if base is None else _rounded(merged, base, beside, new), moved=moved)


def needs_float32(config: PeftConfig) -> bool:
    """Whether the adapter's numbers are lengths or factors, whose changes the rounding of bfloat16 would lose."""
    return isinstance(config, IA3Config) or (isinstance(config, LoraConfig) and config.use_dora)


def adapter_config(folder: Path) -> PeftConfig:
    """Return an adapter's configuration. Raises :class:`ModelError` where there is none, or of a kind that cannot be
    used."""
    require_adapter(folder)
    with InWords(lambda reason: _misfit(folder, reason)):
        config: PeftConfig = PeftConfig.from_pretrained(str(folder))
    kind = PeftType(config.peft_type)
    if config.is_prompt_learning and kind not in (PeftType.PREFIX_TUNING, PeftType.PROMPT_TUNING):
        remedy = "of adapters outside the weights, prefix_tuning and prompt_tuning can be used"
        raise ModelError("adapters of this kind cannot be used", where=str(folder), received=kind.value, remedy=remedy)
    return config


def _merged(adapted: PeftModel, folder: Path, before: Tensor, new: Sequence[int]) -> tuple[PreTrainedModel, float]:
    """Add a float32 adapter into its float32 base, and refuse when the logits move from ``before``."""
    try:
        merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError("the adapter cannot be merged", where=str(folder), received=str(error)) from error
    _, moved = distance(_logits(merged, new), before)
    if not moved <= MERGE_TOLERANCE:
        raise ModelError(
            "merging the adapter changes what the model computes",
            where=str(folder),
            received=f"{moved:.2g} standard deviations of the logits; {MERGE_TOLERANCE:g} are tolerated",
            remedy="use the adapter unmerged",
        )
    return merged, moved


def _rounded(merged: PreTrainedModel, base: Tensor, beside: Tensor, new: Sequence[int]) -> float | None:
    """How far the rounded weights are from the adapter beside its base, as a share of the adapter's own effect.

    All three are computed in float32, so that the weights alone tell and not the noise of bfloat16 between layers;
    the weights come back as they were, since float32 holds every bfloat16 number.
    """
    dtype = merged.dtype
    cast_weights(merged, torch.float32)
    lost = (_logits(merged, new) - beside).norm()
    cast_weights(merged, dtype)
    effect = (beside - base).norm()
    return (lost / effect).item() if effect > 0 else None


def _logits(model: PreTrainedModel | PeftModel, new: Sequence[int] = ()) -> Tensor:
    """Logits (T, V) of one fixed row of varied tokens, with the ``new`` ones at its end."""
    vocabulary: int = model.config.get_text_config().vocab_size
    ids = torch.cat([(torch.arange(64) * 7919 + 17) % vocabulary, torch.tensor(list(new), dtype=torch.int64)])
    (logits,) = logits_of(model, [ids])
    return logits


def _misfit(folder: Path, received: str) -> ModelError:
    return ModelError(
        "the adapter does not fit the base model",
        where=str(folder),
        received=received,
        remedy="load it on the model it was trained on (adapter_config.json names it)",
    )
