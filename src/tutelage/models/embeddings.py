"""Texts as numbers that are near one another where the texts are alike: by a language model's own hidden states, or by
a sentence encoder in a folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.files import read_text
from tutelage.models.bundle import Bundle
from tutelage.models.faults import InWords
from tutelage.models.hardware import Dtype, pick_device, pick_dtype
from tutelage.models.load import folder_digest
from tutelage.models.quiet import quiet
from tutelage.models.settings import config_digest, tokenizer_digest

RULES = 1
"""Version of how texts become numbers; part of the key of every embedding."""
KNOWN_MODULES = {"Transformer", "Pooling", "Normalize"}
"""What of a sentence-transformers folder is computed here; the length of a vector, which ``Normalize`` makes 1, is
nobody's concern."""
Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class Embedder:
    """A model without its output layer, its tokenizer, and how the states of tokens become one vector.

    ``lead`` are tokens before every text that no mean counts: a causal model's first token sees nothing but itself, and
    its state is much the same whatever it is. ``special``: the tokenizer adds its own tokens (encoders). ``pooling``:
    the mean over tokens, or the first token's state (``cls``). ``identity`` names the weights and all else that
    decides a text's numbers: configuration, tokenizer, pooling, ``lead``.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    lead: tuple[int, ...]
    special: bool
    pooling: Pooling
    max_tokens: int
    identity: str

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, the first ``max_tokens`` of each; none where a text has no words."""
        known = self.tokenizer(
            list(texts),
            add_special_tokens=self.special,
            truncation=True,
            max_length=self.max_tokens - len(self.lead),
            return_attention_mask=False,
            verbose=False,
        )["input_ids"]
        return [[*self.lead, *ids] if text.strip() else [] for text, ids in zip(texts, known, strict=True)]

    @torch.inference_mode()
    def embed(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the vectors (n, d) of texts as tokens, each with at least one beyond ``lead``.

        Rows are padded on the right to the longest; a padded place is seen by no other and counts in no mean.
        """
        device = next(self.model.parameters()).device
        longest = max(map(len, batch))
        ids = torch.zeros((len(batch), longest), dtype=torch.int64)
        seen = torch.zeros((len(batch), longest), dtype=torch.int64)
        for at, row in enumerate(batch):
            ids[at, : len(row)] = torch.tensor(row)
            seen[at, : len(row)] = 1
        states: Tensor = self.model(input_ids=ids.to(device), attention_mask=seen.to(device)).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0].float().cpu().numpy()
        seen[:, : len(self.lead)] = 0
        counted = seen.to(device)[..., None]
        found: NDArray[np.float32] = ((states.float() * counted).sum(dim=1) / counted.sum(dim=1)).cpu().numpy()
        return found


def embedder_of(bundle: Bundle, max_tokens: int) -> Embedder:
    """Return the embedder that a causal language model is: the mean of its last hidden states, each of which knows only
    what stands before it."""
    tokenizer = bundle.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else bundle.template.end_ids[0]
    limit = max_tokens if bundle.context is None else min(max_tokens, bundle.context)
    dtype = str(bundle.model.dtype).removeprefix("torch.")
    return Embedder(
        model=bundle.model.base_model,
        tokenizer=tokenizer,
        lead=(int(first),),
        special=False,
        pooling="mean",
        max_tokens=limit,
        identity=(
            f"{bundle.source.identity} {dtype} config {config_digest(bundle.model.config)} "
            f"tokenizer {tokenizer_digest(tokenizer)} lead {int(first)}"
        ),
    )


def load_embedder(folder: Path, *, max_tokens: int, dtype: Dtype = "auto", device: str = "auto") -> Embedder:
    """Load a sentence encoder (BERT and its kind) from a folder, with the pooling that the folder states.

    Code from the folder is never run and weights are read from safetensors alone. Raises :class:`ModelError` for a
    folder that is none, is of a language model, or does more than pool.
    """
    pooling, most = require_encoder(folder)
    target = pick_device(device)
    arithmetic = pick_dtype(dtype, target)
    remedy = "save it again; a whole one has config.json, tokenizer.json and *.safetensors"

    def refuse(reason: str) -> ModelError:
        return ModelError("the encoder cannot be loaded", where=str(folder), received=reason, remedy=remedy)

    with quiet(), InWords(refuse):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=arithmetic
        )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError("the tokenizer has no fast (tokenizer.json) form", where=str(folder))
    model.to(target)
    model.train(False)
    own = getattr(model.config, "max_position_embeddings", None)
    limits = [max_tokens, *([most] if most else []), *([int(own)] if own else [])]
    return Embedder(
        model=model,
        tokenizer=tokenizer,
        lead=(),
        special=True,
        pooling=pooling,
        max_tokens=min(limits),
        identity=(
            f"{folder.name}@{folder_digest(folder)[:12]} {pooling} {str(arithmetic).removeprefix('torch.')} "
            f"config {config_digest(model.config)} tokenizer {tokenizer_digest(tokenizer)}"
        ),
    )


def require_encoder(folder: Path) -> tuple[Pooling, int | None]:
    """Return how an encoder's folder says that tokens are pooled, and how many it reads at most (None: unsaid).

    Nothing is loaded. Raises :class:`ModelError` for a folder without weights, or one that asks for more than pooling.
    """
    if not folder.is_dir():
        raise ModelError("there is no such folder", where=str(folder), remedy="give the folder of a sentence encoder")
    folder_digest(folder)
    made = _object(folder / "config.json").get("architectures")
    if isinstance(made, list) and any(str(name).endswith("ForCausalLM") for name in made):
        remedy = "take embedding: {kind: start} with this as the model, or the folder of a sentence encoder"
        raise ModelError("this is a language model, not an encoder", where=str(folder), remedy=remedy)
    modules = _list(folder / "modules.json")
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if others := [kind for kind in kinds if kind not in KNOWN_MODULES]:
        what = "this encoder computes more than the mean of its tokens"
        raise ModelError(what, where=str(folder / "modules.json"), received=", ".join(others), remedy="take another")
    pooling: Pooling = "mean"
    for module, kind in zip(modules, kinds, strict=True):
        if kind == "Pooling":
            pooling = _pooling(folder / str(module.get("path", "")) / "config.json")
    most = _object(folder / "sentence_bert_config.json").get("max_seq_length")
    return pooling, most if isinstance(most, int) else None


def _pooling(file: Path) -> Pooling:
    said = [key.removeprefix("pooling_mode_") for key, value in _object(file).items() if value is True]
    modes = [mode for mode in said if mode not in {"include_prompt"}]
    if modes == ["mean_tokens"]:
        return "mean"
    if modes == ["cls_token"]:
        return "cls"
    remedy = "take an encoder that pools by mean_tokens or cls_token"
    raise ModelError("the encoder pools in another way", where=str(file), received=", ".join(modes), remedy=remedy)


def _object(file: Path) -> dict[str, object]:
    found = _json(file)
    return found if isinstance(found, dict) else {}


def _list(file: Path) -> list[dict[str, object]]:
    found = _json(file)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _json(file: Path) -> object:
    if not file.is_file():
        return None
    try:
        return json.loads(read_text(file))
    except ValueError as fault:
        raise ModelError("this file of the encoder is no JSON", where=str(file)) from fault
