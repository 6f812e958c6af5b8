"""Rows that share a run of words with what the model will be measured on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tutelage.curate.step import Sifted, drop
from tutelage.curate.tokens import tokens
from tutelage.records import Dropped, Example, Item
from tutelage.text.words import ngrams

Gram = tuple[str, ...]

MIN_BOILERPLATE_GROUPS = 5
MAX_LISTED = 20


class Contamination:
    """Drops rows of which a prompt or answer, with its reasoning, shares ``ngram`` words in a row with an item's prompt
    or reference.

    The n-gram overlap of GPT-3 (Brown et al. 2020, appendix C). A text of fewer than ``ngram`` words is compared by
    ``short_ngram``; an item's prompt that is shorter still only as a whole turn; a shorter reference ("Paris") not at
    all. Runs that occur in more than ``boilerplate_share`` of the items are phrases of the task and no leak: they are
    ignored and listed in the notes. They must also occur in 5 groups (in all, if there are fewer, and in 2 at least):
    a passage that many questions share is one source, not boilerplate. Translations and paraphrases are not seen.

    ``texts`` are more texts that no row may share words with, by name; they do not count when boilerplate is looked
    for.
    """

    name = "contamination"

    def __init__(
        self,
        items: Iterable[Item],
        *,
        texts: Mapping[str, str] | None = None,
        ngram: int = 13,
        short_ngram: int = 8,
        boilerplate_share: float = 0.05,
    ) -> None:
        self.ngram = ngram
        self.short_ngram = min(short_ngram, ngram)
        self._sources: dict[Gram, str] = {}
        self._turns: dict[Gram, str] = {}
        counts: Counter[Gram] = Counter()
        groups: defaultdict[Gram, set[tuple[str, str]]] = defaultdict(set)
        all_groups: set[tuple[str, str]] = set()
        named = [(name, tokens(text)) for name, text in sorted((texts or {}).items())]
        sources: list[tuple[str, list[str]]] = []
        self.num_items = 0
        self.num_texts = len(named)
        for item in sorted(items, key=lambda item: item.id):
            self.num_items += 1
            where = f"{item.id} ({item.split})"
            turns = [tokens(message.text) for message in item.messages if message.role == "user"]
            found = [*turns, tokens(item.reference or ""), tokens(item.passage or "")]
            sources += [(where, words) for words in found]
            all_groups.add((item.task, item.group))
            for gram in {gram for words in found for gram in self._grams(words)}:
                counts[gram] += 1
                if len(groups[gram]) < MIN_BOILERPLATE_GROUPS:
                    groups[gram].add((item.task, item.group))
            self._keep_short(where, turns)
        for name, words in named:
            self._keep_short(name, [words])
        limit = boilerplate_share * self.num_items
        enough = max(2, min(MIN_BOILERPLATE_GROUPS, len(all_groups)))
        boilerplate = {gram for gram, count in counts.items() if count > limit and len(groups[gram]) >= enough}
        for where, words in [*sources, *named]:
            for gram in self._grams(words):
                if gram not in boilerplate:
                    self._sources.setdefault(gram, where)
        self.boilerplate = _phrases((words for _, words in sources), boilerplate, (self.ngram, self.short_ngram))

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept and what is dropped; the notes list the boilerplate."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for row in rows:
            found = self.find(row)
            if found is None:
                kept.append(row)
            else:
                item, phrase = found
                detail = f'{item} has "{phrase}"'
                dropped.append(drop(row, self.name, "shares words with an evaluation item", detail))
        return Sifted(kept, dropped, self._notes())

    def find(self, row: Example) -> tuple[str, str] | None:
        """Return the item and the words that a row shares with it, or None."""
        said = [(message.role, text) for message in row.messages for text in (message.text, message.reasoning) if text]
        for role, text in said:
            words = tokens(text)
            if role == "user" and tuple(words) in self._turns:
                return self._turns[tuple(words)], " ".join(words)
            for size in {self.ngram, self.short_ngram}:
                for gram in ngrams(words, size):
                    if gram in self._sources:
                        return self._sources[gram], " ".join(gram)
        return None

    def _keep_short(self, where: str, turns: Iterable[Sequence[str]]) -> None:
        """Remember turns that are too short for runs of words."""
        for words in turns:
            if 0 < len(words) < self.short_ngram:
                self._turns.setdefault(tuple(words), where)

    def _grams(self, words: Sequence[str]) -> Iterable[Gram]:
        return ngrams(words, self.ngram if len(words) >= self.ngram else self.short_ngram)

    def _notes(self) -> tuple[str, ...]:
        more = f" and {self.num_texts} general texts" if self.num_texts else ""
        notes = [f"compared with {self.num_items} items{more}"]
        notes += [f'boilerplate ignored: "{phrase}"' for phrase in self.boilerplate[:MAX_LISTED]]
        if len(self.boilerplate) > MAX_LISTED:
            notes.append(f"{len(self.boilerplate) - MAX_LISTED} more phrases of boilerplate ignored")
        return tuple(notes)


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
