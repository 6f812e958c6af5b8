"""Batched decoding over any transformers causal language model, fast on a CPU and replayable.

Rows live in slots. Prompts are computed once for all samples that share them, and what all prompts begin with is
computed once for the whole call; virtual tokens of prefix or prompt tuning stand before that. When an eighth of the
slots is free, waiting prompts join; when none wait, free slots are cut off, so that a long tail is cheap. Who joins
when follows from the prompts and the answers alone, never from time, so equal calls decode equal batches.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tutelage.completers.held import Hold, masked
from tutelage.completers.sampling import Sampler, uniforms
from tutelage.completers.slots import ATTENTION, SlotCache
from tutelage.errors import ModelError
from tutelage.models.virtual import VirtualTokens, read_tokens, varied_tokens
from tutelage.records import Sampling

PREFILL_TOKENS = 4096
_ROOM = 32
_SHARE = 8
# Standard deviations of the logits. Models without fault reach 0.02 in bfloat16; the rest are asked for 0.01.
_TOLERANCE = {torch.bfloat16: 0.1, torch.float16: 0.1}


@dataclass(slots=True)
class Row:
    """One answer in the making: ``tokens`` without the end token; ``stopped`` once that came, ``end`` being which.

    With ``hold`` the answer is held to a form, and stops without an end token where nothing may follow.
    """

    index: int
    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    hold: Hold | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False
    end: int | None = None
    numbers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def done(self) -> bool:
        """Whether nothing more is to be drawn."""
        return self.stopped or len(self.tokens) >= self.sampling.max_tokens

    @property
    def closed(self) -> bool:
        """Whether the form was complete and ended the answer, without an end token."""
        return self.stopped and self.end is None


class Decoder:
    """Decodes the rows of one call, at most ``slots`` at a time.

    :meth:`finished` yields each row when it is done. With ``logprobs`` each token's log-probability under the model
    (temperature 1, nothing filtered, held to no form) is kept, the end token's included. ``virtual`` tokens stand
    before every prompt.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        rows: Sequence[Row],
        *,
        slots: int,
        end_ids: Sequence[int],
        logprobs: bool = False,
        virtual: VirtualTokens | None = None,
    ) -> None:
        self.model = model
        self.virtual = virtual
        self.end_ids = frozenset(end_ids)
        self.logprobs = logprobs
        self.size = min(slots, len(rows))
        # Longest first: later prompts fit into the columns of earlier ones, and long rows do not end up in the tail.
        self.queue = deque(sorted(rows, key=lambda row: (-len(row.prompt), row.prompt, row.index)))
        self.prefix = _common_prefix([row.prompt for row in rows])
        self.rows: list[Row | None] = [None] * self.size
        self.last = torch.zeros(self.size, 1, dtype=torch.long, device=model.device)
        self.cache: SlotCache | None = None
        self.sampler: Sampler | None = None

    def finished(self) -> Iterator[Row]:
        """Yield rows as they finish; between two of them the model is as it was found."""
        while self.unfinished:
            with borrowed(self.model), torch.inference_mode():
                done: list[Row] = []
                while not done and self.unfinished:
                    done = self.advance()
            yield from done

    @property
    def unfinished(self) -> bool:
        """Whether rows wait or are being decoded."""
        return bool(self.queue) or any(self.rows)

    def advance(self) -> list[Row]:
        """Admit waiting rows or draw one token for each row; return those that are done.

        The model must be :func:`borrowed` and torch in inference mode.
        """
        free = self.rows.count(None)
        if self.queue and free >= min(len(self.queue), max(1, self.size // _SHARE)):
            return self._admit()
        if not self.queue and free * _SHARE > len(self.rows):
            self._cut()
        return self._step()

    def _admit(self) -> list[Row]:
        """Let waiting rows take the free slots and draw their first token."""
        free = [slot for slot, row in enumerate(self.rows) if row is None]
        joining = [self.queue.popleft() for _ in range(min(len(free), len(self.queue)))]
        longest = len(joining[0].prompt) - len(self.prefix)
        if self.cache is None:
            self.cache = self._open_cache(longest)
        elif longest > self.cache.end:
            self.cache.rearrange(None, end=longest, columns=longest + _ROOM)
        placed = list(zip(free, joining, strict=False))
        done: list[Row] = []
        while placed:
            part = _prefill_part(placed, len(self.prefix))
            placed = placed[len(part) :]
            done += self._prefill(part)
        self._renew_sampler()
        return done

    def _open_cache(self, longest: int) -> SlotCache:
        cache = SlotCache(self.size, longest + _ROOM, self.model.config.get_text_config().num_hidden_layers)
        cache.first = cache.end = longest
        if self.virtual is not None:
            cache.put_before(self.virtual)
        if self.prefix:
            cache.begin_prefix(len(self.prefix))
            ids = torch.tensor([self.prefix], device=self.model.device)
            positions = torch.arange(cache.prefix - len(self.prefix), cache.prefix, device=ids.device)
            self._forward(cache, ids, positions[None])
        return cache

    def _prefill(self, part: Sequence[tuple[int, Row]]) -> list[Row]:
        assert self.cache is not None
        device = self.model.device
        prompts = list(dict.fromkeys(row.prompt for _, row in part))
        lengths = torch.tensor([len(prompt) - len(self.prefix) for prompt in prompts])
        longest = int(lengths.max())
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        for number, prompt in enumerate(prompts):
            ids[number, longest - int(lengths[number]) :] = torch.tensor(prompt[len(self.prefix) :])
        places = {prompt: number for number, prompt in enumerate(prompts)}
        sources = torch.tensor([places[row.prompt] for _, row in part], device=device)
        targets = torch.tensor([slot for slot, _ in part], device=device)
        self.cache.begin_prefill(lengths, sources, targets)
        positions = (torch.arange(longest) - (longest - lengths)[:, None]).clamp(min=0) + self.cache.prefix
        logits = self._forward(self.cache, ids.to(device), positions.to(device))[sources]
        for slot, row in part:
            row.numbers = uniforms(row.seed, row.sampling.max_tokens)
            self.rows[slot] = row
        self.cache.first = min(self.cache.first, int(self.cache.starts[targets.cpu()].min()))
        sampler = Sampler([row.sampling for _, row in part], device)
        return self._take(logits, sampler, [slot for slot, _ in part])

    def _step(self) -> list[Row]:
        assert self.cache is not None
        assert self.sampler is not None
        cache, device = self.cache, self.model.device
        live = [slot for slot, row in enumerate(self.rows) if row is not None]
        cache.first = int(cache.starts[live].min())
        if cache.end == cache.columns:
            used = cache.end - cache.first
            cache.rearrange(None, end=used, columns=used + _ROOM)
        cache.begin_step()
        positions = (cache.end - cache.starts + cache.prefix).clamp(min=0)[:, None]
        logits = self._forward(cache, self.last, positions.to(device))
        cache.finish_step()
        return self._take(logits, self.sampler, list(range(len(self.rows))))

    def _take(self, logits: torch.Tensor, sampler: Sampler, slots: Sequence[int]) -> list[Row]:
        """Draw a token for each of ``slots`` from ``logits`` (len(slots), V); return the rows that are done."""
        rows = [self.rows[slot] for slot in slots]
        numbers = np.array([0.0 if row is None else row.numbers[len(row.tokens)] for row in rows])
        seen = [() if row is None else (*row.prompt, *row.tokens) for row in rows] if sampler.reads_seen else []
        possible = masked(logits, [None if row is None else row.hold for row in rows])
        tokens = sampler.draw(possible, numbers, seen)
        self.last[slots] = tokens[:, None]
        chosen: list[float] = []
        if self.logprobs:
            raw = logits.float()
            chosen = (raw.gather(-1, tokens[:, None])[:, 0] - raw.logsumexp(-1)).tolist()
        done: list[Row] = []
        for number, (slot, row, token) in enumerate(zip(slots, rows, tokens.tolist(), strict=True)):
            if row is None:
                continue
            if self.logprobs:
                row.logprobs.append(chosen[number])
            if token in self.end_ids:
                row.stopped, row.end = True, token
            else:
                row.tokens.append(token)
                row.stopped = row.hold is not None and row.hold.take(token)
            if row.done:
                self.rows[slot] = None
                done.append(row)
        return done

    def _cut(self) -> None:
        """Give up the slots of finished rows: nobody waits for them."""
        assert self.cache is not None
        live = [slot for slot, row in enumerate(self.rows) if row is not None]
        kept = torch.tensor(live, device=self.model.device)
        self.cache.first = int(self.cache.starts[live].min())
        used = self.cache.end - self.cache.first
        self.cache.rearrange(kept, end=used, columns=used + _ROOM)
        self.last = self.last[kept]
        self.rows = [self.rows[slot] for slot in live]
        self._renew_sampler()

    def _renew_sampler(self) -> None:
        self.sampler = Sampler([Sampling() if row is None else row.sampling for row in self.rows], self.model.device)

    def _forward(self, cache: SlotCache, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the logits (rows, V) of the last position."""
        # An index, not a number: what a slice leaves is no matrix in memory, and torch then multiplies each row by its
        # own copy of the output layer (gigabytes; weights that need a gradient are spared).
        last = torch.tensor([ids.shape[1] - 1], device=ids.device)
        output = self.model(
            input_ids=ids,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=last,
            slots=cache,
        )
        logits = output.logits
        assert isinstance(logits, torch.Tensor)
        return logits[:, -1]


def check_model(model: PreTrainedModel, *, virtual: int = 0) -> None:
    """Raise :class:`ModelError` unless the decoder computes what the model itself computes, behind so many ``virtual``
    tokens.

    Architectures differ in what their attention does beside attending (caps, sinks, recurrent layers); instead of a
    list of names, three short rows are decoded and compared with the plain forward pass of the model: the mean of the
    absolute differences of the tokens' log-probabilities. The largest would be no measure, for in bfloat16 one token
    of a faultless model is now and then off by a tenth of the logits' standard deviation.
    """
    high = min(model.config.get_text_config().vocab_size, 1000)
    prompts = [tuple((7 * at + 3 * number) % high for at in range(5 + 2 * number)) for number in range(3)]
    rows = [Row(number, prompt, Sampling(max_tokens=8), seed=0) for number, prompt in enumerate(prompts)]
    differences: list[torch.Tensor] = []
    try:
        known = read_tokens(model, varied_tokens(model, virtual)) if virtual else None
        decoder = Decoder(model, rows, slots=2, end_ids=(), logprobs=True, virtual=known)
        done = list(decoder.finished())
        assert decoder.cache is not None
        if any(layer.keys is None for layer in decoder.cache.slot_layers):
            raise _unfit(model, "some of its layers do not attend to keys and values of their own")
        for row in done:
            ids = torch.tensor([[*row.prompt, *row.tokens]], device=model.device)
            before = None if known is None else known.cache()
            with torch.inference_mode(), _evaluating(model):
                logits = model(input_ids=ids, past_key_values=before).logits
                plain = logits[0, len(row.prompt) - 1 : -1].float().log_softmax(-1)
            own = torch.tensor(row.logprobs, device=model.device)
            difference = (plain.gather(-1, ids[0, len(row.prompt) :, None])[:, 0] - own).abs()
            differences.append(difference / plain.std())  # relative, because untrained models are nearly uniform
    except (TypeError, AttributeError, ValueError, KeyError, NotImplementedError) as fault:
        raise _unfit(model, f"{type(fault).__name__}: {fault}") from fault
    mean = float(torch.cat(differences).mean())
    if not mean < _TOLERANCE.get(model.dtype, 0.01):
        raise _unfit(model, f"log-probabilities differ by {mean:.2g} standard deviations in the mean")


def _unfit(model: PreTrainedModel, received: str) -> ModelError:
    return ModelError(
        "the built-in decoder cannot run this architecture exactly",
        where=type(model).__name__,
        received=received[:300],
        remedy="serve the model with vLLM or llama.cpp and name its endpoint",
    )


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def borrowed(model: PreTrainedModel) -> Iterator[None]:
    """Give the model our attention and evaluation mode, and afterwards what it had."""
    before = model.config._attn_implementation
    with _evaluating(model):
        model.set_attn_implementation(ATTENTION)
        try:
            yield
        finally:
            model.set_attn_implementation(before)


def _common_prefix(prompts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What all prompts begin with; each keeps a token of its own, from which its answer is drawn."""
    low, high = min(prompts), max(prompts)
    limit = min(len(prompt) for prompt in prompts) - 1
    length = next((at for at in range(limit) if low[at] != high[at]), limit)
    return low[:length]


def _prefill_part(placed: Sequence[tuple[int, Row]], prefix: int) -> Sequence[tuple[int, Row]]:
    """The first rows whose different prompts, padded to the longest, are at most ``PREFILL_TOKENS`` tokens."""
    longest = len(placed[0][1].prompt) - prefix
    room = max(1, PREFILL_TOKENS // longest)
    prompts: set[tuple[int, ...]] = set()
    for count, (_, row) in enumerate(placed):
        prompts.add(row.prompt)
        if len(prompts) > room:
            return placed[:count]
    return placed
