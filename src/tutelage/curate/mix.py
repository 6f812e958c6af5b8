"""How much of each there may be: answers a prompt, rows a cell, rows of earlier rounds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tutelage.curate.step import Sifted, drop, preference, prompt_text
from tutelage.records import Dropped, Example
from tutelage.seeds import derive_seed

Key = tuple[str, ...]


class Mix:
    """Caps answers a prompt, then rows a cell, then the share of replay; 0 (for the share, 1) switches a cap off.

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
        replay_share: float = 1.0,
        round: int | None = None,
        seed: int = 0,
    ) -> None:
        self.answers_per_prompt = answers_per_prompt
        self.rows_per_cell = rows_per_cell
        self.replay_share = replay_share
        self.round = round
        self.seed = seed

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        kept = sorted(rows, key=self._rank)
        dropped: list[Dropped] = []
        if self.answers_per_prompt:
            kept = self._cap(kept, _prompt, self.answers_per_prompt, "more answers to one prompt", dropped)
        if self.rows_per_cell:
            kept = self._cap(kept, _cell, self.rows_per_cell, "more rows of one cell", dropped)
        if self.replay_share < 1 and self.round is not None:
            kept = self._limit_replay(kept, dropped)
        return Sifted(kept, dropped)

    def _rank(self, row: Example) -> tuple[bool, int, int, str]:
        unverified, paradigm, *_ = preference(row)
        return unverified, paradigm, derive_seed(self.seed, "mix", row.id), row.to_json()

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

    def _limit_replay(self, rows: Sequence[Example], dropped: list[Dropped]) -> list[Example]:
        new = [row for row in rows if not self._is_replay(row)]
        old = [row for row in rows if self._is_replay(row)]
        limit = int(len(new) * self.replay_share / (1 - self.replay_share) + 1e-9)
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


def _prompt(row: Example) -> Key:
    return (" ".join(prompt_text(row).casefold().split()),)


def _cell(row: Example) -> Key:
    return row.dimension, row.level or "", row.facet
