"""Models from a hub id, a folder, a GGUF file or an alias; every failure in words."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tutelage.errors import ModelError
from tutelage.files import atomic_folder, sha256_file
from tutelage.models.adapters import CONFIG as ADAPTER_CONFIG
from tutelage.models.adapters import adapt, adapter_digest, add_adapter, require_adapter, require_reward_adapter
from tutelage.models.bundle import Bundle, ModelSource
from tutelage.models.default import ALIASES, default_file
from tutelage.models.faults import InWords
from tutelage.models.four_bit import require_four_bits
from tutelage.models.gguf_file import converted
from tutelage.models.hardware import Dtype, cast_weights, pick_device, pick_dtype
from tutelage.models.new_tokens import NewToken, grow, prepare_tokenizer, template_of_adapter, tokens_of_adapter
from tutelage.models.plain import write_model
from tutelage.models.quiet import quiet
from tutelage.models.rewards import HEAD, no_language_model, reward_head, with_reward_head
from tutelage.models.template import ChatTemplate
from tutelage.models.tiny import tiny_model

__all__ = ["TINY", "Bundle", "ModelSource", "load_bundle", "load_reward", "load_template", "save_folder"]

TINY = "tiny"
MODEL_CONFIG = "config.json"
REWARDS = "give what a tuning with objective: {kind: reward} left, or any other sequence classifier with one label"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where transformers finds the files: ``name`` is a folder or a hub id."""

    name: str
    source: ModelSource
    revision: str | None = None
    offline: bool = False


def load_bundle(
    model_id: str,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    revision: str | None = None,
    offline: bool = False,
    adapter: Path | None = None,
    merge: bool = False,
    template: Path | None = None,
    new_tokens: Sequence[str] = (),
    four_bit: bool = False,
) -> Bundle:
    """Load a model for reading or tuning.

    Parameters
    ----------
    model_id: a hub id, a folder, a ``.gguf`` file, ``default`` (``smollm2-135m-instruct``) or ``tiny``.
    dtype: ``auto`` is bfloat16 where the processor computes in it, else float32; ``tiny`` is float32.
    device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    revision: branch, tag or commit of a hub id. ``offline``: take hub ids from the local cache alone.
    adapter: folder of a PEFT adapter to put on; ``merge`` adds it into the weights. One of prefix or prompt tuning is
        in no weight: it becomes the bundle's ``virtual`` tokens, whatever ``merge`` says.
    template: file of a chat template that replaces the tokenizer's own.
    new_tokens: become special tokens of the tokenizer, and rows of the model (:mod:`new_tokens`). An adapter that has
        trained some brings them, and its chat template, where neither is given.
    four_bit: keep the linear layers in 4 bits (NF4 with double quantization, Dettmers et al. 2023, section 3), to be
        tuned beside them; ``dtype`` is what they compute in.

    Code from the model's repository is never run and weights are read from safetensors alone. Raises
    :class:`ModelError`; :class:`tutelage.errors.TemplateError` when the chat template cannot be used;
    :class:`tutelage.errors.MissingExtra` when 4 bits are wanted without bitsandbytes.
    """
    if adapter is not None:
        require_adapter(adapter)
    target = pick_device(device)
    if model_id == TINY:
        bundle = tiny_model()
        new = prepare_tokenizer(bundle.tokenizer, template, new_tokens, adapter)
        bundle.template = ChatTemplate(bundle.tokenizer)
        if four_bit:
            bundle.model = _through_a_folder(bundle, dtype, target)
        _move(bundle.model, target)
        if dtype != "auto":
            cast_weights(bundle.model, pick_dtype(dtype, target))
    else:
        place = _place(model_id, revision, offline)
        tokenizer = _load_tokenizer(place)
        new = prepare_tokenizer(tokenizer, template, new_tokens, adapter)
        chat = ChatTemplate(tokenizer)
        model = _load_model(place, dtype, target, four_bit=four_bit)
        commit = str(getattr(model.config, "_commit_hash", None) or "")
        source = replace(place.source, revision=commit) if place.source.kind == "hub" else place.source
        bundle = Bundle(model=model, tokenizer=tokenizer, template=chat, source=source)
    _grow(bundle, new)
    bundle.four_bit = four_bit
    if adapter is not None:
        _put_on(bundle, adapter, merge=merge)
    return bundle


def load_tuned(
    model_id: str,
    weights: Path | None,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    revision: str | None = None,
    offline: bool = False,
    merge: bool = False,
    template: Path | None = None,
    new_tokens: Sequence[str] = (),
    four_bit: bool = False,
) -> Bundle:
    """Load a model as a tuning left it: with the adapter in ``weights``, or the whole model that is there instead.

    Without ``weights`` it is the model as it came. The other arguments and the errors are those of :func:`load_bundle`;
    a whole model has its new tokens already.
    """
    if weights is None or (weights / ADAPTER_CONFIG).is_file() or not (weights / MODEL_CONFIG).is_file():
        return load_bundle(
            model_id,
            dtype=dtype,
            device=device,
            revision=revision,
            offline=offline,
            adapter=weights,
            merge=merge,
            template=template,
            new_tokens=new_tokens,
            four_bit=four_bit,
        )
    # What `auto` is for the tiny model, its whole weights in a folder must have too.
    own_dtype: Dtype = "float32" if model_id == TINY and dtype == "auto" else dtype
    return load_bundle(
        str(weights), dtype=own_dtype, device=device, offline=offline, template=template, four_bit=four_bit
    )


def load_reward(
    weights: Path,
    model_id: str | None = None,
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    revision: str | None = None,
    offline: bool = False,
    template: Path | None = None,
) -> Bundle:
    """Load a reward model as a tuning left it: an adapter with its head, or a whole model.

    ``model_id`` is the base of an adapter (None: the one that it names); of a whole model it is not asked. The other
    arguments are those of :func:`load_bundle`. Raises :class:`ModelError`, also where ``weights`` gives no rewards.
    """
    if (weights / ADAPTER_CONFIG).is_file() or not (weights / MODEL_CONFIG).is_file():
        named = require_reward_adapter(weights)
        if not (base := model_id or named):
            remedy = "say which model it was trained on (--model)"
            raise ModelError("the adapter does not name its base model", where=str(weights), remedy=remedy)
        bundle = load_bundle(
            base,
            dtype=dtype,
            device=device,
            revision=revision,
            offline=offline,
            template=template if template is not None else template_of_adapter(weights),
            new_tokens=tuple(tokens_of_adapter(weights)),
        )
        bundle = with_reward_head(bundle, seed=0)  # the adapter brings another
        with quiet():
            bundle.model = add_adapter(bundle.model, weights, merge=False)
            bundle.model.train(False)
        bundle.source = replace(bundle.source, adapter=adapter_digest(weights))
        return bundle
    place = _place(str(weights), None, offline)
    tokenizer = _load_tokenizer(place)
    prepare_tokenizer(tokenizer, template, (), None)
    own_dtype: Dtype = "float32" if model_id == TINY and dtype == "auto" else dtype
    model = _load_model(place, own_dtype, pick_device(device), kind=AutoModelForSequenceClassification)
    if model.config.num_labels != 1 or reward_head(model) is None:
        received = f"{type(model).__name__} with {model.config.num_labels} labels"
        raise ModelError("this model gives no rewards", where=str(weights), received=received, remedy=REWARDS)
    return Bundle(model=model, tokenizer=tokenizer, template=ChatTemplate(tokenizer), source=place.source)


def load_template(
    model_id: str,
    *,
    revision: str | None = None,
    offline: bool = False,
    template: Path | None = None,
    new_tokens: Sequence[str] = (),
) -> ChatTemplate:
    """Load a model's chat template and tokenizer without its weights; arguments as in :func:`load_bundle`."""
    is_tiny = model_id == TINY
    tokenizer = tiny_model().tokenizer if is_tiny else _load_tokenizer(_place(model_id, revision, offline))
    prepare_tokenizer(tokenizer, template, new_tokens, None)
    return ChatTemplate(tokenizer)


def save_folder(bundle: Bundle, path: Path) -> None:
    """Write a bundle as a plain model folder (safetensors, tokenizer, chat template), whole or not at all.

    Raises :class:`ModelError` when an adapter stands beside the weights, and :class:`tutelage.errors.StorageError`
    when the folder exists already or cannot be written.
    """
    with atomic_folder(path) as partial:
        write_model(bundle, partial)


def _place(model_id: str, revision: str | None, offline: bool) -> _Place:
    if not model_id.strip():
        raise _no_such(model_id)
    path = Path(model_id).expanduser() if model_id.strip() else Path("no name")
    is_file = path.suffix == ".gguf"
    if revision is not None and (model_id in ALIASES or is_file or path.is_dir()):
        raise ModelError("only hub ids have revisions", where=model_id, received=revision, remedy="leave it out")
    if model_id in ALIASES or is_file:
        if is_file and not path.is_file():
            raise ModelError("no such file", where=model_id, remedy="check the path")
        made = converted(path if is_file else default_file())
        source = ModelSource(model_id, "gguf" if is_file else "default", sha256=made.sha256, license=made.license)
        return _Place(str(made.folder), source, offline=True)
    if path.is_dir():
        return _Place(str(path), ModelSource(model_id, "folder", sha256=folder_digest(path)), offline=True)
    if path.is_file() or model_id.startswith((".", "/", "~")) or model_id.count("/") > 1:
        raise _no_such(model_id)
    return _Place(model_id, ModelSource(model_id, "hub"), revision, offline)


def _no_such(model_id: str) -> ModelError:
    return ModelError(
        "no such model",
        received=model_id or "an empty name",
        remedy="give a folder, a .gguf file, a hub id (owner/name), default or tiny",
    )


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and digests of the weight files. Raises :class:`ModelError` when there are none to read."""
    weights = sorted(folder.glob("*.safetensors"))
    missing = [] if weights else ["weights (*.safetensors)"]
    missing += [] if (folder / MODEL_CONFIG).is_file() else [MODEL_CONFIG]
    missing += [] if any(folder.glob("tokenizer*")) else ["tokenizer (tokenizer.json)"]
    if missing:
        pickled = sorted(entry.name for entry in folder.glob("*.bin"))
        is_adapter = (folder / "adapter_config.json").is_file()
        raise ModelError(
            f"the model folder lacks {', '.join(missing)}",
            where=str(folder),
            received=", ".join(pickled),
            remedy="pickled weights are never read: save them as safetensors"
            if pickled
            else "this is an adapter: give its base model, and this folder as the adapter"
            if is_adapter
            else "give a folder that transformers has saved",
        )
    lines = "".join(f"{entry.name} {sha256_file(entry)}\n" for entry in weights)
    return hashlib.sha256(lines.encode()).hexdigest()


def _load_tokenizer(place: _Place) -> PreTrainedTokenizerFast:
    with _in_words(place, "the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(
            place.name, revision=place.revision, local_files_only=place.offline, trust_remote_code=False
        )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(
            "the tokenizer has no fast (tokenizer.json) form",
            where=place.source.id,
            received=type(tokenizer).__name__,
            remedy="use a model with a tokenizer.json",
        )
    return tokenizer


def _through_a_folder(bundle: Bundle, dtype: Dtype, device: torch.device) -> PreTrainedModel:
    """The tiny model in 4 bits: they are made of weights in files."""
    with TemporaryDirectory(prefix="tutelage-") as parent:
        folder = Path(parent) / TINY
        save_folder(bundle, folder)
        own_dtype: Dtype = "float32" if dtype == "auto" else dtype
        return _load_model(_Place(str(folder), bundle.source, offline=True), own_dtype, device, four_bit=True)


def _load_model(
    place: _Place,
    dtype: Dtype,
    device: torch.device,
    *,
    four_bit: bool = False,
    kind: type[AutoModelForCausalLM] | type[AutoModelForSequenceClassification] = AutoModelForCausalLM,
) -> PreTrainedModel:
    arithmetic = pick_dtype(dtype, device)
    more: dict[str, Any] = {}
    if four_bit:
        require_four_bits(device.type)
        quantized = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=arithmetic,
        )
        more = {"quantization_config": quantized, "device_map": device}
    with _in_words(place, "the model cannot be loaded"):
        loaded: object = kind.from_pretrained(
            place.name,
            revision=place.revision,
            local_files_only=place.offline,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=arithmetic,
            output_loading_info=True,
            **more,
        )
        assert isinstance(loaded, tuple)
        model, report = loaded
        # transformers leaves out what the class has no place for, and goes on.
        written = ", ".join(model.config.architectures or ())
        classifies = written.endswith("ForSequenceClassification") or f"{HEAD}.weight" in report["unexpected_keys"]
        if kind is AutoModelForCausalLM and classifies:
            raise no_language_model(place.source.id, written)
        # transformers fills absent weights with random numbers and goes on.
        absent = sorted(report["missing_keys"])
        if absent:
            raise ModelError(
                f"{len(absent)} weights are missing",
                where=place.source.id,
                received=", ".join(absent[:3]),
                remedy="save the model again; it is not whole" if kind is AutoModelForCausalLM else REWARDS,
            )
        assert isinstance(model, PreTrainedModel)
        _move(model, device)
        model.train(False)
        _keep_layout(model)
        return model


def _keep_layout(model: nn.Module) -> None:
    """Forbid layers of 4 bits to lay out their weights anew for inference.

    On a CPU with AVX-512 BF16 bitsandbytes (0.50) does so in the first pass in evaluation mode, for a kernel without a
    gradient, and takes that kernel in training too: what lies below a layer would silently learn nothing through it.
    """
    for module in model.modules():
        if "support_avx512bf16_for_cpu" in vars(module):
            vars(module)["support_avx512bf16_for_cpu"] = False


def _move(model: PreTrainedModel, device: torch.device) -> None:
    nn.Module.to(model, device)


def _put_on(bundle: Bundle, adapter: Path, *, merge: bool) -> None:
    """Put an adapter on the model, or before its texts."""
    with quiet():
        adapted = adapt(bundle.model, adapter, merge=merge)
        bundle.model, bundle.rounded, bundle.virtual = adapted.model, adapted.rounded, adapted.virtual
        bundle.model.train(False)
    merged = merge and bundle.virtual is None
    bundle.source = replace(bundle.source, adapter=adapter_digest(adapter), merged=merged)


def _grow(bundle: Bundle, new: Sequence[NewToken]) -> None:
    """Give the model its new rows, and the bundle their ids."""
    grow(bundle.model, new)
    bundle.new_tokens = tuple(token.id for token in new)
    bundle.source = replace(bundle.source, new_tokens=" ".join(token.text for token in new))


@contextmanager
def _in_words(place: _Place, what: str) -> Iterator[None]:
    if place.source.kind != "hub":
        remedy = "save or fetch the model again; a whole one has config.json, tokenizer.json and *.safetensors"
    elif place.offline:
        remedy = "it is not in the local cache: load it once without --offline"
    else:
        remedy = "check the id and the connection, or give a local folder"
    with (
        quiet(),
        InWords(lambda reason: ModelError(what, where=place.source.id, received=reason, remedy=remedy)),
    ):
        yield
