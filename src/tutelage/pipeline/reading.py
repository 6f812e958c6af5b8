"""Rows read by a model for curation: how it finds their answers, and what their texts are as numbers."""

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from tutelage.errors import TemplateError
from tutelage.evaluate.general_texts import general_texts
from tutelage.events import Emit, Event, silent
from tutelage.models import embeddings, surprise
from tutelage.models.bundle import Bundle
from tutelage.models.embeddings import Embedder, embedder_of, load_embedder
from tutelage.models.settings import config_digest
from tutelage.models.surprise import Both, answer_twice
from tutelage.recipe import Recipe
from tutelage.recipe.curate.embedding import EncoderEmbedding, StartEmbedding
from tutelage.records import Example, content_id
from tutelage.records.jsonl import RecordLog
from tutelage.records.readings import MOST, Embedded, Likelihood
from tutelage.tune.reference import logprobs_of
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import micro_batches
from tutelage.tune.training.network import Network

READINGS = "readings"
"""The folder of what was read, beside the records of ``tutelage curate`` or in that of a run."""
TOGETHER = 16
"""Texts that are read and kept together."""
SMALLEST_SPREAD = 1e-6
"""Standard deviation below which a number of an embedding says nothing."""
T = TypeVar("T")
R = TypeVar("R", Likelihood, Embedded)


class ModelReader:
    """Reads rows with the starting model of a recipe, opened when it is first asked, or with a sentence encoder.

    What is read goes to ``folder`` at once (None: it is only remembered), under keys of text, model (weights,
    configuration, tokenizer), arithmetic and rules: a rerun reads nothing twice, and what another model said is not
    taken for this one's. Texts are read in groups that are the same in every order of the rows and after every
    interruption, so that its numbers are.
    """

    def __init__(
        self, recipe: Recipe, open_bundle: Callable[[], Bundle], *, folder: Path | None = None, emit: Emit = silent
    ) -> None:
        self.recipe = recipe
        self.open_bundle = open_bundle
        self.emit = emit
        self.general = list(general_texts().values())
        self._likelihoods = _Memory(folder, "likelihoods.jsonl", Likelihood)
        self._embedded = _Memory(folder, "embeddings.jsonl", Embedded)

    def likelihoods(self, rows: Sequence[Example]) -> list[Likelihood | str]:
        """Return how the starting model finds the last answer of each row, or why it cannot be read: no exact loss
        mask, no words, or more tokens than ``tune.max_tokens`` and the model allow."""
        bundle = self.open_bundle()
        dtype = str(bundle.model.dtype)
        who: list[JsonValue] = [
            surprise.RULES,
            bundle.source.identity,
            config_digest(bundle.model.config),
            dtype,
            bundle.template.digest,
            self._limit(bundle),
        ]
        keys = [content_id(*who, row.model_dump_json(include={"messages"})) for row in rows]
        by_key = dict(zip(keys, rows, strict=True))
        groups = _groups({key: sum(len(m.text) for m in row.messages) for key, row in by_key.items()})
        refused: dict[str, str] = {}
        asked = [group for group in groups if any(key not in self._likelihoods.known for key in group)]
        if asked:
            with connect(bundle.model) as network:
                for group in self._told(asked, "rows read"):
                    both: dict[str, Both] = {}
                    for key in group:
                        try:
                            both[key] = self._both(bundle, by_key[key])
                        except TemplateError as error:
                            refused[key] = str(error.problem)
                    if any(key not in self._likelihoods.known for key in both):
                        self._likelihoods.add(_measure(both, network, self.recipe.tune.micro_batch_tokens))
        return [self._likelihoods.known.get(key) or refused[key] for key in keys]

    def embed(self, texts: Sequence[str], how: StartEmbedding | EncoderEmbedding) -> NDArray[np.float32]:
        """Return the embeddings (n, d) of texts; a row of zeros where a text has no words.

        What a sentence encoder says is returned as it is, rounded to float16. Hidden states of a language model lie
        in a narrow cone, of which a few numbers make most (Timkey & van Schijndel 2021): two texts about nothing in
        common have a cosine of 0.6 there. So each number is measured from its mean over the package's general texts, in
        its standard deviations over them; texts that are always the same, so that the likeness of two rows does not
        depend on the others.
        """
        if isinstance(how, EncoderEmbedding):
            model, place = self.recipe.model, self.recipe.folder / how.path
            embedder = load_embedder(place, max_tokens=how.max_tokens, dtype=model.dtype, device=model.device)
            return self._vectors([how.prefix + text if text.strip() else "" for text in texts], embedder)
        found = self._vectors([*self.general, *texts], embedder_of(self.open_bundle(), how.max_tokens))
        known, given = found[: len(self.general)].astype(np.float64), found[len(self.general) :]
        spread = np.maximum(known.std(axis=0), SMALLEST_SPREAD)
        standard: NDArray[np.float32] = ((given - known.mean(axis=0)) / spread).astype(np.float32)
        standard[[not text.strip() for text in texts]] = 0
        return standard

    def _vectors(self, texts: Sequence[str], embedder: Embedder) -> NDArray[np.float32]:
        """What the model makes of texts (n, d), by itself."""
        who: list[JsonValue] = [embeddings.RULES, embedder.identity, embedder.max_tokens]
        keys = [content_id(*who, text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        groups = _groups({key: len(text) for key, text in by_key.items() if text.strip()})
        asked = [group for group in groups if any(key not in self._embedded.known for key in group)]
        for group in self._told(asked, "texts read"):
            ids = embedder.ids([by_key[key] for key in group])
            for batch in _padded(ids, self.recipe.tune.micro_batch_tokens):
                made = embedder.embed([ids[at] for at in batch])
                self._embedded.add({group[at]: _written(group[at], one) for at, one in zip(batch, made, strict=True)})
        found = [self._embedded.known.get(key) for key in keys]
        width = next((len(_read(one)) for one in found if one is not None), 1)
        return np.stack([np.zeros(width, np.float32) if one is None else _read(one) for one in found])

    def _limit(self, bundle: Bundle) -> int:
        most = self.recipe.tune.max_tokens
        return most if bundle.context is None else min(most, bundle.context)

    def _both(self, bundle: Bundle, row: Example) -> Both:
        both = answer_twice(bundle.template, row.messages)
        limit = self._limit(bundle)
        if (longest := max(map(len, both))) > limit:
            raise TemplateError(f"{longest:,} tokens, at most {limit:,} (tune.max_tokens)")
        return both

    def _told(self, groups: Sequence[Sequence[T]], label: str) -> Iterator[Sequence[T]]:
        """Yield groups and tell how many of their members are done."""
        total, done = sum(map(len, groups)), 0
        for group in groups:
            if not done:
                self._tell(label, 0, total)
            yield group
            done += len(group)
            self._tell(label, done, total)

    def _tell(self, label: str, done: int, total: int) -> None:
        self.emit(Event("progress", data={"label": label, "done": done, "total": total, "unit": "rows"}))


class _Memory(Generic[R]):
    """What was read, by key; kept in a file if there is a folder."""

    def __init__(self, folder: Path | None, name: str, kind: type[R]) -> None:
        self._log: RecordLog[R] | None = None if folder is None else RecordLog(folder / name, kind)
        self.known: dict[str, R] = {one.key: one for one in self._log.load()} if self._log is not None else {}

    def add(self, found: Mapping[str, R]) -> None:
        """Remember what is new: what was read before stays as it was."""
        new = {key: one for key, one in found.items() if key not in self.known}
        self.known |= new
        if self._log is not None:
            self._log.append(*new.values())


def _groups(sizes: Mapping[str, int]) -> list[list[str]]:
    """Keys in groups of about equal sizes; which are together depends on nothing but what is there."""
    ordered = sorted(sizes, key=lambda key: (sizes[key], key))
    return [ordered[start : start + TOGETHER] for start in range(0, len(ordered), TOGETHER)]


def _measure(both: Mapping[str, Both], network: Network, limit: int) -> dict[str, Likelihood]:
    """Read answers after their prompts and alone, ``limit`` tokens at once."""
    documents = [document for pair in both.values() for document in pair]
    sums: list[float] = []
    for _, found in logprobs_of(documents, network, limit):
        sums += found.tolist()
    measured: dict[str, Likelihood] = {}
    for (key, pair), given, alone in zip(both.items(), sums[::2], sums[1::2], strict=True):
        tokens = int(pair.given.targets.sum())
        measured[key] = Likelihood(key=key, given=_mean(given, tokens), alone=_mean(alone, tokens), tokens=tokens)
    return measured


def _mean(logprob: float, tokens: int) -> float:
    """Nats a token; what is no number or beyond any counts as the worst."""
    found = -logprob / tokens
    return min(max(found, 0.0), MOST) if math.isfinite(found) else MOST


def _padded(ids: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Places of texts in batches of at most ``limit`` tokens with their padding; a longer text stands alone."""
    longest = max(map(len, ids), default=0)
    return micro_batches([longest] * len(ids), limit)


def _written(key: str, vector: NDArray[np.float32]) -> Embedded:
    return Embedded(key=key, numbers=base64.b64encode(vector.astype("<f2").tobytes()).decode())


def _read(one: Embedded) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(one.numbers), "<f2").astype(np.float32)
