"""Exact and near duplicates: of rows that are alike, the preferred one is kept (``step.preference``)."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from tutelage.curate.minhash import Bands, Keys, groups_of, keys_of
from tutelage.curate.step import Sifted, answer_text, drop, preference, prompt_text
from tutelage.curate.tokens import jaccard, shingles, signs, tokens
from tutelage.records import Dropped, Example

Shingles = frozenset[tuple[str, ...]]
WORTH_WORKERS = 20_000
"""Rows from which on further processes are started."""
SHARED_BANDS = 3
"""Groups that candidates share at least, of both sides together; rows with a fifth of their words alike rarely do."""
SHORT_PROMPT = 50
"""Words from which on the signs of a prompt no longer make it another one."""
REMEMBERED = 1_000
"""Rows whose n-grams are kept, to be compared again: some 30 kB each."""


def _by_preference(rows: Sequence[Example]) -> list[int]:
    """The places of ``rows``, that of the row which survives its likes first."""
    return sorted(range(len(rows)), key=lambda place: preference(rows[place]))


class ExactDuplicates:
    """Keeps one of rows with the same prompt and answer.

    Compared in Unicode normal form KC, without case and with every run of white space as one space. Signs count:
    "3 + 4" and "3 - 4" are two questions.
    """

    name = "exact_duplicates"

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for first, *others in self.groups(rows):
            kept.append(rows[first])
            same = "the same prompt and answer", f"as {rows[first].id}"
            dropped += [drop(rows[other], self.name, *same) for other in others]
        return Sifted(kept, dropped)

    def groups(self, rows: Sequence[Example]) -> list[list[int]]:
        """Return the places of rows that say the same, the preferred one first; each place is in one group."""
        found: dict[tuple[str, str], list[int]] = {}
        for place in _by_preference(rows):
            key = same_text(prompt_text(rows[place])), same_text(answer_text(rows[place]))
            found.setdefault(key, []).append(place)
        return list(found.values())


class NearDuplicates:
    """Keeps one of rows that are nearly the same (MinHash: Broder 1997; banding as in Leskovec et al., ch. 3).

    Two rows are near duplicates when the Jaccard similarity of their word ``ngram`` sets reaches ``threshold``, of
    the whole rows *and* of the answers alone: several questions on one passage, or several answers to one prompt,
    are not duplicates. Candidates come from banded MinHash and are confirmed exactly, so no row is dropped by an
    estimate; bands are chosen for recall (at exactly 0.8, with 128 permutations, 7 in 10,000 pairs are missed at most).
    Words do not tell "5 + 2" from "5 - 2": answers with other signs (:func:`tutelage.curate.tokens.signs`), and prompts
    of fewer than 50 words with other signs, are never duplicates, nor are two answers without words that differ.

    ``workers`` processes sketch the rows, where there are enough of them to pay (None: one for each core); what is kept
    does not depend on their number. Beside the rows memory holds some 600 bytes for each.
    """

    name = "near_duplicates"

    def __init__(
        self, *, threshold: float = 0.8, ngram: int = 5, permutations: int = 128, workers: int | None = None
    ) -> None:
        self.threshold = threshold
        self.ngram = ngram
        self.permutations = permutations
        self.workers = workers

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for first, others in self.groups(rows).items():
            kept.append(rows[first])
            for other, likeness in others:
                detail = f"{likeness:.2f} like {rows[first].id}"
                dropped.append(drop(rows[other], self.name, "nearly the same row", detail))
        return Sifted(kept, dropped)

    def groups(self, rows: Sequence[Example]) -> dict[int, list[tuple[int, float]]]:
        """Return the place of each row that is kept, with the places of those that are nearly the same and how alike
        they are."""
        places = _by_preference(rows)
        ordered = [rows[place] for place in places]
        whole, answers = (groups_of(keys) for keys in self._keys(ordered))
        suspect = (whole.max(axis=1) >= 0) & (answers.max(axis=1) >= 0)
        sets = lru_cache(maxsize=REMEMBERED)(partial(_sets, ordered, self.ngram))
        index = _Index(whole, answers)
        groups: dict[int, list[tuple[int, float]]] = {}
        for place, at in enumerate(places):
            if not suspect[place]:
                groups[at] = []
                continue
            found = [(_likeness(sets(place), sets(other)), other) for other in index.candidates(place)]
            # Ties go to the preferred row, which has the smaller place.
            likeness, twin = max(found, key=lambda pair: (pair[0], -pair[1]), default=(0.0, -1))
            if likeness >= self.threshold:
                groups[places[twin]].append((at, likeness))
            else:
                index.add(place)
                groups[at] = []
        return groups

    def _keys(self, rows: Sequence[Example]) -> tuple[Keys, Keys]:
        """The keys of whole rows and of their answers."""
        bands = Bands.of(self.threshold, permutations=self.permutations, ngram=self.ngram)
        workers = (self.workers or cpu_count()) if len(rows) >= WORTH_WORKERS else 1
        whole, answers = (np.empty((len(rows), bands.count), np.uint32) for _ in range(2))
        done = 0
        for of_whole, of_answers in keys_of(rows, _texts, bands, workers=workers):
            now = slice(done, done + len(of_whole))
            whole[now], answers[now] = of_whole, of_answers
            done = now.stop
        return whole, answers


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


def _sets(rows: Sequence[Example], ngram: int, place: int) -> _Compared:
    whole, answer = _texts(rows[place])
    words, prompt = tokens(answer), prompt_text(rows[place])
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


def same_text(text: str) -> str:
    """Return what texts that count as the same have in common: normal form KC, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
