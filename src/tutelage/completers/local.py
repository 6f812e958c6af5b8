"""The reference engine: transformers, in the model's own arithmetic, on whatever device the model is."""

from collections.abc import Iterator, Sequence
from typing import Self

from tutelage.completers.decoding import Row, check_model
from tutelage.completers.held import Forms
from tutelage.completers.preparation import answered, prepare
from tutelage.completers.workers import decode
from tutelage.errors import CompletionError
from tutelage.models.bundle import Bundle
from tutelage.models.faults import is_out_of_memory
from tutelage.records import Answer, AnswerSchema, Engine, Request

REMEDY = "choose a smaller batch (engines.reference_batch, engines.sampling.batch_size) or a smaller model"
_NO_LIMIT = 1 << 20


class LocalCompleter:
    """Answers with a bundle's model, ``batch_size`` rows at a time.

    What scores are made with. Every draw comes from its request's own seed, and the composition of batches follows
    from the requests alone, so equal calls give equal answers on one machine; another batch size, or the same request
    among others, changes the rounding of the arithmetic and with it now and then a token. With ``logprobs`` answers
    carry the log-probability of each token, the end token's included, under the model at temperature 1. ``remedy`` is
    said where the memory does not suffice.

    A request with a schema is answered by nothing else than what fits it: what may not come next is left out before a
    token is drawn (:mod:`tutelage.completers.held`), and where nothing may follow the answer has ended. The
    log-probabilities stay those of the model that is held to nothing.

    The bundle belongs to the caller; between two answers its model is as it was given. Raises
    :class:`tutelage.errors.ModelError` for an architecture that the decoder cannot run exactly.
    """

    def __init__(
        self, bundle: Bundle, *, batch_size: int = 64, name: str = "", logprobs: bool = False, remedy: str = REMEDY
    ) -> None:
        check_model(bundle.model, virtual=0 if bundle.virtual is None else bundle.virtual.count)
        self.bundle = bundle
        self._batch_size = batch_size
        self._logprobs = logprobs
        self._name = name or bundle.source.identity
        self._remedy = remedy
        self._forms = Forms(bundle)

    @property
    def engine(self) -> Engine:
        """Weights, program, arithmetic, batch size and template."""
        return Engine(
            model=self._name,
            engine="transformers",
            dtype=str(self.bundle.model.dtype).removeprefix("torch."),
            batch_size=self._batch_size,
            template=self.bundle.template.digest,
        )

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """Why answers are not held to ``schema``: it is none for the grammar, say; empty if they are."""
        return self._forms.refusal(schema)

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as rows finish."""
        bundle = self.bundle
        context = getattr(bundle.model.config.get_text_config(), "max_position_embeddings", None) or _NO_LIMIT
        context -= bundle.virtual.count if bundle.virtual is not None else 0
        prompts, refused = prepare(bundle.template, context, requests)
        yield from refused
        if not prompts:
            return
        begin = self._forms.begin
        rows = [
            Row(at, one.ids, one.sampling, one.request.seed, hold=begin(one.request.answer_schema))
            for at, one in enumerate(prompts)
        ]
        done = decode(
            bundle.model,
            rows,
            slots=self._batch_size,
            end_ids=bundle.template.end_ids,
            logprobs=self._logprobs,
            virtual=bundle.virtual,
        )
        for row in in_words(done, self._batch_size, self._remedy):
            yield answered(
                prompts[row.index],
                row.tokens,
                stopped=row.stopped,
                closed=row.closed,
                template=bundle.template,
                tokenizer=bundle.tokenizer,
                logprobs=row.logprobs if self._logprobs else None,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to free: the bundle is the caller's, and every call frees its own cache."""


def in_words(rows: Iterator[Row], batch_size: int, remedy: str) -> Iterator[Row]:
    """Yield ``rows``, and say what to do when memory is refused in the middle of decoding: :class:`CompletionError`."""
    try:
        yield from rows
    except (MemoryError, RuntimeError) as fault:
        if not is_out_of_memory(fault):
            raise
        raise CompletionError(
            "the memory does not suffice to decode",
            received=f"batch {batch_size}: {str(fault).splitlines()[0][:200]}",
            remedy=remedy,
        ) from fault
