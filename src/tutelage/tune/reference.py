"""Log-probabilities under the model as it came, each computed once before the first step and kept beside the run."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from tutelage.errors import RunError
from tutelage.files import read_text, write_atomic
from tutelage.models.template import Encoded
from tutelage.records import Record
from tutelage.tune.training.network import Network
from tutelage.tune.training.parts import in_parts

FILE = "reference.json"


class Kept(Record):
    """``reference.json``: of which run, and the log-probability in nats of each document's targets by its key."""

    fingerprint: str
    logprobs: dict[str, float]


class Reference:
    """Log-probabilities (nats) of documents' targets under the model as it came, by document."""

    def __init__(self) -> None:
        self.known: dict[str, float] = {}
        """By the key of the document."""

    def of(self, documents: Sequence[Encoded], like: Tensor) -> Tensor:
        """Return the log-probabilities of ``documents`` (R), on the device of ``like``, float32."""
        found = [self.known[key_of(document)] for document in documents]
        return torch.tensor(found, dtype=torch.float32, device=like.device)

    def missing(self, documents: Iterable[Encoded]) -> list[Encoded]:
        """Return those of ``documents`` that are not known yet, each once."""
        unknown = {key: document for document in documents if (key := key_of(document)) not in self.known}
        return list(unknown.values())

    def learn(self, documents: Sequence[Encoded], network: Network, limit: int) -> Iterator[int]:
        """Compute the log-probabilities of ``documents``, ``limit`` tokens at once; yield how many are done."""
        done = 0
        for part, found in logprobs_of(documents, network, limit):
            self.known.update({key_of(one): value for one, value in zip(part, found.tolist(), strict=True)})
            done += len(part)
            yield done

    def load(self, folder: Path, fingerprint: str) -> bool:
        """Take what ``folder`` keeps of the same run; return whether there is any.

        Raises
        ------
        RunError: the file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return False
        try:
            kept = Kept.from_json(read_text(file))
        except ValidationError as error:
            raise RunError("the reference is damaged", where=str(file), remedy="delete it, it is made anew") from error
        if kept.fingerprint == fingerprint:
            self.known.update(kept.logprobs)
        return kept.fingerprint == fingerprint

    def save(self, folder: Path, fingerprint: str) -> None:
        """Keep all that is known in ``folder``; nothing, if nothing is."""
        if not self.known:
            return
        write_atomic(folder / FILE, Kept(fingerprint=fingerprint, logprobs=self.known).model_dump_json() + "\n")


def key_of(document: Encoded) -> str:
    """Return what tells a document from all others: 32 hexadecimal digits over its tokens and targets."""
    digest = hashlib.sha256(np.asarray(document.ids, dtype=np.int32).tobytes())
    digest.update(np.asarray(document.targets, dtype=np.bool_).tobytes())
    return digest.hexdigest()[:32]


def logprobs_of(
    documents: Sequence[Encoded], network: Network, limit: int
) -> Iterator[tuple[Sequence[Encoded], Tensor]]:
    """Yield documents and Σ log p of the targets of each, float32, ``limit`` tokens at once."""

    @torch.no_grad()
    def compute(part: Sequence[Encoded]) -> Tensor:
        predictions = network.predict(network.pack(part))
        return -predictions.by_document(predictions.token_losses())

    return in_parts(documents, limit, compute, virtual=network.virtual, whole=network.sharded)
