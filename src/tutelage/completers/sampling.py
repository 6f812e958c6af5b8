"""Drawing the next token of every row, each from its own stream of random numbers.

A row's draws are uniform numbers from a Philox stream keyed by its request's seed, one a token, so they are the same
whatever else is in the batch; a token is the inverse of the cumulative distribution at its number. That needs one
random number a token where the Gumbel trick needs one for each entry of the vocabulary, which on CPUs costs as much
as the model's layers.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tutelage.records import Sampling

_BLOCK = 256


def uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """Return the first ``count`` numbers in [0, 1) of the stream of ``seed``."""
    return np.random.Generator(np.random.Philox(key=seed % 2**64)).random(count)


class Sampler:
    """Draws one token a row; built anew when rows come or go.

    Filters in the order of transformers: repetition penalty, temperature, top-k, top-p over what top-k left.
    """

    def __init__(self, settings: Sequence[Sampling], device: torch.device) -> None:
        self._drawn = [at for at, s in enumerate(settings) if s.temperature != 0]
        self._plain = [at for at in self._drawn if settings[at].top_p == 1 and settings[at].top_k == 0]
        self._nucleus = [at for at in self._drawn if settings[at].top_p < 1 and settings[at].top_k == 0]
        self._filtered = [at for at in self._drawn if settings[at].top_k > 0]
        self._penalized = [at for at, s in enumerate(settings) if s.repetition_penalty != 1]
        self._settings = settings
        self._temperatures = torch.tensor([s.temperature or 1.0 for s in settings], device=device)[:, None]
        self._top_p = torch.tensor([s.top_p for s in settings], dtype=torch.float64, device=device)

    @property
    def reads_seen(self) -> bool:
        """Whether any row needs its ids so far."""
        return bool(self._penalized)

    def draw(self, logits: torch.Tensor, numbers: NDArray[np.float64], seen: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the tokens int64 (B,) for ``logits`` (B, V), in the rows' order.

        ``numbers`` (B,) are the rows' next uniform numbers; ``seen`` the ids of prompt and answer, read only for rows
        with a repetition penalty.
        """
        if self._penalized:
            logits = logits.clone()
            for row in self._penalized:
                ids = torch.tensor(sorted(set(seen[row])), device=logits.device)
                penalty, values = self._settings[row].repetition_penalty, logits[row, ids]
                logits[row, ids] = torch.where(values < 0, values * penalty, values / penalty)
        if not self._drawn:
            return _argmax(logits)
        uniform = torch.from_numpy(numbers).to(logits.device)
        if len(self._plain) == len(logits):
            return _invert(_masses(logits, self._temperatures), uniform)[0]
        if len(self._nucleus) == len(logits):
            return _draw_nucleus(_masses(logits, self._temperatures), uniform, self._top_p)
        tokens = _argmax(logits)
        if self._plain:
            rows = torch.tensor(self._plain, device=logits.device)
            tokens[rows] = _invert(_masses(logits[rows], self._temperatures[rows]), uniform[rows])[0]
        if self._nucleus:
            rows = torch.tensor(self._nucleus, device=logits.device)
            masses = _masses(logits[rows], self._temperatures[rows])
            tokens[rows] = _draw_nucleus(masses, uniform[rows], self._top_p[rows])
        if self._filtered:
            rows = torch.tensor(self._filtered, device=logits.device)
            scaled = logits[rows].float() / self._temperatures[rows]
            tokens[rows] = _draw_filtered(scaled, uniform[rows], [self._settings[row] for row in self._filtered])
        return tokens


def _blocks(vocabulary: int) -> int:
    """The width of the blocks that two-level passes go through; 1 where the vocabulary has no fitting divisor."""
    width = _BLOCK
    while vocabulary % width:
        width //= 2
    return width if width >= 16 else 1


def _argmax(logits: torch.Tensor) -> torch.Tensor:
    """The place of each row's maximum, in two levels: ``argmax`` over a long row is five times as slow as ``amax``."""
    rows, vocabulary = logits.shape
    width = _blocks(vocabulary)
    if width == 1:
        return logits.argmax(-1)
    blocks = logits.view(rows, -1, width)
    best = blocks.amax(-1).argmax(-1)
    inside = blocks[torch.arange(rows, device=logits.device), best].argmax(-1)
    return best * width + inside


def _masses(logits: torch.Tensor, temperatures: torch.Tensor) -> torch.Tensor:
    """Return exp(``logits`` / ``temperatures``), the largest of each row being 1: float32 (B, V).

    In place: a fresh array of this size costs more than what is computed in it.
    """
    masses = logits.to(torch.float32, copy=True)
    return masses.sub_(logits.amax(-1, keepdim=True).float()).mul_(1 / temperatures).exp_()


def _invert(masses: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Invert the cumulative ``masses`` (B, V) at ``uniform`` float64 (B,), in two levels.

    Returns the tokens, how far into its own mass each one was hit (0 to 1), and the rows' total masses.
    """
    rows = torch.arange(len(masses), device=masses.device)
    width = _blocks(masses.shape[-1])
    blocks = masses.view(len(masses), -1, width)
    totals = blocks.sum(-1).double()
    block, rest = _locate(totals, uniform * totals.sum(-1))
    within = blocks[rows, block].double()
    inside, rest = _locate(within, rest)
    return block * width + inside, rest / within[rows, inside], totals.sum(-1)


def _draw_nucleus(masses: torch.Tensor, uniform: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Draw under top-p ``top_p`` float64 (B,) without sorting the vocabulary.

    A token is in the nucleus if all likelier ones together have less than ``top_p`` of the mass, so one is drawn from
    the whole distribution and looked at. Only where it is outside (at most 1 - ``top_p`` of the rows) the nucleus is
    sorted and drawn from, with what the first draw left of its random number: where in its own mass it hit is uniform
    and independent of which token it was. Tokens as likely as the last of the nucleus all belong to it.
    """
    tokens, recycled, totals = _invert(masses, uniform)
    drawn = masses.gather(-1, tokens[:, None])
    likelier = torch.where(masses > drawn, masses, 0.0).sum(-1).double()
    outside = torch.nonzero(likelier >= top_p * totals).flatten()
    if len(outside):
        values, places = masses[outside].sort(dim=-1, descending=True)
        values = values.double()
        sums = values.cumsum(-1)
        values[(sums - values) >= (top_p * totals)[outside, None]] = 0
        place, _ = _locate(values, recycled[outside] * values.sum(-1))
        tokens[outside] = places.gather(-1, place[:, None])[:, 0]
    return tokens


def _locate(masses: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where ``targets`` (B,) fall in the cumulative ``masses`` (B, N), and how far behind that place's start.

    A target that rounding has put beyond the end falls to the last place that has mass.
    """
    sums = masses.cumsum(-1)
    beyond = (sums < sums[:, -1:]).sum(-1)
    place = torch.minimum((sums <= targets[:, None]).sum(-1), beyond)
    before = (sums - masses).gather(-1, place[:, None])[:, 0]
    return place, (targets - before).clamp_(min=0)


def _draw_filtered(scaled: torch.Tensor, uniform: torch.Tensor, settings: Sequence[Sampling]) -> torch.Tensor:
    """Draw under top-k, and under top-p of what it left: ``scaled`` (B, V) are logits over temperatures."""
    vocabulary = scaled.shape[-1]
    top_k = torch.tensor([min(s.top_k, vocabulary) for s in settings], device=scaled.device)[:, None]
    top_p = torch.tensor([s.top_p for s in settings], device=scaled.device, dtype=torch.float64)[:, None]
    count = int(top_k.max())
    values, places = scaled.topk(count, dim=-1)
    values[torch.arange(count, device=scaled.device) >= top_k] = -torch.inf
    masses = values.double().softmax(-1)
    # The token that carries the sum over top_p stays in.
    masses[(masses.cumsum(-1) - masses) >= top_p] = 0
    place, _ = _locate(masses, uniform * masses.sum(-1))
    return places.gather(-1, place[:, None])[:, 0]
