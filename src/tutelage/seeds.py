"""One seed in the recipe; every stage derives its own from it and from what it is about to do."""

import hashlib
import random

MAX_SEED = 2**31 - 1


def derive_seed(seed: int, *path: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on ``seed`` and every element of ``path``, and on nothing else.

    SHA-256 of the written path: stable over processes, platforms and Python versions, and two paths that differ
    anywhere give unrelated seeds.
    """
    written = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in path)])
    return int.from_bytes(hashlib.sha256(written.encode()).digest()[:8], "big") & MAX_SEED


def stream(seed: int, *path: str | int) -> random.Random:
    """Return an independent ``random.Random`` for ``(seed, *path)``."""
    return random.Random(derive_seed(seed, *path))
