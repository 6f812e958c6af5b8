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

_CANDIDATES = 256
_BLOCK = 256


def uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """Return the first ``count`` numbers in [0, 1) of the stream of ``seed``."""
    return np.random.Generator(np.random.Philox(key=seed % 2**64)).random(count)


class Sampler:
    """Draws one token a row; built anew when rows come or go.

    Filters in the order of transformers: repetition penalty, temperature, top-k, top-p over what top-k left.
    """

    def __init__(self, settings: Sequence[Sampling], device: torch.device) -> None:
        self._greedy = torch.tensor([s.temperature == 0 for s in settings])
        self._drawn = torch.nonzero(~self._greedy).flatten()
        self._plain = torch.tensor(
            [at for at in self._drawn.tolist() if settings[at].top_p == 1 and settings[at].top_k == 0], dtype=torch.long
        )
        self._filtered = [at for at in self._drawn.tolist() if settings[at].top_p < 1 or settings[at].top_k > 0]
        self._penalized = [at for at, s in enumerate(settings) if s.repetition_penalty != 1]
        self._settings = settings
        self._temperatures = torch.tensor([s.temperature or 1.0 for s in settings], device=device)[:, None]

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
        if not len(self._drawn):
            return _argmax(logits)
        uniform = torch.from_numpy(numbers).to(logits.device)
        if len(self._plain) == len(logits):
            return _invert(logits, self._temperatures, uniform)
        tokens = _argmax(logits)
        if len(self._plain):
            rows = self._plain.to(logits.device)
            tokens[rows] = _invert(logits[rows], self._temperatures[rows], uniform[rows])
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


def _invert(logits: torch.Tensor, temperatures: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Invert the cumulative softmax of ``logits`` (B, V) / ``temperatures`` (B, 1) at ``uniform`` float64 (B,).

    In two levels, and in place: a fresh array of this size costs more than what is computed in it.
    """
    rows, vocabulary = logits.shape
    width = _blocks(vocabulary)
    masses = logits.to(torch.float32, copy=True)
    masses.sub_(logits.amax(-1, keepdim=True).float()).mul_(1 / temperatures).exp_()
    masses = masses.view(rows, -1, width)
    totals = masses.sum(-1).double()
    block, rest = _locate(totals, uniform * totals.sum(-1))
    inside, _ = _locate(masses[torch.arange(rows, device=logits.device), block].double(), rest)
    return block * width + inside


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
    """Draw under top-k and top-p. Some hundred candidates nearly always hold the nucleus; where not, all are sorted."""
    vocabulary = scaled.shape[-1]
    top_k = torch.tensor([min(s.top_k or vocabulary, vocabulary) for s in settings], device=scaled.device)[:, None]
    top_p = torch.tensor([s.top_p for s in settings], device=scaled.device, dtype=torch.float64)[:, None]
    total = scaled.logsumexp(-1, keepdim=True).double()
    limits = [s.top_k for s in settings if s.top_k]
    for count in (min(max([_CANDIDATES, *limits]), vocabulary), vocabulary):
        values, places = scaled.topk(count, dim=-1)
        masses = (values.double() - total).exp()
        masses[torch.arange(count, device=scaled.device) >= top_k] = 0
        whole = torch.where(top_k <= count, masses.sum(-1, keepdim=True), 1.0)
        masses /= whole
        sums = masses.cumsum(-1)
        if count == vocabulary or bool(((top_k <= count) | (sums[:, -1:] >= top_p)).all()):
            break
    # The token that carries the sum over top_p stays in.
    masses[(sums - masses) >= top_p] = 0
    place, _ = _locate(masses, uniform * masses.sum(-1))
    return places.gather(-1, place[:, None])[:, 0]
