"""Writing a model for other programs, reading it again as they do, and comparing before the folder gets its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tutelage.errors import InputErrors, ModelError, Problem
from tutelage.events import Emit, Event, located, silent
from tutelage.files import atomic_folder, require_space, sha256_file, write_atomic
from tutelage.models.adapters import WEIGHTS
from tutelage.models.bundle import Bundle
from tutelage.models.gguf_file import read_gguf
from tutelage.models.gguf_writing import require_gguf, write_gguf
from tutelage.models.hardware import Dtype, cast_weights, release_memory
from tutelage.models.load import load_tuned
from tutelage.models.logits import distance, logits_of
from tutelage.models.plain import Plain, read_adapter, read_model, write_adapter, write_model
from tutelage.models.template import ChatTemplate
from tutelage.origin import versions
from tutelage.pipeline.engines import origin_of
from tutelage.pipeline.export.modelfile import write_modelfile
from tutelage.pipeline.export.parity import (
    WRITTEN_TOLERANCE,
    Reading,
    compare,
    encoded_rows,
    read_scored,
    require_same_text,
)
from tutelage.pipeline.export.records import Exported, Parity
from tutelage.pipeline.export.serving import GGUF_FILE, MODELFILE, adapter_lines, base_name, model_lines, rank_of
from tutelage.pipeline.export.source import Source, find_source
from tutelage.report.artifact import Artifact
from tutelage.report.cards import card, tuning_card
from tutelage.report.reading import read_run
from tutelage.tune.doctor.check import is_exact

RECORD, CARD = "export.json", "README.md"
NOT_RUN = "Of these, `tutelage chat` and the Python lines are run by the project's tests; servers are not."
NOT_RUN_OLLAMA = (
    "The Modelfile's template writes what the model's own does for the conversations that were compared; Ollama itself "
    "was not run."
)
NOT_RUN_GGUF = "The GGUF file was read back with transformers; llama.cpp itself was not run on it."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported as what: a ``round``, the ``start`` or else the promoted model; ``merged`` into a whole model,
    in ``dtype`` (auto: that of the run), with a GGUF file beside it, and a Modelfile for that."""

    round: int | None = None
    start: bool = False
    merged: bool = False
    dtype: Dtype = "auto"
    gguf: bool = False
    ollama: bool = False


@dataclass(slots=True)
class _Written:
    """What was written: the logits of the same weights in this package, their arithmetic, and what rounding cost."""

    logits: list[Tensor]
    dtype: str
    rounded: float | None


def export(folder: Path, out: Path, wanted: Wanted, *, emit: Emit = silent, offline: bool = False) -> Exported:
    """Write a model of the run or tuning in ``folder`` to the new folder ``out``, whole or not at all.

    Without ``merged`` it is a PEFT adapter, with it (and where all weights were tuned) a transformers folder; both with
    tokenizer, chat template, end tokens, a model card and ``export.json``. Before ``out`` gets its name it is read
    again with plain transformers and PEFT and compared with the model as it is scored.

    Raises
    ------
    RunError: there is no such model. ModelError: it cannot be loaded or written, the starting model is not the one that
        was tuned, or what was read again computes something else; nothing is left. StorageError: ``out`` exists.
    """
    source = find_source(folder, round=wanted.round, start=wanted.start)
    _require_possible(source, wanted)
    tell = located(emit, stage="export")
    with atomic_folder(out) as partial:
        return _Export(source, wanted, out, partial, tell, offline=offline).make()


def _require_possible(source: Source, wanted: Wanted) -> None:
    whole = wanted.merged or not (source.is_adapter or source.weights is None)
    problems = []
    if source.weights is None and not wanted.merged:
        problems.append(Problem("the start has no adapter", "--start", remedy="add --merged for the whole model"))
    if wanted.merged and source.is_virtual:
        what = "virtual tokens are merged into nothing: they stand before every text, in no weight"
        for asked in ("--merged", *(["--gguf"] if wanted.gguf else [])):
            problems.append(Problem(what, asked, remedy=f"leave {asked} out for the adapter's folder"))
    elif wanted.gguf and source.is_virtual:
        problems.append(Problem("virtual tokens are in no GGUF file", "--gguf", remedy="leave --gguf out"))
    elif wanted.gguf and not whole:
        problems.append(Problem("a GGUF file holds a whole model", "--gguf", remedy="add --merged"))
    if wanted.ollama and not wanted.gguf:
        problems.append(Problem("a Modelfile is for a GGUF file", "--ollama", remedy="add --merged --gguf"))
    if wanted.dtype != "auto" and not whole:
        what = "an adapter keeps the arithmetic that it was tuned in"
        problems.append(Problem(what, "--dtype", wanted.dtype, "leave it out, or add --merged"))
    if problems:
        raise InputErrors("export", problems)


class _Export:
    """One export in the making."""

    def __init__(self, source: Source, wanted: Wanted, out: Path, partial: Path, emit: Emit, *, offline: bool) -> None:
        self.source, self.wanted, self.out, self.partial = source, wanted, out, partial
        self.emit, self.offline = emit, offline
        self.as_adapter = source.is_adapter and not wanted.merged

    def make(self) -> Exported:
        """Write, read again, compare and describe."""
        self._say("reading the model as it is scored")
        bundle = self._load(merge=True)
        self._require_start(bundle)
        if self.wanted.gguf:
            require_gguf(bundle)
        modelfile = write_modelfile(bundle, Path(GGUF_FILE).name) if self.wanted.ollama else ""
        require_space(self.partial, self._bytes(bundle))
        scored = read_scored(bundle)
        template, license = bundle.template, bundle.source.license
        base = self.source.start if self.source.start is not None else origin_of(bundle)
        scored_in, device = bundle.model.dtype, bundle.model.device
        written, bundle = self._write(bundle, scored)
        if self.wanted.gguf:
            self._say(f"writing {GGUF_FILE}")
            (self.partial / GGUF_FILE).parent.mkdir()
            write_gguf(bundle, self.partial / GGUF_FILE, name=self.source.name)
        if modelfile:
            write_atomic(self.partial / MODELFILE, modelfile)
        del bundle
        release_memory()
        self._say("reading the folder again with plain transformers" + (" and peft" if self.as_adapter else ""))
        with self._read_again(device) as plain:
            exact = is_exact(scored_in) and is_exact(plain.model.dtype)
            parity = compare(plain, template=template, written=written.logits, scored=scored, exact=exact)
            self._require(parity)
        release_memory()
        gguf = self._prove_gguf(written.logits, template) if self.wanted.gguf else None
        made = Exported(
            source=self.source.name,
            label=self.source.label,
            kind="adapter" if self.as_adapter else "model",
            base=base,
            license=license,
            weights=self._digest(),
            dtype=written.dtype,
            rounded=written.rounded,
            parity=parity,
            gguf=gguf,
            gguf_tolerance=WRITTEN_TOLERANCE if gguf is not None else None,
            lines=tuple(self._lines(written.dtype)),
            versions=versions(),
        )
        return self._describe(made)

    def _load(self, *, merge: bool, dtype: Dtype | None = None, start: bool = False) -> Bundle:
        """The model with the weights (``start``: without), in the arithmetic that it was scored in or in ``dtype``."""
        model, recorded = self.source.model, self.source.start
        scored = recorded.dtype if recorded is not None and model.dtype == "auto" else model.dtype
        return load_tuned(
            model.id,
            None if start else self.source.weights,
            dtype=dtype if dtype is not None else _dtype(scored),
            device=model.device,
            revision=model.revision,
            offline=self.offline,
            merge=merge,
            template=self.source.template,
            new_tokens=model.new_tokens,
        )

    def _require_start(self, bundle: Bundle) -> None:
        """Refuse another starting model or chat template than the one that was tuned, where that was recorded."""
        recorded, now = self.source.start, origin_of(bundle)
        if recorded is None or bundle.source.id != self.source.model.id:
            return
        changed = [
            f"{key}: {before} → {after}"
            for key, before, after in (
                ("model", recorded.model, now.model),
                ("template", recorded.template, now.template),
            )
            if before != after
        ]
        if changed:
            raise ModelError(
                "the starting model is not the one that was tuned",
                where=self.source.model.id,
                received="; ".join(changed),
                remedy="bring back what it was tuned from",
            )

    def _write(self, bundle: Bundle, scored: Reading) -> tuple[_Written, Bundle]:
        """Write weights and tokenizer; return what they must compute, and the bundle that was written."""
        rows = encoded_rows(bundle.template)
        if self.as_adapter:
            self._say("writing the adapter")
            assert self.source.weights is not None
            beside = self._load(merge=False)
            model = self.source.model
            write_adapter(beside, self.source.weights, self.partial, base=base_name(model), revision=model.revision)
            return _Written(logits_of(beside.model, rows, beside.virtual), _name(beside.model.dtype), None), beside
        logits = scored.logits
        if self.wanted.dtype not in ("auto", _name(bundle.model.dtype)):
            bundle = self._load(merge=True, dtype=self.wanted.dtype)
            logits = logits_of(bundle.model, rows)
        self._say(f"writing the model in {_name(bundle.model.dtype)}")
        write_model(bundle, self.partial)
        return _Written(logits, _name(bundle.model.dtype), bundle.rounded), bundle

    @contextmanager
    def _read_again(self, device: torch.device) -> Iterator[Plain]:
        if self.as_adapter:
            yield read_adapter(self.partial, self._load(merge=False, start=True).model)
        else:
            yield read_model(self.partial, device)

    def _prove_gguf(self, written: list[Tensor], template: ChatTemplate) -> float:
        """Read the GGUF file with transformers' loader and compare; return the largest difference."""
        file = self.partial / GGUF_FILE
        model, tokenizer = read_gguf(file, torch.float32)
        plain = read_model(self.partial, torch.device("cpu"))
        cast_weights(plain.model, torch.float32)
        require_same_text(Plain(model, tokenizer, plain.generation), template)
        rows = encoded_rows(template)
        found, expected = (torch.cat(logits_of(one, rows)) for one in (model, plain.model))
        largest = distance(found, expected)[1]
        if not largest <= WRITTEN_TOLERANCE:
            raise _differs(file.name, f"logits off by {largest:.2g} standard deviations", f"{WRITTEN_TOLERANCE:g}")
        return largest

    def _require(self, parity: Parity) -> None:
        if not parity.written <= parity.written_tolerance:
            received = f"logits off by {parity.written:.2g} standard deviations from the weights that were written"
            raise _differs(self.out.name, received, f"{parity.written_tolerance:g}")
        if not parity.scored <= parity.scored_tolerance:
            received = f"logits off by {parity.scored:.2g} in the mean from the model as it is scored"
            raise _differs(self.out.name, received, f"{parity.scored_tolerance:g}")
        if not parity.holds:
            received = f"a greedy answer parts where two tokens are {parity.widest_tie:.2g} standard deviations apart"
            raise _differs(self.out.name, received, f"{parity.tie_tolerance:g}")

    def _bytes(self, bundle: Bundle) -> int:
        if self.as_adapter:
            assert self.source.weights is not None
            return (self.source.weights / WEIGHTS).stat().st_size
        size = 4 if "float32" in (self.wanted.dtype, _name(bundle.model.dtype)) else 2
        return sum(weight.numel() for weight in bundle.model.parameters()) * size * (2 if self.wanted.gguf else 1)

    def _digest(self) -> str:
        if self.source.weights is None:
            return ""
        files = sorted(self.source.weights.glob("*.safetensors"))
        return " ".join(sha256_file(file) for file in files)

    def _lines(self, dtype: str) -> list[tuple[str, str]]:
        if self.as_adapter:
            return adapter_lines(self.out, self.source.model, dtype, rank=rank_of(self.partial))
        return model_lines(self.out, dtype, gguf=self.wanted.gguf, ollama=self.wanted.ollama)

    def _describe(self, made: Exported) -> Exported:
        """Write the card, then ``export.json`` with the digests of all files."""
        write_atomic(self.partial / CARD, self._card(made))
        found = sorted(file for file in self.partial.rglob("*") if file.is_file())
        files = {file.relative_to(self.partial).as_posix(): sha256_file(file) for file in found}
        made = made.model_copy(update={"files": files})
        write_atomic(self.partial / RECORD, made.model_dump_json(indent=1) + "\n")
        return made

    def _card(self, made: Exported) -> str:
        artifact = Artifact(
            label=made.label,
            is_adapter=self.as_adapter,
            dtype=made.dtype,
            identity=made.base.model,
            license=made.license,
            proof=made.proof,
            rounding=made.rounding,
            lines=made.lines,
            not_run=" ".join(said for said in self._not_run() if said),
        )
        if self.source.run is not None:
            return card(read_run(self.source.run), weights=None, artifact=artifact)
        tuned = self.source.tuned
        assert tuned is not None
        return tuning_card(
            artifact,
            name=self.source.name,
            model=self.source.model,
            section=tuned.tune,
            seed=tuned.seed,
            rows=tuned.rows,
            data=tuned.data,
            tasks=tuned.tasks,
        )

    def _not_run(self) -> tuple[str, ...]:
        return NOT_RUN, NOT_RUN_GGUF if self.wanted.gguf else "", NOT_RUN_OLLAMA if self.wanted.ollama else ""

    def _say(self, text: str) -> None:
        self.emit(Event("note", data={"text": text}))


def _dtype(name: str) -> Dtype:
    match name:
        case "bfloat16" | "float32" | "auto":
            return name
        case _:
            return "auto"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _differs(what: str, received: str, tolerated: str) -> ModelError:
    return ModelError(
        "what was written does not compute what the model computes; nothing is left of it",
        where=what,
        received=f"{received}; {tolerated} tolerated",
        remedy="run tutelage doctor on the starting model; if it finds nothing, report this with the recipe",
    )
