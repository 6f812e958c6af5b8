"""How much of each there may be: answers a prompt, rows a cell, sides of a dimension, rows of earlier rounds."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tutelage.curate.batchwise import Choice, Columns, Gone, WholeSet, texts
from tutelage.curate.step import preference, prompt_text
from tutelage.records import Example
from tutelage.seeds import derive_seed

NO_ROUND = -1


class Mix(WholeSet):
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
    Memory holds some 200 bytes for each row.
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

    def summarize(self, rows: Sequence[Example]) -> Columns:
        """Return ``rank``, ``prompt`` (64 bits of it), ``round`` and the texts of the cell (n) of rows."""
        rounds = [NO_ROUND if row.lineage.round is None else row.lineage.round for row in rows]
        return {
            "rank": ranks(rows, self.seed, self.name),
            "prompt": np.frombuffer(b"".join(map(_prompt, rows)), np.uint64),
            "round": np.array(rounds, np.int32),
            "dimension": texts(row.dimension for row in rows),
            "level": texts(row.level or "" for row in rows),
            "facet": texts(row.facet for row in rows),
        }

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        """Return which rows are dropped, and which caps were not applied."""
        kept = np.argsort(columns["rank"], kind="stable").tolist()
        gone: list[Gone] = []
        if self.answers_per_prompt:
            prompts = columns["prompt"]
            kept = self._cap(kept, lambda at: prompts[at], self.answers_per_prompt, "more answers to one prompt", gone)
        if self.rows_per_cell:
            kept = self._cap(kept, lambda at: _cell(columns, at), self.rows_per_cell, "more rows of one cell", gone)
        before, unmet = -1, set[str]()
        while before != len(kept):
            before = len(kept)
            kept = self._limit_facets(columns, kept, gone, unmet)
            kept = self._limit_replay(columns, kept, gone)
        return Choice(sorted(gone), self._notes(unmet))

    def _notes(self, unmet: Collection[str]) -> tuple[str, ...]:
        notes = [
            f"facet_shares are not applied in {dimension or 'rows without a dimension'}: they would leave no row of it"
            for dimension in sorted(unmet)
        ]
        if self.replay_share < 1 and self.round is None:
            notes.append("replay_share is not applied: these are not the rows of a round")
        return tuple(notes)

    def _cap(
        self, places: Sequence[int], key: Callable[[int], Hashable], limit: int, kind: str, gone: list[Gone]
    ) -> list[int]:
        """The first ``limit`` rows of each ``key``."""
        counts: defaultdict[Hashable, int] = defaultdict(int)
        kept = []
        for place in places:
            counts[key(place)] += 1
            if counts[key(place)] <= limit:
                kept.append(place)
            else:
                gone.append(Gone(place, kind, f"at most {limit}"))
        return kept

    def _limit_facets(self, columns: Columns, places: Sequence[int], gone: list[Gone], unmet: set[str]) -> list[int]:
        """The first rows of each facet that has a cap, as many as :func:`capped` says; ``unmet`` gets the dimensions
        of which nothing would be left."""
        dimensions, facets = columns["dimension"], columns["facet"]
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for place in places:
            counts[dimensions[place]][facets[place]] += 1
        room: dict[tuple[str, str], int] = {}
        for dimension, numbers in counts.items():
            limits = capped(numbers, self.facet_shares)
            if any(limits.values()):
                room |= {(dimension, facet): limits[facet] for facet in self.facet_shares if facet in limits}
            else:
                unmet.add(dimension)
        kept = []
        for place in places:
            side = dimensions[place], facets[place]
            if side in room and not room[side]:
                detail = f"at most {self.facet_shares[side[1]]:.0%}"
                gone.append(Gone(place, f"more rows of the facet {side[1]}", detail))
                continue
            if side in room:
                room[side] -= 1
            kept.append(place)
        return kept

    def _limit_replay(self, columns: Columns, places: list[int], gone: list[Gone]) -> list[int]:
        if self.replay_share == 1 or self.round is None:
            return places
        rounds = columns["round"]
        old = [place for place in places if NO_ROUND != rounds[place] < self.round]
        limit = at_most(self.replay_share, len(places) - len(old))
        if len(old) == len(places) or len(old) <= limit:
            return places
        counts: defaultdict[Hashable, int] = defaultdict(int)
        turns: list[tuple[int, int]] = []
        for order, place in enumerate(old):
            cell = _cell(columns, place)
            turns.append((counts[cell], order))
            counts[cell] += 1
        others = {old[order] for _, order in sorted(turns)[limit:]}
        detail = f"at most {self.replay_share:.0%} of the rows"
        gone += [Gone(place, "more replay of earlier rounds", detail) for place in others]
        return [place for place in places if place not in others]


def ranks(rows: Sequence[Example], seed: int, step: str) -> NDArray[np.int64]:
    """Return who is kept where there are too many, the smaller number first: verified rows, then by paradigm, then a
    draw by ``seed`` and id. Of equal ones the row at the smaller place is, so sort them stably."""
    found = np.empty(len(rows), np.int64)
    for place, row in enumerate(rows):
        unverified, paradigm, *_ = preference(row)
        found[place] = (unverified << 40) + (paradigm << 36) + derive_seed(seed, step, row.id)
    return found


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


def _prompt(row: Example) -> bytes:
    """64 bits of what a row asks."""
    asked = " ".join(prompt_text(row).casefold().split())
    return blake2b(asked.encode(errors="surrogatepass"), digest_size=8).digest()


def _cell(columns: Columns, place: int) -> tuple[str, str, str]:
    return columns["dimension"][place], columns["level"][place], columns["facet"][place]
