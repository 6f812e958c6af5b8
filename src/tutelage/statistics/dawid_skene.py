"""What is true where raters differ in skill: maximum likelihood by EM (Dawid and Skene 1979).

Every item has one true class, every rater a table of how often they say l where k is true; given the class, ratings
are independent. Neither classes nor tables are known, and each is estimated from the other in turn.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tutelage.errors import DataError, Problem

Floats = NDArray[np.float64]
MAX_ROUNDS = 1000
TOLERANCE = 1e-8
IMPOSSIBLE = -1e200


@dataclass(frozen=True, slots=True)
class Consensus:
    """``chances`` of each class by item, ``shares`` of the classes, and of each rater ``tables[rater][k][l]``: how
    often they say l where k is true (None: k is never true of what they rated).

    ``log_likelihood`` grows with every round; it is a local maximum when ``converged``. Classes that no item is likely
    to be of keep a share of zero.
    """

    classes: tuple[Hashable, ...]
    chances: Mapping[str, tuple[float, ...]]
    shares: tuple[float, ...]
    tables: Mapping[str, tuple[tuple[float, ...] | None, ...]]
    log_likelihood: float
    rounds: int
    converged: bool
    history: tuple[float, ...] = field(default=(), repr=False)

    def best(self, item: str) -> Hashable:
        """Return the likeliest class of an item; of equally likely ones the first."""
        return self.classes[int(np.argmax(self.chances[item]))]

    def skill(self, rater: str) -> float:
        """Return how often the rater is right, over the shares of the classes that they have been asked about."""
        known = [
            (share, row[k]) for k, (share, row) in enumerate(zip(self.shares, self.tables[rater], strict=True)) if row
        ]
        total = sum(share for share, _ in known)
        return sum(share * right for share, right in known) / total if total else float("nan")


def dawid_skene(
    ratings: Sequence[tuple[str, str, Hashable]], *, classes: Sequence[Hashable] = (), max_rounds: int = MAX_ROUNDS
) -> Consensus:
    """Return the consensus of ``ratings``, each of (item, rater, class); a rater may rate an item several times.

    Begins with each item's shares of votes (their eq. 3.1 put into 2.3 and 2.4), then alternates 2.3 and 2.4 (tables
    and shares from chances) with 2.5 (chances from these), in logarithms, until no chance moves by more than 1e-8.
    ``classes`` fixes their order, and may name some that nobody used. No smoothing is added: estimates at 0 and 1 are
    what the paper has.

    Raises :class:`DataError` if there is nothing to estimate from, or for a class that ``classes`` lacks.
    """
    names = list(classes) if classes else list(dict.fromkeys(value for _, _, value in ratings))
    problems = [] if ratings else [Problem("there are no ratings", "ratings")]
    if unknown := [value for _, _, value in ratings if value not in names]:
        problems.append(Problem("no such class", "classes", ", ".join(map(repr, dict.fromkeys(unknown[:5])))))
    if problems:
        raise DataError("Dawid-Skene", problems)
    place = {name: at for at, name in enumerate(names)}
    item_at = {name: at for at, name in enumerate(dict.fromkeys(item for item, _, _ in ratings))}
    rater_at = {name: at for at, name in enumerate(dict.fromkeys(rater for _, rater, _ in ratings))}
    counts = np.zeros((len(rater_at), len(item_at), len(names)))  # rater × item × class that was said
    for item, rater, value in ratings:
        counts[rater_at[rater], item_at[item], place[value]] += 1
    chances = counts.sum(axis=0) / counts.sum(axis=(0, 2))[:, None]
    history: list[float] = []
    converged = False
    while not converged and len(history) < max_rounds:
        shares, tables = _shares_and_tables(counts, chances)
        before, (chances, likelihood) = chances, _chances(counts, shares, tables)
        history.append(likelihood)
        converged = bool(np.abs(chances - before).max() < TOLERANCE)
    shares, tables = _shares_and_tables(counts, chances)
    return Consensus(
        classes=tuple(names),
        chances={item: tuple(map(float, chances[at])) for item, at in item_at.items()},
        shares=tuple(map(float, shares)),
        tables={
            rater: tuple(tuple(map(float, row)) if row.sum() > 0 else None for row in tables[at])
            for rater, at in rater_at.items()
        },
        log_likelihood=history[-1],
        rounds=len(history),
        converged=converged,
        history=tuple(history),
    )


def _shares_and_tables(counts: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """The M step, 2.3 and 2.4: shares [k], tables [rater, k, l]; a row of zeros where there is nothing to count."""
    said = np.einsum("ik,ril->rkl", chances, counts)
    total = said.sum(axis=2, keepdims=True)
    return chances.mean(axis=0), np.divide(said, total, out=np.zeros_like(said), where=total > 0)


def _chances(counts: Floats, shares: Floats, tables: Floats) -> tuple[Floats, float]:
    """The E step, 2.5: chances [item, k], and the log-likelihood (without its multinomial constant)."""
    # A very low number in the place of −∞: what was never said (count 0) must add nothing, and 0 · ∞ is not a number.
    log_tables = np.log(tables, out=np.full_like(tables, IMPOSSIBLE), where=tables > 0)
    log_shares = np.log(shares, out=np.full_like(shares, IMPOSSIBLE), where=shares > 0)
    joint = log_shares + np.einsum("ril,rkl->ik", counts, log_tables)
    most = joint.max(axis=1, keepdims=True)
    scaled = np.exp(joint - most)
    total = scaled.sum(axis=1, keepdims=True)
    return scaled / total, float((most + np.log(total)).sum())
