"""ROUGE-L (Lin 2004): how much of two texts stands in the same order, by their longest common subsequence of words.

Self-Instruct (Wang et al. 2023) keeps a new instruction if its ROUGE-L to every one before is below 0.7. The length of
the subsequence is counted with the bits of whole numbers (Hyyrö 2004): one step a word, for all words of the other text
at once. Exact; no stemming. Scripts that are written without spaces are compared by characters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tutelage.text.words import normalize

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]|[^\s\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)


def units(text: str) -> list[str]:
    """Return the words of ``text`` in lower case; of scripts without spaces its characters."""
    return _UNSPACED.findall(normalize(text))


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    return _common(_places(one), len(one), other)


def _places(units: Sequence[str]) -> dict[str, int]:
    """Where each unit stands, as the bits of a number."""
    places: dict[str, int] = {}
    for place, unit in enumerate(units):
        places[unit] = places.get(unit, 0) | 1 << place
    return places


def _common(places: Mapping[str, int], length: int, other: Sequence[str]) -> int:
    """The length of the longest common subsequence of ``other`` and ``length`` units that stand at ``places``."""
    row = whole = (1 << length) - 1
    for unit in other:
        if at := places.get(unit):
            hits = row & at
            row = ((row + hits) | (row - hits)) & whole
    return length - row.bit_count()


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the F-measure of ROUGE-L of two texts as :func:`units`, in [0, 1]; 0 where one is empty."""
    if not one or not other:
        return 0.0
    return 2 * common_length(one, other) / (len(one) + len(other))


@dataclass(slots=True)
class Nearest:
    """Texts that were kept so far, to be asked which of them a new one is too near to.

    ``below`` is the ROUGE-L that a text must stay below. Lengths and the words that two texts share in any order bound
    it from above, so most pairs are never compared word by word.
    """

    below: float
    _kept: list[tuple[str, list[str], frozenset[str]]] = field(default_factory=list)

    def add(self, texts: Iterable[str]) -> None:
        """Keep ``texts``."""
        for text in texts:
            said = units(text)
            self._kept.append((text, said, frozenset(said)))

    def too_near(self, text: str) -> tuple[str, float] | None:
        """Return the first kept text whose ROUGE-L to ``text`` is not below the limit, with it; None: there is none."""
        said = units(text)
        places, length = _places(said), len(said)
        different = frozenset(said)
        for kept, words, known in self._kept:
            both = length + len(words)
            if not said or not words or 2 * min(length, len(words)) / both < self.below:
                continue
            # A word that both have is counted once, and every repetition on either side in full.
            most = len(different & known) + min(length - len(different), len(words) - len(known))
            if 2 * most / both < self.below:
                continue
            score = 2 * _common(places, length, words) / both
            if score >= self.below:
                return kept, score
        return None
