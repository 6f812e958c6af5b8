"""Exact and near duplicates: of rows that are alike, the preferred one is kept (``step.preference``)."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tutelage.curate.batchwise import Choice, Columns, Gone, WholeSet, standings
from tutelage.curate.minhash import Bands, groups_of
from tutelage.curate.step import answer_text, prompt_text
from tutelage.curate.tokens import jaccard, shingles, signs, tokens
from tutelage.records import Example

Shingles = frozenset[tuple[str, ...]]
SHARED_BANDS = 3
"""Groups that candidates share at least, of both sides together; rows with a fifth of their words alike rarely do."""
SHORT_PROMPT = 50
"""Words from which on the signs of a prompt no longer make it another one."""
REMEMBERED = 1_000
"""Rows whose n-grams are kept, to be compared again: some 30 kB each."""


class Twins(NamedTuple):
    """The place of the row that is kept for each row (n), its own where that is kept, and how alike they are (n)."""

    of: NDArray[np.intp]
    likeness: NDArray[np.float64]

    def gone(self) -> list[int]:
        """Return the places of rows that are not kept."""
        found: list[int] = np.flatnonzero(self.of != np.arange(len(self.of))).tolist()
        return found


class ExactDuplicates(WholeSet):
    """Keeps one of rows with the same prompt and answer.

    Compared in Unicode normal form KC, without case and with every run of white space as one space. Signs count:
    "3 + 4" and "3 - 4" are two questions. Memory holds 128 bits of BLAKE2 in place of a row's words, and some 60 bytes
    in all.
    """

    name = "exact_duplicates"

    def summarize(self, rows: Sequence[Example]) -> Columns:
        """Return ``standing`` (n) and ``digest`` (n, 2) of rows."""
        digests = b"".join(_digest(row) for row in rows)
        return {"standing": standings(rows), "digest": np.frombuffer(digests, np.uint64).reshape(-1, 2)}

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        """Return which rows are dropped, each with the one that is kept for it."""
        twins = self.twins(columns, rows)
        return Choice(
            Gone(place, "the same prompt and answer", f"as {rows[twins.of[place]].id}") for place in twins.gone()
        )

    def twins(self, columns: Columns, rows: Sequence[Example]) -> "Twins":
        """Return which row is kept for each."""
        first, second = columns["digest"].T
        order = np.lexsort((columns["standing"], first, second))  # stable: of equal standing the smaller place
        starts = np.ones(len(order), dtype=bool)
        starts[1:] = (first[order[1:]] != first[order[:-1]]) | (second[order[1:]] != second[order[:-1]])
        twins = np.empty(len(order), np.intp)
        twins[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
        return Twins(twins, np.ones(len(order)))


class NearDuplicates(WholeSet):
    """Keeps one of rows that are nearly the same (MinHash: Broder 1997; banding as in Leskovec et al., ch. 3).

    Two rows are near duplicates when the Jaccard similarity of their word ``ngram`` sets reaches ``threshold``, of
    the whole rows *and* of the answers alone: several questions on one passage, or several answers to one prompt,
    are not duplicates. Candidates come from banded MinHash and are confirmed exactly, so no row is dropped by an
    estimate; bands are chosen for recall (at exactly 0.8, with 128 permutations, 7 in 10,000 pairs are missed at most).
    Words do not tell "5 + 2" from "5 - 2": answers with other signs (:func:`tutelage.curate.tokens.signs`), and prompts
    of fewer than 50 words with other signs, are never duplicates, nor are two answers without words that differ.

    With 128 permutations memory holds some 600 bytes for each row; candidates are read again, to be compared.
    """

    name = "near_duplicates"

    def __init__(self, *, threshold: float = 0.8, ngram: int = 5, permutations: int = 128) -> None:
        self.threshold = threshold
        self.ngram = ngram
        self.permutations = permutations

    def summarize(self, rows: Sequence[Example]) -> Columns:
        """Return ``standing`` (n), and the keys (n, bands) of ``whole`` rows and of their ``answers``."""
        bands = Bands.of(self.threshold, permutations=self.permutations, ngram=self.ngram)
        both = [_texts(row) for row in rows]
        whole, answers = (bands.keys([texts[side] for texts in both]) for side in (0, 1))
        return {"standing": standings(rows), "whole": whole, "answers": answers}

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        """Return which rows are dropped, each with the kept one that it is most like."""
        twins = self.twins(columns, rows)
        return Choice(
            Gone(place, "nearly the same row", f"{twins.likeness[place]:.2f} like {rows[twins.of[place]].id}")
            for place in twins.gone()
        )

    def twins(self, columns: Columns, rows: Sequence[Example]) -> "Twins":
        """Return which row is kept for each; of ``columns`` the keys are taken out, which are large."""
        sides = [groups_of(columns.pop(side)) for side in ("whole", "answers")]
        suspect = (sides[0].max(axis=1, initial=-1) >= 0) & (sides[1].max(axis=1, initial=-1) >= 0)
        order = np.argsort(columns["standing"], kind="stable")
        order = order[suspect[order]]
        whole, answers = (side[order] for side in sides)
        del sides
        found = self._compare(_Index(whole, answers), _Ordered(rows, order))
        twins = np.arange(len(rows))
        likeness = np.ones(len(rows))
        for rank, alike, other in found:
            twins[order[rank]], likeness[order[rank]] = order[other], alike
        return Twins(twins, likeness)

    def _compare(self, index: "_Index", rows: "_Ordered") -> Iterator[tuple[int, float, int]]:
        """Yield each row that is dropped, how much it is like a kept one, and which; by ranks of preference."""
        sets = lru_cache(maxsize=REMEMBERED)(partial(_sets, rows, self.ngram))
        for rank in range(len(rows)):
            found = [(_likeness(sets(rank), sets(other)), other) for other in index.candidates(rank)]
            # Ties go to the preferred row, which has the smaller rank.
            likeness, twin = max(found, key=lambda pair: (pair[0], -pair[1]), default=(0.0, -1))
            if likeness >= self.threshold:
                yield rank, likeness, twin
            else:
                index.add(rank)


class _Ordered:
    """Rows by their ranks."""

    def __init__(self, rows: Sequence[Example], order: NDArray[np.intp]) -> None:
        self._rows = rows
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rank: int) -> Example:
        return self._rows[int(self._order[rank])]


class _Index:
    """The kept rows by the groups that they belong to; ``whole`` and ``answers`` are (rows, bands) group numbers."""

    def __init__(self, whole: NDArray[np.int32], answers: NDArray[np.int32]) -> None:
        self._sides = whole, answers
        self._kept: tuple[dict[int, list[int]], dict[int, list[int]]] = {}, {}

    def add(self, place: int) -> None:
        """Note that the row is kept."""
        for groups, kept in zip(self._sides, self._kept, strict=True):
            for group in _shared(groups[place]):
                kept.setdefault(group, []).append(place)

    def candidates(self, place: int) -> list[int]:
        """Return the kept rows that share groups with this one both by whole row and by answer.

        The rarer side is listed and both are counted, so that a prompt which thousands of rows share costs little, and
        rows that have a sentence in common are not compared word by word.
        """
        sides = [
            [kept[group] for group in _shared(groups[place]) if group in kept]
            for groups, kept in zip(self._sides, self._kept, strict=True)
        ]
        rare = int(sum(map(len, sides[1])) < sum(map(len, sides[0])))
        listed = sorted({other for members in sides[rare] for other in members})
        if not listed:
            return []
        found = [((groups[listed] == groups[place]) & (groups[place] >= 0)).sum(axis=1) for groups in self._sides]
        enough = (found[0] > 0) & (found[1] > 0) & (found[0] + found[1] >= SHARED_BANDS)
        return [other for other, like in zip(listed, enough.tolist(), strict=True) if like]


def _shared(groups: NDArray[np.int32]) -> list[int]:
    return [group for group in groups.tolist() if group >= 0]


def _texts(row: Example) -> tuple[str, str]:
    answer = answer_text(row)
    return f"{prompt_text(row)} {answer}", answer


@dataclass(frozen=True, slots=True)
class _Compared:
    """A row as it is compared: n-grams, and what no n-gram tells. ``asked``: the signs of a prompt, None if it is long;
    ``bare``: an answer that has no words."""

    whole: Shingles
    answer: Shingles
    signs: str
    asked: str | None
    bare: str


def _sets(rows: _Ordered, ngram: int, rank: int) -> _Compared:
    row = rows[rank]
    whole, answer = _texts(row)
    words, prompt = tokens(answer), prompt_text(row)
    return _Compared(
        whole=shingles(tokens(whole), ngram),
        answer=shingles(words, ngram),
        signs=signs(answer),
        asked=signs(prompt) if len(tokens(prompt)) < SHORT_PROMPT else None,
        bare="" if words else same_text(answer),
    )


def _likeness(left: _Compared, right: _Compared) -> float:
    """The Jaccard similarity of whole rows or of answers, whichever is less; 0 where signs tell the rows apart."""
    if left.signs != right.signs or left.bare != right.bare:
        return 0.0
    if left.asked is not None and right.asked is not None and left.asked != right.asked:
        return 0.0
    return min(jaccard(left.whole, right.whole), jaccard(left.answer, right.answer))


def _digest(row: Example) -> bytes:
    """128 bits of what two rows have in common that are the same."""
    both = f"{same_text(prompt_text(row))}\n{same_text(answer_text(row))}"  # neither has a line break of its own
    return blake2b(both.encode(errors="surrogatepass"), digest_size=16).digest()


def same_text(text: str) -> str:
    """Return what texts that count as the same have in common: normal form KC, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
