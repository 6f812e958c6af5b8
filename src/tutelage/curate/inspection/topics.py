"""What prompts are about, as far as words tell: clusters, the words that set them apart, rows from their middle."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tutelage.curate.filters.language import asked_text
from tutelage.curate.inspection.clusters import clusters
from tutelage.curate.inspection.seen import Seen, Show, excerpt
from tutelage.curate.selection.tfidf import tfidf
from tutelage.curate.tokens import UNSPACED, tokens
from tutelage.records.inspection import Topic, Topics
from tutelage.text.function_words import FUNCTION_WORDS

READ_CHARS = 2_000
"""So much of a prompt is read: what it asks mostly stands at its head."""
FEWEST = 10
"""Prompts below which no topics are sought."""
MOST_TOPICS = 20
TERMS = 6
EXAMPLES = 3
SHARED = 2
"""Prompts that have a word at least, for it to count."""


def topics_of(rows: Sequence[Seen], show: Show, *, number: int | None, terms: bool) -> Topics | None:
    """Return the topics of the prompts of ``rows``; None where there are fewer than ten prompts with a word in common.

    ``number``: how many; None: √(n/2), at most 20 and at least 2 (the rule of thumb of Mardia, Kent & Bibby 1979).
    ``terms``: whether words of the rows may be shown. Prompts are weighted words (:func:`tfidf`) of which two have each
    at least, without function words and numbers. Other words for the same thing make another topic.
    """
    texts = [_telling(asked_text(row.whole)[:READ_CHARS]) for row in rows]
    overall = Counter(word for words in texts for word in set(words))
    texts = [[word for word in words if overall[word] >= SHARED] for words in texts]
    placed = [place for place, words in enumerate(texts) if words]
    if len(placed) < FEWEST:
        return None
    wanted = number if number is not None else min(MOST_TOPICS, max(2, round(math.sqrt(len(placed) / 2))))
    weights = tfidf([" ".join(texts[place]) for place in placed])
    found, likeness = clusters(weights, min(wanted, len(placed)))
    topics = []
    for one in range(int(found.max()) + 1):
        members = np.flatnonzero(found == one)
        middle = sorted(members, key=lambda at: (-round(float(likeness[at]), 9), int(at)))[:EXAMPLES]
        topics.append(
            Topic(
                rows=len(members),
                terms=_terms([texts[placed[at]] for at in members], overall, len(placed)) if terms else (),
                examples=tuple(excerpt(rows[placed[at]], show) for at in middle),
            )
        )
    topics.sort(key=lambda topic: -topic.rows)
    return Topics(n=len(rows), apart=len(rows) - len(placed), rule=_rule(number, len(topics)), topics=tuple(topics))


def _rule(number: int | None, made: int) -> str:
    if number is None:
        return f"{made} topics: √(n/2) for n prompts, at most {MOST_TOPICS}"
    fewer = "" if made == number else f"; {number} were asked for, and the prompts differ in no more ways"
    return f"{made} topics, as asked for{fewer}"


def _telling(text: str) -> list[str]:
    """The words of a text that may say what it is about."""
    words = tokens(text)
    return [
        word
        for word in words
        if word not in FUNCTION_WORDS and not word.isdecimal() and (len(word) > 1 or UNSPACED.match(word))
    ]


def _terms(members: Sequence[Sequence[str]], overall: Counter[str], n: int) -> tuple[str, ...]:
    """The words that tell a topic best: p ln(p/q), for the share p of its prompts that have a word and the share q of
    all prompts; the word's part in the divergence of the topic from the whole (Kullback & Leibler 1951)."""
    counts = Counter(word for words in members for word in set(words))
    scores = {
        word: (count / len(members)) * math.log((count / len(members)) / (overall[word] / n))
        for word, count in counts.items()
    }
    telling = sorted((word for word, score in scores.items() if score > 0), key=lambda word: (-scores[word], word))
    return tuple(telling[:TERMS])
