"""How much of each there may be: answers a prompt, rows a cell, sides of a dimension, rows of earlier rounds."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from tutelage.curate.step import Sifted, drop, preference, prompt_text
from tutelage.records import Dropped, Example
from tutelage.seeds import derive_seed

Key = tuple[str, ...]


class Mix:
    """Caps answers a prompt, rows a cell, the share of a facet, and the share of replay, in this order.

    0 of a number and 1 of a share switch a cap off. ``facet_shares`` says how large a part of its dimension's rows a
    facet may be: a small model that learned as many refusals as answers refuses too much.
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
        for facet, share in self.facet_shares.items():
            kept = self._limit_facet(kept, facet, share, dropped)
        if self.replay_share < 1 and self.round is not None:
            kept = self._limit_replay(kept, dropped)
        return Sifted(kept, dropped)

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

    def _limit_facet(self, rows: list[Example], facet: str, share: float, dropped: list[Dropped]) -> list[Example]:
        """The first rows of a facet, up to ``share`` of those of its dimension that stay."""
        others = Counter(row.dimension for row in rows if row.facet != facet)
        room = {name: at_most(share, number) for name, number in others.items()}
        kept = []
        for row in rows:
            if row.facet != facet or row.dimension not in room or room[row.dimension] > 0:
                kept.append(row)
                if row.facet == facet and row.dimension in room:
                    room[row.dimension] -= 1
            else:
                dropped.append(drop(row, self.name, f"more rows of the facet {facet}", f"at most {share:.0%}"))
        return kept

    def _limit_replay(self, rows: Sequence[Example], dropped: list[Dropped]) -> list[Example]:
        new = [row for row in rows if not self._is_replay(row)]
        old = [row for row in rows if self._is_replay(row)]
        limit = at_most(self.replay_share, len(new))
        if not new or len(old) <= limit:
            return list(rows)
        places: defaultdict[Key, int] = defaultdict(int)
        turns: list[tuple[int, int, Example]] = []
        for place, row in enumerate(old):
            turns.append((places[_cell(row)], place, row))
            places[_cell(row)] += 1
        taken = [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]
        detail = f"at most {self.replay_share:.0%} of the rows"
        dropped += [drop(row, self.name, "more replay of earlier rounds", detail) for row in taken[limit:]]
        return [*new, *taken[:limit]]

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


def _prompt(row: Example) -> Key:
    return (" ".join(prompt_text(row).casefold().split()),)


def _cell(row: Example) -> Key:
    return row.dimension, row.level or "", row.facet
