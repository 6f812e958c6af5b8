"""Banded MinHash over word n-grams, in arrays: which texts may be near duplicates of one another.

Broder 1997 for the sketch, Leskovec et al., *Mining of Massive Datasets*, ch. 3 for the bands. Words are hashed with
BLAKE2, n-grams by a polynomial of their words, permutations are multiply-shift (Dietzfelbinger et al. 1997): nothing
depends on the process, so any number of workers gives the same keys. A hash that collides only costs a comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tutelage.curate.tokens import tokens

Keys = NDArray[np.uint32]
"""(texts, bands): two texts with a number in common in one column are candidates."""
PART = 512
"""Texts whose n-grams are in memory at once."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, slots=True)
class Bands:
    """``count`` bands of ``size`` permutations each, over n-grams of ``ngram`` words."""

    count: int
    size: int
    ngram: int

    @classmethod
    def of(cls, threshold: float, *, permutations: int, ngram: int) -> "Bands":
        """Return the longest bands of which a pair at ``threshold`` shares none once in 10,000 at most."""
        for size in range(permutations // 2, 0, -1):
            count = permutations // size
            if (1 - threshold**size) ** count <= 1e-4:
                return cls(count, size, ngram)
        return cls(permutations, 1, ngram)

    def keys(self, texts: Sequence[str]) -> Keys:
        """Return the keys of ``texts``."""
        return np.concatenate(
            [np.empty((0, self.count), np.uint32)]
            + [self._keys(texts[start : start + PART]) for start in range(0, len(texts), PART)]
        )

    def _keys(self, texts: Sequence[str]) -> Keys:
        hashed = [_ngrams(_hashes(tokens(text)), self.ngram) for text in texts]
        starts = np.cumsum([0, *map(len, hashed[:-1])])
        grams = np.concatenate(hashed)
        grams ^= grams >> np.uint64(31)
        grams *= _MIX
        grams ^= grams >> np.uint64(29)
        factors, shifts = _permutations(self.count * self.size)
        moved, keys = np.empty_like(grams), np.zeros((len(texts), self.count), np.uint64)
        for number, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
            np.multiply(grams, factor, out=moved)
            np.add(moved, shift, out=moved)
            least = np.minimum.reduceat(moved, starts) >> np.uint64(32)
            band = keys[:, number // self.size]
            band *= _BASE
            band += least
        return ((keys * _MIX) >> np.uint64(32)).astype(np.uint32)


def groups_of(keys: Keys) -> NDArray[np.int32]:
    """Return (texts, bands) numbers of the groups of texts that share a key in a band; −1 where a text is alone.

    A number belongs to one band alone.
    """
    found = np.full(keys.shape, -1, np.int32)
    used = 0
    for band in range(keys.shape[1]):
        _, inverse, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shared = counts > 1
        numbers = np.where(shared, np.cumsum(shared) - 1 + used, -1)
        found[:, band] = numbers[inverse]
        used += int(shared.sum())
    return found


def _ngrams(words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Hashes of the n-grams of ``words``; of all of them as one, where they are fewer."""
    n = min(n, len(words))
    count = max(1, len(words) - n + 1)
    found = np.zeros(count, np.uint64)
    for start in range(n):
        found *= _BASE
        found += words[start : start + count]
    return found


def _hashes(words: Sequence[str]) -> NDArray[np.uint64]:
    return np.fromiter(map(_hash, words), np.uint64, len(words))


@lru_cache(maxsize=1 << 19)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=4)
def _permutations(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    drawn = np.random.Generator(np.random.PCG64(1997)).integers(0, 2**64, (2, count), dtype=np.uint64)
    return drawn[0] | np.uint64(1), drawn[1]
