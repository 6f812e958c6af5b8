"""Runs of words that texts share, whatever their case and punctuation."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tutelage.curate.tokens import UNSPACED, tokens
from tutelage.text.words import ngrams

Gram = tuple[str, ...]
Places = tuple[tuple[int, int], ...]
"""Of collections, and of items in them."""

MIN_BOILERPLATE_GROUPS = 5
MIN_EMBEDDED = 4
"""Words of the shortest question that is looked for inside a longer text."""
SIGN = re.compile(r"[^\w\s]|_")
INSIDE = re.compile(r"\w(?:[^\w\s]|_)+\w")


@dataclass(frozen=True, slots=True)
class Guarded:
    """An item as texts: what it ``asks``, what else is its own (``texts``), and what must stand beside a short
    question: ``answers``, of which one is enough, or else all ``choices``; an answer that is one of them proves
    nothing. ``name`` is what people are told.

    Items of one ``group`` share a source.
    """

    name: str
    asks: tuple[str, ...]
    texts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """Items that are measured together; ``name`` is empty for the recipe's own. ``plain``: no phrase of them is
    boilerplate, whatever the share of those that have it."""

    name: str
    items: tuple[Guarded, ...]
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that a row shares words with, and these words. ``collection`` and ``item`` are places in the index."""

    collection: int
    item: int
    phrase: str


class Overlaps:
    """An index of collections, asked by :meth:`find` what of them a conversation contains.

    Words are compared in two spellings: signs part words ("don t", "3 5"), and signs are left out ("dont", "35"), so
    that a text from which somebody removed the punctuation is still the same.
    """

    def __init__(
        self, collections: Sequence[Collection], *, ngram: int, short_ngram: int, boilerplate_share: float
    ) -> None:
        self.ngram = ngram
        self.short_ngram = short_ngram
        self.boilerplate: dict[str, tuple[str, ...]] = {}
        self._runs: dict[Gram, Places] = {}
        self._turns: dict[Gram, Places] = {}
        self._questions: defaultdict[Gram, list[tuple[Gram, tuple[int, int]]]] = defaultdict(list)
        self._proofs: dict[tuple[int, int], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        for number, collection in enumerate(collections):
            common = set() if collection.plain else self._boilerplate(collection, boilerplate_share)
            if common:
                said = (tokens(text) for item in collection.items for text in (*item.asks, *item.texts))
                short = {" ".join(gram) for gram in common if len(gram) < short_ngram}
                found = {*_phrases(said, common, (ngram, short_ngram)), *short}
                self.boilerplate[collection.name] = tuple(sorted(found))
            for place, item in enumerate(collection.items):
                self._add(item, (number, place), common)

    def find(self, said: Sequence[tuple[str, str]]) -> list[Hit]:
        """Return each item that turns share words with, once; ``said`` are roles with what they say."""
        hits: dict[tuple[int, int], str] = {}
        spelled = [(role, words) for role, text in said for words in spellings(text)]
        for role, words in spelled:
            if role == "user":
                for place in self._turns.get(tuple(words), ()):
                    hits.setdefault(place, " ".join(words))
            for size in (self.ngram, self.short_ngram) if self.short_ngram < self.ngram else (self.ngram,):
                for gram in ngrams(words, size):
                    for place in self._runs.get(gram, ()):
                        hits.setdefault(place, " ".join(gram))
        for place, question in self._short_questions(spelled):
            hits.setdefault(place, question)
        return [Hit(*place, phrase) for place, phrase in hits.items()]

    def _short_questions(self, spelled: Sequence[tuple[str, list[str]]]) -> Iterator[tuple[tuple[int, int], str]]:
        """Short questions inside longer turns, whose answer or whose choices stand in the conversation too."""
        if not self._questions:
            return
        whole = ""
        for _, words in spelled:
            for start, head in enumerate(ngrams(words, MIN_EMBEDDED)):
                for question, place in self._questions.get(head, ()):
                    if tuple(words[start : start + len(question)]) != question:
                        continue
                    whole = whole or "\n".join(f" {' '.join(words)} " for _, words in spelled)
                    answers, choices = self._proofs[place]
                    if any(f" {one} " in whole for one in answers) or (
                        choices and all(f" {one} " in whole for one in choices)
                    ):
                        yield place, " ".join(question)

    def _add(self, item: Guarded, place: tuple[int, int], common: set[Gram]) -> None:
        alone = (place,)
        for text in (*item.asks, *item.texts):
            for gram in self._grams(text):
                if gram not in common:
                    _append(self._runs, gram, alone)
        for words in self._short(item):
            if tuple(words) not in common:
                _append(self._turns, tuple(words), alone)
            if len(words) >= MIN_EMBEDDED and not any(UNSPACED.fullmatch(word) for word in words):
                self._questions[tuple(words[:MIN_EMBEDDED])].append((tuple(words), place))
                answers = tuple(" ".join(one) for text in item.answers for one in spellings(text) if one)
                choices = tuple(" ".join(one) for text in item.choices if (one := tokens(text)))
                self._proofs[place] = tuple(one for one in answers if one not in choices), choices

    def _short(self, item: Guarded) -> list[list[str]]:
        """What an item asks in so few words that no run of it is looked for."""
        return [words for text in item.asks for words in spellings(text) if 0 < len(words) < self.short_ngram]

    def _grams(self, text: str) -> Iterator[Gram]:
        for words in spellings(text):
            yield from ngrams(words, self.ngram if len(words) >= self.ngram else self.short_ngram)

    def _boilerplate(self, collection: Collection, share: float) -> set[Gram]:
        """Runs and whole short questions that more than ``share`` of the items have, and several groups of them."""
        counts = Counter(gram for item in collection.items for gram in self._of_item(item))
        often = {gram for gram, count in counts.items() if count > share * len(collection.items)}
        if not often:
            return often
        groups: defaultdict[Gram, set[str]] = defaultdict(set)
        for item in collection.items:
            for gram in self._of_item(item) & often:
                groups[gram].add(item.group)
        enough = max(2, min(MIN_BOILERPLATE_GROUPS, len({item.group for item in collection.items})))
        return {gram for gram in often if len(groups[gram]) >= enough}

    def _of_item(self, item: Guarded) -> set[Gram]:
        runs = {gram for text in (*item.asks, *item.texts) for gram in self._grams(text)}
        return runs | set(map(tuple, self._short(item)))


def spellings(text: str) -> list[list[str]]:
    """Return the words of ``text`` with signs as borders and, where that is another text, with signs left out."""
    words = tokens(text)
    return [words, tokens(SIGN.sub("", text))] if INSIDE.search(text) else [words]


def _append(index: dict[Gram, Places], gram: Gram, place: Places) -> None:
    """Add ``place``, a single one, to those of a run; most runs have one, and then share the tuple of their item."""
    known = index.get(gram, ())
    if known[-1:] != place:
        index[gram] = (*known, *place) if known else place


def _phrases(texts: Iterable[Sequence[str]], grams: set[Gram], sizes: Sequence[int]) -> tuple[str, ...]:
    """The longest stretches of the texts that are made of ``grams``, sorted."""
    found: set[str] = set()
    for words in texts:
        covered = [False] * len(words)
        for size in sizes:
            for start, gram in enumerate(ngrams(words, size)):
                if gram in grams:
                    covered[start : start + size] = [True] * size
        start = 0
        for end in range(len(words) + 1):
            if end == len(words) or not covered[end]:
                if end > start:
                    found.add(" ".join(words[start:end]))
                start = end + 1
    return tuple(sorted(found))
