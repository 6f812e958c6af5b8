"""A teacher whose distributions a student is held to: beside it, step by step, or once before the first step.

A teacher that computes once leaves the ``top_k`` most likely tokens of every target in ``teacher.safetensors`` beside
the run, which then needs it no more.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tutelage.errors import ModelError, RunError
from tutelage.files import atomic_file
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.objectives import KdObjective
from tutelage.tune.divergences import OfLikely, OfWhole
from tutelage.tune.reference import key_of
from tutelage.tune.training.attention import connect
from tutelage.tune.training.checkpoint import write_tensors
from tutelage.tune.training.losses import PositionLoss
from tutelage.tune.training.network import Network
from tutelage.tune.training.parts import in_parts
from tutelage.tune.training.virtual import LearnedPrefix

FILE = "teacher.safetensors"
OpenTeacher = Callable[[KdObjective], Bundle]


class Teacher:
    """What a teacher expects at the targets of documents: hidden states for the step at hand, or its likely tokens."""

    def __init__(self, section: KdObjective) -> None:
        self.section = section
        self._network: Network | None = None
        self._states: dict[str, Tensor] = {}
        self._likely: dict[str, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def beside(self, bundle: Bundle, student: Bundle) -> Iterator[None]:
        """Let the teacher compute beside the student while the context lasts.

        Raises
        ------
        ModelError: both have not the same tokens.
        """
        require_same_tokens(bundle, student)
        bundle.model.train(False)
        with connect(bundle.model, _before(bundle)) as network:
            self._network = network
            try:
                yield
            finally:
                self._network = None
                self._states = {}

    def look(self, documents: Sequence[Encoded], limit: int) -> None:
        """Compute the hidden states of a step's documents, ``limit`` tokens at once; those of the last are dropped."""
        if self.section.top_k is not None:
            return
        assert self._network is not None, "the teacher is not open"
        self._states = {key_of(document): states for document, states, _ in _read(documents, self._network, limit)}

    def store(
        self, documents: Sequence[Encoded], bundle: Bundle, student: Bundle, limit: int
    ) -> Iterator[tuple[int, int]]:
        """Compute the likely tokens of all documents, each once; yield how many are done of how many.

        Raises
        ------
        ModelError: both have not the same tokens.
        """
        require_same_tokens(bundle, student)
        assert self.section.top_k is not None
        bundle.model.train(False)
        texts = list({key_of(document): document for document in documents}.values())
        with connect(bundle.model, _before(bundle)) as network:
            for done, (document, states, head) in enumerate(_read(texts, network, limit), start=1):
                self._likely[key_of(document)] = _most_likely(
                    states, head, self.section.top_k, temperature=self.section.temperature
                )
                yield done, len(texts)

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
            with safe_open(file, framework="pt") as found:
                if (found.metadata() or {}).get("fingerprint") != fingerprint:
                    return False
                keys = {name.partition(".")[0] for name in found.keys()}  # noqa: SIM118  (it is no mapping)
                self._likely = {
                    key: (found.get_tensor(f"{key}.tokens"), found.get_tensor(f"{key}.logprobs")) for key in keys
                }
        except (SafetensorError, OSError) as error:
            remedy = "delete it, it is made anew"
            raise RunError("what the teacher said is damaged", where=str(file), remedy=remedy) from error
        return True

    def save(self, folder: Path, fingerprint: str) -> None:
        """Keep the likely tokens in ``folder``. Raises :class:`StorageError`."""
        tensors: dict[str, Tensor] = {}
        for key, (tokens, logprobs) in self._likely.items():
            tensors |= {f"{key}.tokens": tokens, f"{key}.logprobs": logprobs}
        with atomic_file(folder / FILE) as partial:
            write_tensors(partial, tensors, metadata={"fingerprint": fingerprint})

    def loss(self, documents: Sequence[Encoded], device: torch.device) -> PositionLoss:
        """Return what the targets of ``documents``, one after another, cost."""
        section, keys = self.section, [key_of(document) for document in documents]
        if section.top_k is not None:
            tokens, logprobs = (torch.cat([self._likely[key][at] for key in keys]).to(device) for at in (0, 1))
            return OfLikely(tokens.long(), logprobs, temperature=section.temperature)
        assert self._network is not None, "the teacher is not open"
        return OfWhole(
            torch.cat([self._states[key] for key in keys]),
            self._network.head,
            divergence=section.divergence,
            beta=section.beta,
            temperature=section.temperature,
        )


def _before(bundle: Bundle) -> LearnedPrefix | None:
    """The virtual tokens of a teacher, which stand still."""
    virtual = bundle.virtual
    return None if virtual is None else LearnedPrefix(virtual.count, lambda: virtual.layers)


def _read(
    documents: Sequence[Encoded], network: Network, limit: int
) -> Iterator[tuple[Encoded, Tensor, nn.Module | None]]:
    """Each document, the states (n, H) that predict its targets, and the layer that makes logits of them."""

    @torch.no_grad()
    def compute(part: Sequence[Encoded]) -> list[Tensor]:
        predictions = network.predict(network.pack(part))
        return [predictions.of(place, place + 1).states.clone() for place in range(len(part))]

    for part, found in in_parts(documents, limit, compute, virtual=network.virtual):
        for document, states in zip(part, found, strict=True):
            yield document, states, network.head


@torch.no_grad()
def _most_likely(states: Tensor, head: nn.Module | None, count: int, *, temperature: float) -> tuple[Tensor, Tensor]:
    tokens, logprobs = [], []
    for part in torch.split(states, 256):
        logits = (part if head is None else head(part)).float() / temperature
        found = logits.log_softmax(-1).topk(min(count, logits.shape[-1]), dim=-1)
        tokens.append(found.indices.int().cpu())
        logprobs.append(found.values.cpu())
    return torch.cat(tokens), torch.cat(logprobs)


def require_same_tokens(teacher: Bundle, student: Bundle) -> None:
    """Raise :class:`ModelError` unless both read the same ids as the same text and give as many logits."""
    ours, theirs = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    sizes = [bundle.model.config.get_text_config().vocab_size for bundle in (student, teacher)]
    if ours != theirs:
        other = sum(ours.get(token) != number for token, number in theirs.items())
        raise ModelError(
            "teacher and student have not the same tokens",
            received=f"{len(ours):,} of the student and {len(theirs):,}, {other:,} of which are others",
            remedy="take a teacher with the student's tokenizer, or learn from its answers (construct.distill)",
        )
    if sizes[0] != sizes[1]:
        raise ModelError(
            "teacher and student have the same tokens, but their output layers are filled up to different sizes",
            received=f"{sizes[0]:,} logits of the student and {sizes[1]:,}",
            remedy="take a teacher of the same size of vocabulary, or learn from its answers (construct.distill)",
        )
