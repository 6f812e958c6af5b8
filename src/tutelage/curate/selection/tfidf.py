"""Texts as weighted words, without a model."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from tutelage.curate.tokens import tokens


def tfidf(texts: Sequence[str]) -> csr_array:
    """Return texts as rows (n, words) of (1 + ln tf) · (ln((1 + n)/(1 + df)) + 1), in float32, of no set length.

    Salton & Buckley 1988, with the smoothing of scikit-learn (``sublinear_tf``). Words are those of
    :func:`tutelage.curate.tokens.tokens`, in every script. Which texts are given decides what is rare among them; their
    order decides nothing but that of the rows.
    """
    counts = [Counter(tokens(text)) for text in texts]
    found = Counter(word for count in counts for word in count)
    places = {word: place for place, word in enumerate(sorted(found))}
    rarity = {word: math.log((1 + len(texts)) / (1 + number)) + 1 for word, number in found.items()}
    ends = np.cumsum([0, *(len(count) for count in counts)], dtype=np.int64)
    columns = np.empty(ends[-1], np.int32)
    values = np.empty(ends[-1], np.float32)
    for start, count in zip(ends, counts, strict=False):
        for offset, word in enumerate(sorted(count)):
            columns[start + offset] = places[word]
            values[start + offset] = (1 + math.log(count[word])) * rarity[word]
    return csr_array((values, columns, ends), shape=(len(texts), len(places)))
