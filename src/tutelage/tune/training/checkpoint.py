"""Checkpoints of a tuning run: whole or absent, safetensors and JSON, the newest one kept.

A checkpoint holds the trained weights in full precision with the state of their optimizer, the number of steps made and
their records. Nothing else is needed: the rows of a step, its learning rate and its random numbers (dropout) are
functions of the seed and the step. ``<folder>/checkpoints/<steps>/`` is written aside and renamed, so that a kill at
any moment leaves the one before.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tutelage.errors import RunError, StorageError
from tutelage.files import atomic_folder, read_text, storage
from tutelage.recipe.tune import TuneSection
from tutelage.records import Record
from tutelage.tune.rows import Asked, Pair, Rated, Row, Told, documents_of
from tutelage.tune.training.progress import Step, Summary

WITHOUT_EFFECT = {"activation_checkpointing", "checkpoint_every", "data", "sharding", "watchdog"}
"""Settings that decide no loss."""

REMEDY = "give the run another folder, or delete this one to start over"


class Position(Record):
    """How far a run has come. ``fingerprint`` says of what: settings, seed, rows and model."""

    fingerprint: str
    micro_batch_tokens: int
    history: tuple[Step, ...]

    def after(self, step: Step, *, limit: int) -> "Position":
        """Return the position after one more step, in micro-batches of at most ``limit`` tokens."""
        return Position(fingerprint=self.fingerprint, micro_batch_tokens=limit, history=(*self.history, step))


def save_checkpoint(folder: Path, position: Position, *, state: Mapping[str, Tensor]) -> None:
    """Make the newest checkpoint of ``folder`` and remove the older ones. Raises :class:`StorageError`."""
    checkpoints = folder / "checkpoints"
    target = checkpoints / f"{len(position.history):06d}"
    if not target.exists():
        with atomic_folder(target) as partial:
            write_tensors(partial / "state.safetensors", state)
            with storage(partial, "write the checkpoint"):
                (partial / "position.json").write_text(position.model_dump_json() + "\n", encoding="utf-8")
    for older in _checkpoints(folder)[:-1]:
        shutil.rmtree(older, ignore_errors=True)


def load_checkpoint(folder: Path, fingerprint: str) -> tuple[Position, dict[str, Tensor]] | None:
    """Return the newest checkpoint of ``folder``; None if there is none.

    Raises
    ------
    RunError: it is of another run, or damaged.
    """
    found = _checkpoints(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        position = Position.from_json(read_text(newest / "position.json"))
        state = load_file(newest / "state.safetensors")
    except (ValidationError, SafetensorError, OSError) as error:
        raise RunError("the checkpoint is damaged", where=str(newest), remedy="delete it to start over") from error
    require_same(position.fingerprint, fingerprint, where=newest)
    return position, state


def require_same(found: str, expected: str, *, where: Path) -> None:
    """Raise :class:`RunError` unless the two fingerprints are equal."""
    if found != expected:
        raise RunError("this folder holds another tuning run", where=str(where), remedy=REMEDY)


def load_summary(folder: Path, fingerprint: str) -> Summary | None:
    """Return the summary of a finished run; None if the run of ``folder`` is not finished.

    Raises
    ------
    RunError: it is of another run, or damaged.
    """
    file = folder / "summary.json"
    if not file.is_file():
        return None
    try:
        summary = Summary.from_json(read_text(file))
    except ValidationError as error:
        raise RunError("the summary is damaged", where=str(file), remedy=REMEDY) from error
    require_same(summary.fingerprint, fingerprint, where=file)
    return summary


def fingerprint_of(model: nn.Module, rows: Sequence[Row], section: TuneSection, *, seed: int, reward: str = "") -> str:
    """Return a hash of what decides the losses of a run: settings, seed, rows, and the model it starts from.

    Of the model: name, shape, dtype and a few values of every weight. How often checkpoints are made, what watches,
    what is kept for the way back, and who holds which part of the weights decides nothing. ``reward``: what decides the
    scores of answers.
    """
    digest = hashlib.sha256()
    unset = {"early_stopping"} if section.early_stopping is None else set()  # older versions did not have it
    digest.update(section.model_dump_json(exclude=WITHOUT_EFFECT | unset).encode())
    digest.update(f"{seed}{reward}".encode())
    for row in rows:
        for document in documents_of(row).values():
            digest.update(np.asarray(document.ids, dtype=np.int32).tobytes() + b"|")
            digest.update(np.asarray(document.targets, dtype=np.bool_).tobytes() + b"|")
        if isinstance(row, Told):
            digest.update(row.likely.tobytes() + row.logprobs.tobytes() + b"told|")
        if isinstance(row, Pair) and row.margin:
            digest.update(f"margin {row.margin!r}|".encode())
        if isinstance(row, Rated):
            digest.update(b"wanted|" if row.wanted else b"unwanted|")
        if isinstance(row, Asked):
            digest.update(row.item.to_json().encode())
    for name, weight in model.named_parameters():
        digest.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode())
        digest.update(weight.detach().flatten()[:8].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file. Raises :class:`StorageError`."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with tensor_storage(path):
        save_file(whole, path, metadata=metadata)


@contextmanager
def tensor_storage(path: Path) -> Iterator[None]:
    """Turn what safetensors says of a disk that refuses into a :class:`StorageError`."""
    try:
        with storage(path, "write the weights"):
            yield
    except SafetensorError as error:
        remedy = "free some space or choose another folder, then run the same command again"
        raise StorageError(f"cannot write the weights: {error}", where=str(path), remedy=remedy) from error


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "checkpoints").glob("[0-9]*") if path.is_dir())
