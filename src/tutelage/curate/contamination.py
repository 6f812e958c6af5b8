"""Rows that share a run of words with what the model will be measured on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.overlap import Collection, Guarded, Hit, Overlaps
from tutelage.curate.step import drop
from tutelage.records import Dropped, Example, Item, Message
from tutelage.records.importers.benchmarks import Benchmark, BenchmarkItem

MAX_LISTED = 20
OWN = "shares words with an evaluation item"


class Contamination(RowWise):
    """Drops rows of which a prompt or answer, with its reasoning and the arguments of its calls, shares ``ngram`` words
    in a row with an item's prompt or reference.

    The n-gram overlap of GPT-3 (Brown et al. 2020, appendix C). A text of fewer than ``ngram`` words is compared by
    ``short_ngram``. A prompt that is shorter still counts as a whole turn, and inside a longer one from 4 words on if
    the item's reference, or all its choices, are in the row too; a shorter reference ("Paris") alone does not count.
    Runs that occur in more than ``boilerplate_share`` of the items are phrases of the task and no leak: they are
    ignored and listed in the notes. They must also occur in 5 groups (in all, if there are fewer, and in 2 at least):
    a passage that many questions share is one source, not boilerplate. Translations and paraphrases are not seen.

    ``against`` are public benchmarks: their items are compared in the same way, counted apart and named in the notes.
    ``texts`` are more texts that no row may share words with, by name; no phrase of them is boilerplate.
    """

    name = "contamination"

    def __init__(
        self,
        items: Iterable[Item],
        *,
        texts: Mapping[str, str] | None = None,
        against: Sequence[Benchmark] = (),
        ngram: int = 13,
        short_ngram: int = 8,
        boilerplate_share: float = 0.05,
    ) -> None:
        own = tuple(_of_item(item) for item in sorted(items, key=lambda item: item.id))
        more = tuple(Guarded(name, (text,)) for name, text in sorted((texts or {}).items()))
        self._collections = (
            Collection("", own),
            Collection("", more, plain=True),
            *(Collection(one.name, tuple(map(_of_benchmark, one.items))) for one in against),
        )
        self._overlaps = Overlaps(
            self._collections,
            ngram=ngram,
            short_ngram=min(short_ngram, ngram),
            boilerplate_share=boilerplate_share,
        )

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and what is dropped; the counts are of rows by collection and by item."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        tally = Tally()
        for row in rows:
            hits = self.find(row)
            if not hits:
                kept.append(row)
                continue
            tally.update((number,) for number in {hit.collection for hit in hits})
            tally.update((hit.collection, hit.item) for hit in hits)
            of = self._collections[hits[0].collection].name
            kind = f"shares words with {of}" if of else OWN
            dropped.append(drop(row, self.name, kind, self._told(hits)))
        return Judged(kept, dropped, tally)

    def judge_rejected(self, rows: Sequence[Example]) -> Judged:
        """Judge rejected answers as any others."""
        return self.judge(rows)

    def notes(self, tally: Tally) -> tuple[str, ...]:
        """Return what rows were compared with, the boilerplate, and which items of benchmarks were found."""
        return (*self._compared(), *self._found(tally))

    def find(self, row: Example) -> list[Hit]:
        """Return every item that a row shares words with, those of the recipe before those of benchmarks."""
        said = [(message.role, text) for message in row.messages for text in _said(message) if text]
        return sorted(self._overlaps.find(said), key=lambda hit: hit.collection)

    def _told(self, hits: Sequence[Hit]) -> str:
        first, *others = hits
        names = ", ".join(map(self._named, others[:MAX_LISTED]))
        cut = ", ..." if len(others) > MAX_LISTED else ""
        also = f"; {len(others)} more: {names}{cut}" if others else ""
        return f'{self._named(first)} has "{first.phrase}"{also}'

    def _named(self, hit: Hit) -> str:
        return self._collections[hit.collection].items[hit.item].name

    def _compared(self) -> tuple[str, ...]:
        own, more, *others = self._collections
        general = f" and {len(more.items)} general texts" if more.items else ""
        notes = [f"compared with {len(own.items)} items{general}"] if own.items or general or not others else []
        notes += [f"compared with {_plural(len(one.items), 'item')} of {one.name}" for one in others]
        for of, phrases in self._overlaps.boilerplate.items():
            whose = f" of {of}" if of else ""
            notes += [f'boilerplate{whose} ignored: "{phrase}"' for phrase in phrases[:MAX_LISTED]]
            if len(phrases) > MAX_LISTED:
                notes.append(f"{len(phrases) - MAX_LISTED} more phrases of boilerplate{whose} ignored")
        return tuple(notes)

    def _found(self, tally: Tally) -> list[str]:
        """Of each benchmark, which of its items stand in how many rows."""
        notes = []
        for number, collection in enumerate(self._collections):
            names = [item.name for place, item in enumerate(collection.items) if tally[number, place]]
            if not collection.name or not names:
                continue
            more = f" and {len(names) - MAX_LISTED} more (dropped.jsonl)" if len(names) > MAX_LISTED else ""
            notes.append(
                f"{collection.name}: {len(names):,} of {_plural(len(collection.items), 'item')} found, in "
                f"{_plural(tally[(number,)], 'row')}: {', '.join(names[:MAX_LISTED])}{more}"
            )
        return notes


def _said(message: Message) -> Iterator[str]:
    """The texts of a turn: what it says, its reasoning, and every text in the arguments of its calls."""
    yield from (message.text, message.reasoning)
    for call in message.tool_calls:
        yield from _strings(call.arguments)


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _strings(one)
        case dict():
            for one in value.values():
                yield from _strings(one)
        case _:
            return


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _of_item(item: Item) -> Guarded:
    reference = (item.reference,) if item.reference else ()
    return Guarded(
        f"{item.id} ({item.split})",
        tuple(message.text for message in item.messages if message.role == "user"),
        (*reference, item.passage) if item.passage else reference,
        reference,
        group=f"{item.task}/{item.group}",
    )


def _of_benchmark(item: BenchmarkItem) -> Guarded:
    return Guarded(
        item.id,
        item.questions,
        (*item.contexts, *item.answers, *item.choices, *item.wrong),
        item.answers,
        item.choices,
        # Questions on one passage share a source; without one each item is its own.
        group="\n".join(item.contexts) or item.id,
    )
