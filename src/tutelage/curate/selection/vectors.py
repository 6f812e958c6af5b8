"""Texts as unit vectors, dense or sparse, and their cosines a block at a time: n × n numbers never stand in memory."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

BLOCK_NUMBERS = 1 << 24
"""Cosines in memory at once: 64 MB of float32."""
SAME = 1e-6
"""By how much the cosine of equal vectors may fall short of 1 in float32."""

Floats = NDArray[np.float32]


class Vectors:
    """n vectors of length 1, in float32; one of zeros is like nothing, itself included."""

    def __init__(self, rows: NDArray[np.floating] | csr_array) -> None:
        """``rows`` (n, d) of any length. Raises ``ValueError`` when a number is not finite."""
        if isinstance(rows, csr_array):
            owners = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
            squares = np.zeros(rows.shape[0], dtype=np.float64)
            np.add.at(squares, owners, rows.data.astype(np.float64) ** 2)
            data = (rows.data * _reciprocal(squares)[owners]).astype(np.float32)
            self._rows: Floats | csr_array = csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
        else:
            dense = np.asarray(rows, dtype=np.float64)
            squares = (dense * dense).sum(axis=1)
            self._rows = np.ascontiguousarray(dense * _reciprocal(squares)[:, None], dtype=np.float32)
        if not np.isfinite(squares).all():
            raise ValueError("vectors must be finite")

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    def cosines(self, left: Sequence[int], right: Sequence[int] | None = None) -> Floats:
        """Return the cosines (l, r) of the vectors at ``left`` with those at ``right`` (None: all)."""
        others = self._rows if right is None else self._rows[np.asarray(right, dtype=np.intp)]
        chosen = self._rows[np.asarray(left, dtype=np.intp)]
        found = chosen @ others.T
        return found.toarray() if isinstance(found, csr_array) else np.asarray(found, dtype=np.float32)

    def to_sum(self) -> NDArray[np.float64]:
        """Return the inner product (n) of each vector with the sum of all: n times its mean cosine with them."""
        total = np.asarray(self._rows.sum(axis=0, dtype=np.float64)).ravel()
        return np.asarray(self._rows @ total, dtype=np.float64).ravel()

    def blocks(self) -> Iterator[range]:
        """Yield all places in runs whose cosines with all others fit the memory set aside for them."""
        size = max(1, BLOCK_NUMBERS // max(1, len(self)))
        for start in range(0, len(self), size):
            yield range(start, min(start + size, len(self)))


def _reciprocal(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/√x, and 0 for 0."""
    lengths = np.sqrt(squares)
    return np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
