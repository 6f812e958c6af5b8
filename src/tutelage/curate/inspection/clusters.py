"""Texts by the words that they share, without a model: latent semantic analysis, then k-means on the sphere."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

DIMENSIONS = 64
STARTS = 5
MOST_STEPS = 100
Floats = NDArray[np.float64]


def clusters(weights: csr_array, number: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the cluster (n) of each row of ``weights`` (n, words), from 0, and its cosine (n) with the middle of it.

    Rows become points of at most 64 dimensions (Deerwester et al. 1990), of length 1, and ``number`` centers are sought
    that they are most like (spherical k-means: Dhillon & Modha 2001), begun as k-means++ begins (Arthur & Vassilvitskii
    2007), five times; the best of these is returned. A center that loses all its points is given up, so there may be
    fewer. Nothing is drawn that depends on more than ``weights``, whose rows must not be empty.
    """
    points = _points(weights)
    best, likeness = _one(points, number, np.random.default_rng(0))
    for start in range(1, STARTS):
        found, alike = _one(points, number, np.random.default_rng(start))
        if alike.sum() > likeness.sum() + 1e-9:
            best, likeness = found, alike
    _, places = np.unique(best, return_inverse=True)
    return places.astype(np.int64), likeness


def _points(weights: csr_array) -> Floats:
    owners = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    data = weights.data.astype(np.float64)
    lengths = np.sqrt(np.bincount(owners, weights=data * data, minlength=weights.shape[0]))
    unit = csr_array((data / lengths[owners], weights.indices, weights.indptr), shape=weights.shape)
    least = min(unit.shape)
    if least <= DIMENSIONS + 1:
        return np.asarray(unit.toarray(), dtype=np.float64)
    begin = np.random.default_rng(0).standard_normal(least)
    left, values, _ = svds(unit, k=DIMENSIONS, v0=begin, solver="arpack")
    return _unit(np.asarray(left * values, dtype=np.float64))


def _one(points: Floats, number: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    centers = _first(points, number, rng)
    found = np.full(len(points), -1)
    for _ in range(MOST_STEPS):
        cosines = points @ centers.T
        nearest = cosines.argmax(axis=1)
        if (nearest == found).all():
            break
        found = nearest
        kept = np.unique(found)
        centers = _unit(np.stack([points[found == one].sum(axis=0) for one in kept]))
        found = np.searchsorted(kept, found)
    cosines = points @ centers.T
    return found, cosines[np.arange(len(points)), found]


def _first(points: Floats, number: int, rng: np.random.Generator) -> Floats:
    """Points that are far apart: each is drawn in proportion to its squared distance from those before it."""
    chosen = [int(rng.integers(len(points)))]
    far = 1 - points @ points[chosen[0]]
    while len(chosen) < number:
        far = np.clip(far, 0.0, None)
        if far.sum() <= 1e-9:  # as many centers as there are different points
            break
        chosen.append(int(rng.choice(len(points), p=far / far.sum())))
        far = np.minimum(far, 1 - points @ points[chosen[-1]])
    return points[chosen]


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
