"""Folders as any other program writes and reads them: with transformers and PEFT alone."""

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tutelage.errors import ModelError
from tutelage.files import read_json, storage, write_json
from tutelage.models.adapters import CONFIG, WEIGHTS, needs_float32, require_adapter
from tutelage.models.bundle import Bundle
from tutelage.models.faults import InWords
from tutelage.models.quiet import quiet


@dataclass(slots=True)
class Plain:
    """What plain libraries make of a folder, in evaluation mode."""

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig


def write_model(bundle: Bundle, folder: Path) -> None:
    """Write a model folder: safetensors, tokenizer with chat template, and the tokens that end an answer.

    Raises :class:`ModelError` when an adapter stands beside the weights.
    """
    if bundle.source.adapter and not bundle.source.merged:
        raise ModelError(
            "a model folder holds no adapter beside the weights",
            where=str(folder),
            received=bundle.source.identity,
            remedy="keep the adapter's own folder" + (", or load it with merge=True" if bundle.virtual is None else ""),
        )
    with quiet(), InWords(lambda reason: _unwritten(folder, reason)), storage(folder, "write the model"):
        bundle.model.generation_config = generation_of(bundle)
        bundle.model.save_pretrained(folder)
        bundle.tokenizer.save_pretrained(folder)


def write_adapter(bundle: Bundle, adapter: Path, folder: Path, *, base: str, revision: str | None) -> None:
    """Write an adapter folder: the adapter with ``base`` as the name of its model, tokenizer and end tokens."""
    require_adapter(adapter)
    config = read_json(adapter / CONFIG)
    assert isinstance(config, dict)
    write_json(folder / CONFIG, {**config, "base_model_name_or_path": base, "revision": revision})
    with quiet(), InWords(lambda reason: _unwritten(folder, reason)), storage(folder, "write the adapter"):
        shutil.copyfile(adapter / WEIGHTS, folder / WEIGHTS)
        bundle.tokenizer.save_pretrained(folder)
        generation_of(bundle).save_pretrained(folder)


def generation_of(bundle: Bundle) -> GenerationConfig:
    """Return the model's own generation settings with the tokens that its chat template ends answers with."""
    ends = list(bundle.template.end_ids)
    own = bundle.model.generation_config
    found = copy.deepcopy(own) if own is not None else GenerationConfig()
    found.eos_token_id = ends if len(ends) > 1 else ends[0]
    found.bos_token_id = bundle.tokenizer.bos_token_id
    found.pad_token_id = bundle.tokenizer.pad_token_id if bundle.tokenizer.pad_token_id is not None else ends[-1]
    return found


def read_model(folder: Path, device: torch.device) -> Plain:
    """Read a model folder in the arithmetic that it is written in. Raises :class:`ModelError`."""
    with quiet(), InWords(lambda reason: _unread(folder, reason)):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", local_files_only=True, trust_remote_code=False
        )
        nn.Module.to(model, device)
        return Plain(model.train(False), *_beside(folder))


def read_adapter(folder: Path, base: PreTrainedModel) -> Plain:
    """Read an adapter folder onto its base model. Raises :class:`ModelError`."""
    with quiet(), InWords(lambda reason: _unread(folder, reason)):
        wide = needs_float32(PeftConfig.from_pretrained(str(folder)))
        model = PeftModel.from_pretrained(base, str(folder), autocast_adapter_dtype=wide)
        return Plain(model.train(False), *_beside(folder))


@torch.no_grad()
def generate(plain: Plain, prompt: Sequence[int], *, max_tokens: int) -> list[int]:
    """Return the greedy answer to ``prompt`` by transformers' own ``generate``, with the end token if it came.

    Of the folder's generation settings the end tokens count: a penalty on repetition would make another answer.
    """
    ends, pad = plain.generation.eos_token_id, plain.generation.pad_token_id
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, repetition_penalty=1.0, max_new_tokens=max_tokens, eos_token_id=ends, pad_token_id=pad
    )
    ids = torch.tensor([list(prompt)], device=plain.model.device)
    with quiet():
        found: torch.Tensor = plain.model.generate(  # type: ignore[operator]
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )
    tokens: list[int] = found[0, len(prompt) :].tolist()
    return tokens


def _beside(folder: Path) -> tuple[PreTrainedTokenizerFast, GenerationConfig]:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    return tokenizer, GenerationConfig.from_pretrained(folder, local_files_only=True)


def _unwritten(folder: Path, reason: str) -> ModelError:
    return ModelError("the model cannot be written", where=str(folder), received=reason)


def _unread(folder: Path, reason: str) -> ModelError:
    return ModelError("what was written cannot be read again", where=str(folder), received=reason)
