"""How much of each there may be: answers a prompt, rows a cell, sides of a dimension, rows of earlier rounds."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tutelage.curate.step import Sifted, drop, preference, prompt_text
from tutelage.records import Dropped, Example
from tutelage.seeds import derive_seed

Key = tuple[str, ...]


class Mix:
    """Caps answers a prompt, rows a cell, the share of a facet, and the share of replay.

    0 of a number and 1 of a share switch a cap off. ``facet_shares`` says how large a part of its dimension's rows a
    facet may be: a small model that learned as many refusals as answers refuses too much.
    A share that shrinks makes others larger, so facets and replay are capped again until all caps hold. Where the caps
    of a dimension would leave no row of it (all its facets have one, and they sum to less than 1) they are not applied,
    and the notes say so.
    ``round`` is the current one: rows of an earlier round are replay, rows without a round (expert rows) are not.
    What survives a cap: verified rows before unverified, and expert before distilled before self-improved; among
    equals a draw by ``seed`` and id, so that no cap favors an alphabet. Replay is taken from its cells in turn, so
    that a share that shrinks takes from the largest cell first. Where a round brought no new row all replay stays.
    """

    name = "mix"

    def __init__(
        self,
        *,
        answers_per_prompt: int = 4,
        rows_per_cell: int = 0,
        facet_shares: Mapping[str, float] | None = None,
        replay_share: float = 1.0,
        round: int | None = None,
        seed: int = 0,
    ) -> None:
        self.answers_per_prompt = answers_per_prompt
        self.rows_per_cell = rows_per_cell
        self.facet_shares = dict(facet_shares or {})
        self.replay_share = replay_share
        self.round = round
        self.seed = seed

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        kept = sorted(rows, key=lambda row: rank(row, self.seed, self.name))
        dropped: list[Dropped] = []
        if self.answers_per_prompt:
            kept = self._cap(kept, _prompt, self.answers_per_prompt, "more answers to one prompt", dropped)
        if self.rows_per_cell:
            kept = self._cap(kept, _cell, self.rows_per_cell, "more rows of one cell", dropped)
        before, unmet = -1, set[str]()
        while before != len(kept):
            before = len(kept)
            kept = self._limit_facets(kept, dropped, unmet)
            kept = self._limit_replay(kept, dropped)
        return Sifted(kept, dropped, self._notes(unmet))

    def _notes(self, unmet: Collection[str]) -> tuple[str, ...]:
        notes = [
            f"facet_shares are not applied in {dimension or 'rows without a dimension'}: they would leave no row of it"
            for dimension in sorted(unmet)
        ]
        if self.replay_share < 1 and self.round is None:
            notes.append("replay_share is not applied: these are not the rows of a round")
        return tuple(notes)

    def _cap(
        self, rows: Iterable[Example], key: Callable[[Example], Key], limit: int, kind: str, dropped: list[Dropped]
    ) -> list[Example]:
        """The first ``limit`` rows of each ``key``."""
        counts: defaultdict[Key, int] = defaultdict(int)
        kept = []
        for row in rows:
            counts[key(row)] += 1
            if counts[key(row)] <= limit:
                kept.append(row)
            else:
                dropped.append(drop(row, self.name, kind, f"at most {limit}"))
        return kept

    def _limit_facets(self, rows: list[Example], dropped: list[Dropped], unmet: set[str]) -> list[Example]:
        """The first rows of each facet that has a cap, as many as :func:`capped` says; ``unmet`` gets the dimensions
        of which nothing would be left."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            counts[row.dimension][row.facet] += 1
        room: dict[Key, int] = {}
        for dimension, numbers in counts.items():
            limits = capped(numbers, self.facet_shares)
            if any(limits.values()):
                room |= {(dimension, facet): limits[facet] for facet in self.facet_shares if facet in limits}
            else:
                unmet.add(dimension)
        kept = []
        for row in rows:
            cell = row.dimension, row.facet
            if cell in room and not room[cell]:
                detail = f"at most {self.facet_shares[row.facet]:.0%}"
                dropped.append(drop(row, self.name, f"more rows of the facet {row.facet}", detail))
                continue
            if cell in room:
                room[cell] -= 1
            kept.append(row)
        return kept

    def _limit_replay(self, rows: list[Example], dropped: list[Dropped]) -> list[Example]:
        if self.replay_share == 1 or self.round is None:
            return rows
        new = [row for row in rows if not self._is_replay(row)]
        old = [row for row in rows if self._is_replay(row)]
        limit = at_most(self.replay_share, len(new))
        if not new or len(old) <= limit:
            return rows
        places: defaultdict[Key, int] = defaultdict(int)
        turns: list[tuple[int, int, Example]] = []
        for place, row in enumerate(old):
            turns.append((places[_cell(row)], place, row))
            places[_cell(row)] += 1
        taken = [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]
        detail = f"at most {self.replay_share:.0%} of the rows"
        dropped += [drop(row, self.name, "more replay of earlier rounds", detail) for row in taken[limit:]]
        return sorted([*new, *taken[:limit]], key=lambda row: rank(row, self.seed, self.name))

    def _is_replay(self, row: Example) -> bool:
        made = row.lineage.round
        return made is not None and self.round is not None and made < self.round


def rank(row: Example, seed: int, step: str) -> tuple[bool, int, int, str]:
    """The sort key of who is kept where there are too many: verified rows, then by paradigm, then a draw."""
    unverified, paradigm, *_ = preference(row)
    return unverified, paradigm, derive_seed(seed, step, row.id), row.to_json()


def at_most(share: float, others: int) -> int:
    """Return how many rows beside ``others`` are at most ``share`` of them all."""
    return int(others * share / (1 - share) + 1e-9) if share < 1 else sys.maxsize


def capped(numbers: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Return the largest numbers of rows by facet, none above ``numbers``, in which no facet has more than its share.

    Each cap grows with the numbers of the others, so lowering them in turn ends at the same numbers in every order.
    """
    found = dict(numbers)
    before: dict[str, int] = {}
    while before != found:
        before = dict(found)
        for facet in found.keys() & shares.keys():
            others = sum(found.values()) - found[facet]
            found[facet] = min(found[facet], at_most(shares[facet], others))
    return found


def _prompt(row: Example) -> Key:
    return (" ".join(prompt_text(row).casefold().split()),)


def _cell(row: Example) -> Key:
    return row.dimension, row.level or "", row.facet
