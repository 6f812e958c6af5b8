"""Exact and near duplicates: of rows that are alike, the preferred one is kept (``step.preference``)."""

import unicodedata
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from tutelage.curate.step import Sifted, answer_text, drop, preference, prompt_text
from tutelage.curate.tokens import jaccard, shingles, tokens
from tutelage.records import Dropped, Example

Shingles = frozenset[tuple[str, ...]]


class ExactDuplicates:
    """Keeps one of rows with the same prompt and answer.

    Compared in Unicode normal form KC, without case and with every run of white space as one space. Signs count:
    "3 + 4" and "3 - 4" are two questions.
    """

    name = "exact_duplicates"

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        kept: dict[tuple[str, str], Example] = {}
        dropped: list[Dropped] = []
        for row in sorted(rows, key=preference):
            key = _same(prompt_text(row)), _same(answer_text(row))
            if twin := kept.get(key):
                dropped.append(drop(row, self.name, "the same prompt and answer", f"as {twin.id}"))
            else:
                kept[key] = row
        return Sifted(list(kept.values()), dropped)


class NearDuplicates:
    """Keeps one of rows that are nearly the same (MinHash: Broder 1997; banding as in Leskovec et al., ch. 3).

    Two rows are near duplicates when the Jaccard similarity of their word ``ngram`` sets reaches ``threshold``, of
    the whole rows *and* of the answers alone: several questions on one passage, or several answers to one prompt,
    are not duplicates. Candidates come from banded MinHash and are confirmed exactly, so no row is dropped by an
    estimate; bands are chosen for recall (at 0.8 and 128 permutations about 5 in 100,000 pairs are missed).
    """

    name = "near_duplicates"

    def __init__(self, *, threshold: float = 0.8, ngram: int = 5, permutations: int = 128) -> None:
        self.threshold = threshold
        self.ngram = ngram
        self.permutations = permutations

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped."""
        index = MinHashLSH(num_perm=self.permutations, params=_bands(self.threshold, self.permutations))
        kept: list[Example] = []
        sets: list[tuple[Shingles, Shingles]] = []
        dropped: list[Dropped] = []
        blank = MinHash(num_perm=self.permutations)  # copied, as drawing the permutations takes long
        for row in sorted(rows, key=preference):
            whole = shingles(tokens(f"{prompt_text(row)} {answer_text(row)}"), self.ngram)
            answer = shingles(tokens(answer_text(row)), self.ngram)
            sketch = blank.copy()
            sketch.update_batch([" ".join(gram).encode() for gram in sorted(whole)])
            found = [
                (min(jaccard(whole, sets[other][0]), jaccard(answer, sets[other][1])), other)
                for other in index.query(sketch)
            ]
            # Ties go to the preferred row, which has the smaller place.
            likeness, twin = max(found, key=lambda pair: (pair[0], -pair[1]), default=(0.0, -1))
            if likeness >= self.threshold:
                detail = f"{likeness:.2f} like {kept[twin].id}"
                dropped.append(drop(row, self.name, "nearly the same row", detail))
            else:
                index.insert(len(kept), sketch)
                kept.append(row)
                sets.append((whole, answer))
        return Sifted(kept, dropped)


def _bands(threshold: float, permutations: int) -> tuple[int, int]:
    """The bands and rows a band with most rows such that a pair at ``threshold`` is missed once in 10,000 at most."""
    for size in range(permutations // 2, 0, -1):
        bands = permutations // size
        if (1 - threshold**size) ** bands <= 1e-4:
            return bands, size
    return permutations, 1


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
