"""Rows of several kinds in wanted shares, each row at most once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from tutelage.curate.batchwise import Choice, Columns, Gone, WholeSet, texts
from tutelage.curate.mix import ranks
from tutelage.recipe.curate.mix import Kind
from tutelage.records import Example


class Mixture(WholeSet):
    """Keeps so many rows of each kind that their shares are as wanted.

    Shares are ``weights``, or n^(1/T) of the n rows of a kind for a ``temperature`` T (Devlin 2018 and Arivazhagan et
    al. 2019 draw languages so; 1: as they are, ∞: alike), each over their sum. Those papers draw rows with repetition;
    here a kind that is too small for its share is never repeated. Without ``rows`` as many are kept as the shares
    allow, so that mixing what was kept again keeps it. With ``rows``, where a kind has too few: ``shrink``
    keeps the shares and gives fewer rows, ``fill`` lets the other kinds give more. Numbers are whole by largest
    remainders. Which rows of a kind are kept: verified before unverified, then expert before distilled before
    self-improved, then a draw by ``seed`` and id. Memory holds some 150 bytes for each row.
    """

    name = "mixture"

    def __init__(
        self,
        *,
        by: Kind = "source",
        weights: Mapping[str, float] | None = None,
        temperature: float | None = None,
        rows: int | None = None,
        short: Literal["fill", "shrink"] = "shrink",
        seed: int = 0,
    ) -> None:
        self.by = by
        self.weights = weights
        self.temperature = temperature
        self.rows = rows
        self.short = short
        self.seed = seed

    def summarize(self, rows: Sequence[Example]) -> Columns:
        """Return ``rank`` and ``kind`` (n) of rows."""
        return {"rank": ranks(rows, self.seed, self.name), "kind": texts(kind_of(row, self.by) for row in rows)}

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        """Return which rows are dropped; the notes tell wanted shares and what there is of each kind."""
        kinds: defaultdict[str, list[int]] = defaultdict(list)
        for place in np.argsort(columns["rank"], kind="stable").tolist():
            kinds[columns["kind"][place]].append(place)
        there = {kind: len(kinds[kind]) for kind in sorted(kinds)}
        shares = self.shares(there)
        numbers = quotas(there, shares, self.rows, fill=self.short == "fill")
        gone: list[Gone] = []
        for kind, found in kinds.items():
            number = numbers.get(kind, 0)
            named = kind or f"no {self.by}"
            why = f"more rows of {named}" if shares.get(kind) else f"no weight for {named}"
            why, detail = why.replace(":", " "), f"{number:,} of {len(found):,} are kept"
            gone += [Gone(place, why, detail) for place in found[number:]]
        return Choice(sorted(gone), self._notes(there, shares, numbers))

    def shares(self, there: Mapping[str, int]) -> dict[str, float]:
        """Return the wanted share of each kind that is ``there``; those without weight have none."""
        if self.weights is not None:
            sizes = {kind: self.weights.get(kind, 0.0) for kind in there}
        else:
            assert self.temperature is not None
            sizes = {kind: number ** (1 / self.temperature) for kind, number in there.items()}
        total = sum(sizes.values())
        return {kind: size / total for kind, size in sizes.items() if size > 0}

    def _notes(
        self, there: Mapping[str, int], shares: Mapping[str, float], numbers: Mapping[str, int]
    ) -> tuple[str, ...]:
        total = sum(numbers.values())
        said = [
            f"{kind or f'no {self.by}'} {numbers[kind]:,} of {there[kind]:,} ({numbers[kind] / max(1, total):.0%}, "
            f"wanted {share:.0%})"
            for kind, share in shares.items()
        ]
        notes = [f"by {self.by}: {', '.join(said)}"] if said else []
        if absent := sorted(name for name, weight in (self.weights or {}).items() if weight and name not in there):
            notes.append(f"no row is of {', '.join(absent)}; the weights of the others count among themselves")
        if self.rows is not None and total < min(self.rows, sum(there.values())):
            notes.append(f"{total:,} rows, {self.rows:,} were wanted: {self._why_fewer(there, numbers)}")
        return tuple(notes)

    def _why_fewer(self, there: Mapping[str, int], numbers: Mapping[str, int]) -> str:
        whole = ", ".join(kind or f"no {self.by}" for kind, number in numbers.items() if number == there[kind])
        if not any(numbers.values()):
            return "no kind has a weight"
        return f"there are no more of {whole}" if whole else "with one more row the shares would not fit what is there"


def kind_of(row: Example, by: Kind) -> str:
    """Return the kind that a row is of; "" where it does not say."""
    match by:
        case "source":
            return row.lineage.source
        case "paradigm":
            return row.lineage.paradigm
        case "level":
            return row.level or ""
        case _:
            return str(getattr(row, by))


def quotas(there: Mapping[str, int], shares: Mapping[str, float], rows: int | None, *, fill: bool) -> dict[str, int]:
    """Return how many rows of each kind are kept: at most those that are ``there``, in ``shares`` that sum to 1."""
    if not shares:
        return {}
    if rows is None or not fill:
        return _within(there, shares, rows)
    found: dict[str, int] = {}
    left, open_kinds = min(rows, sum(there[kind] for kind in shares)), dict(shares)
    while open_kinds:
        total = sum(open_kinds.values())
        full = [kind for kind, share in open_kinds.items() if there[kind] <= left * share / total]
        if not full:
            return {**found, **largest_remainders({k: s / total for k, s in open_kinds.items()}, left, there)}
        for kind in full:
            found[kind] = there[kind]
            del open_kinds[kind]
        left -= sum(there[kind] for kind in full)
    return found


def _within(there: Mapping[str, int], shares: Mapping[str, float], rows: int | None) -> dict[str, int]:
    """Return the largest numbers in ``shares``, by largest remainders, for which there are rows.

    So mixing what was kept again keeps all of it: no larger number of rows is there. Numbers of one kind may fall while
    their sum grows (the Alabama paradox), hence every sum is tried, from the largest that could be on.
    """
    most = min(int((there[kind] + 1) / share) for kind, share in shares.items())
    for total in range(min(most, sum(there[kind] for kind in shares), rows or most), 0, -1):
        found = largest_remainders(shares, total)
        if all(found[kind] <= there[kind] for kind in found):
            return found
    return dict.fromkeys(shares, 0)


def largest_remainders(
    shares: Mapping[str, float], total: int, there: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return whole numbers that sum to ``total`` and are nearest to its ``shares`` (Hamilton's method), at most those
    that are ``there``, if that is given; of equal remainders the first name gets the row."""
    there = there if there is not None else dict.fromkeys(shares, total)
    exact = {kind: total * share for kind, share in shares.items()}
    found = {kind: min(there[kind], int(value + 1e-9)) for kind, value in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: (found[kind] - exact[kind], kind))
    while (missing := total - sum(found.values())) > 0:
        room = [kind for kind in by_remainder if found[kind] < there[kind]]
        if not room:
            break
        for kind in room[:missing]:
            found[kind] += 1
    return found
