"""The fast CPU engine: CTranslate2 with int8 weights. It makes training data; it never scores."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tutelage.completers.conversion import COMPUTE, converted_folder, ctranslate2_installed, require_ctranslate2
from tutelage.completers.preparation import Prompt, answered, prepare
from tutelage.errors import CompletionError
from tutelage.models.bundle import Bundle
from tutelage.models.template import ChatTemplate
from tutelage.records import Answer, AnswerSchema, Engine, Request
from tutelage.seeds import derive_seed

__all__ = ["CTranslate2Completer", "ctranslate2_installed"]

UNHELD = "CTranslate2 draws tokens by itself; engines.sampling: {kind: transformers} holds answers to their schema"
_SEEDING = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Written:
    prompt: Prompt
    tokens: list[int]
    stopped: bool


_Results = queue.SimpleQueue[list[_Written] | BaseException]


class _Result(Protocol):
    sequences_ids: list[list[int]]


class _Generator(Protocol):
    """What is used of ``ctranslate2.Generator``, which has no types of its own."""

    def generate_batch(
        self,
        start_tokens: list[list[str]],
        *,
        max_batch_size: int = 0,
        max_length: int = 512,
        include_prompt_in_result: bool = True,
        end_token: list[int] | None = None,
        return_end_token: bool = False,
        sampling_topk: int = 1,
        sampling_topp: float = 1,
        sampling_temperature: float = 1,
        repetition_penalty: float = 1,
        callback: Callable[[object], bool] | None = None,
    ) -> list[_Result]: ...


class CTranslate2Completer:
    """Answers with ``workers`` single-threaded engines side by side.

    CTranslate2 draws from one stream of random numbers a thread, seeded when the thread first draws, so a request's
    answer depends on what was drawn before it. Therefore the list given to one call is one unit: it gets new engines,
    seeded from the seeds of its requests, and a fixed share of its batches goes to each. Equal lists give equal
    answers, whatever ran before; the same request in another list may be answered otherwise. Callers that must replay
    send fixed lists.

    CTranslate2 draws tokens by itself, and what may not come next cannot be kept from it: a request with a schema is
    answered as if it had none, and ``schema_refusal`` says so.

    ``batch_size`` rows are decoded together by one worker. The prompts of a batch are sorted by length, because the
    engine reads only up to the shortest of them at once.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bundle: Bundle,
        name: str = "",
        workers: int = 2,
        batch_size: int = 32,
    ) -> None:
        self._runtime = require_ctranslate2()
        # Kept in memory: engines are made anew for every call, and the cache may be cleared meanwhile.
        self._files = {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir()) if entry.is_file()}
        self._template: ChatTemplate = bundle.template
        self._tokenizer = bundle.tokenizer
        self._context = getattr(bundle.model.config, "max_position_embeddings", None) or 1 << 20
        self._name = name or bundle.source.identity
        self._workers = workers
        self._batch_size = batch_size

    @classmethod
    def of(cls, bundle: Bundle, *, workers: int = 2, batch_size: int = 32, cache: Path | None = None) -> Self:
        """Convert a bundle (adapter merged) to int8, once for equal weights, and answer with it.

        ``cache`` is the folder for converted models; None is the user's. Raises :class:`tutelage.errors.MissingExtra`
        without CTranslate2 and :class:`tutelage.errors.ModelError` when it cannot run the architecture.
        """
        folder = converted_folder(bundle, cache=cache)
        return cls(folder, bundle=bundle, workers=workers, batch_size=batch_size)

    @property
    def engine(self) -> Engine:
        """Weights, program, arithmetic, batch size and template."""
        return Engine(
            model=self._name,
            engine="ctranslate2",
            dtype=COMPUTE,
            batch_size=self._batch_size,
            template=self._template.digest,
        )

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """Why answers are not held to ``schema``, nor to any other."""
        return UNHELD

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as batches finish."""
        prompts, refused = prepare(self._template, self._context, requests)
        yield from refused
        shares = _shares(prompts, self._workers, self._batch_size)
        seeds = [request.seed for request in requests]
        results: _Results = queue.SimpleQueue()
        cancelled = threading.Event()
        threads = [
            threading.Thread(
                target=self._work, args=(share, derive_seed(number, *seeds), results, cancelled), daemon=True
            )
            for number, share in enumerate(shares)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(sum(len(share) for share in shares)):
                written = results.get()
                if isinstance(written, BaseException):
                    raise CompletionError("CTranslate2 failed", received=f"{type(written).__name__}: {written}"[:300])
                for one in written:
                    yield answered(
                        one.prompt,
                        one.tokens,
                        stopped=one.stopped,
                        template=self._template,
                        tokenizer=self._tokenizer,
                    )
        finally:
            cancelled.set()
            for thread in threads:
                thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Free the weights; threads and engines end with each call."""
        self._files = {}

    def _work(
        self,
        share: Sequence[Sequence[Prompt]],
        seed: int,
        results: _Results,
        cancelled: threading.Event,
    ) -> None:
        try:
            generator = self._new_generator(seed)
            for batch in share:
                if cancelled.is_set():
                    return
                results.put(self._generate(generator, batch, cancelled))
        except (RuntimeError, ValueError, OSError) as fault:
            results.put(fault)

    def _new_generator(self, seed: int) -> _Generator:
        generator: _Generator = self._runtime.Generator(
            "model", device="cpu", compute_type="int8", inter_threads=1, intra_threads=1, files=self._files
        )
        # The worker thread takes the process-wide seed when it draws for the first time: let it draw now.
        with _SEEDING:
            self._runtime.set_random_seed(seed)
            start = self._spell(self._template.end_ids[:1])
            generator.generate_batch([start], max_length=1, sampling_topk=0)
        return generator

    def _spell(self, ids: Sequence[int]) -> list[str]:
        tokens = self._tokenizer.convert_ids_to_tokens(list(ids))
        assert isinstance(tokens, list)
        return tokens

    def _generate(self, generator: _Generator, batch: Sequence[Prompt], cancelled: threading.Event) -> list[_Written]:
        settings = batch[0].sampling
        ends = set(self._template.end_ids)
        found = generator.generate_batch(
            [self._spell(prompt.ids) for prompt in batch],
            max_batch_size=len(batch),
            max_length=settings.max_tokens,
            include_prompt_in_result=False,
            end_token=sorted(ends),
            return_end_token=True,
            sampling_topk=settings.top_k if settings.temperature else 1,
            sampling_topp=settings.top_p if settings.temperature else 1,
            sampling_temperature=settings.temperature or 1,
            repetition_penalty=settings.repetition_penalty,
            callback=lambda _: cancelled.is_set(),
        )
        written = []
        for prompt, result in zip(batch, found, strict=True):
            tokens = [int(token) for token in result.sequences_ids[0]]
            stopped = bool(tokens) and tokens[-1] in ends
            written.append(_Written(prompt, tokens[:-1] if stopped else tokens, stopped))
        return written


def _shares(prompts: Sequence[Prompt], workers: int, batch_size: int) -> list[list[list[Prompt]]]:
    """Return each worker's batches: equal settings, similar lengths, dealt in turn, so that it is always the same."""
    by_settings: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_settings.setdefault(prompt.sampling.to_json(), []).append(prompt)
    batches: list[list[Prompt]] = []
    for group in by_settings.values():
        ordered = sorted(group, key=lambda prompt: -len(prompt.ids))
        size = min(batch_size, -(-len(ordered) // workers))
        batches += [ordered[at : at + size] for at in range(0, len(ordered), size)]
    return [share for share in (batches[worker::workers] for worker in range(workers)) if share]
