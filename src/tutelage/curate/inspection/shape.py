"""What rows are made of: turns, roles, labels, lengths."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from tutelage.curate.inspection.seen import Seen, Show, excerpt
from tutelage.curate.inspection.spreads import spread_of
from tutelage.curate.tokens import tokens
from tutelage.records import Example, Message
from tutelage.records.inspection import Excerpt, Length, Unit

EXTREMES = 3
"""So many of the longest and of the shortest rows are shown."""
LABELS: dict[str, Callable[[Example], str]] = {
    "task": lambda row: row.task,
    "dimension": lambda row: row.dimension,
    "level": lambda row: row.level or "",
    "facet": lambda row: row.facet,
}
MADE: dict[str, Callable[[Example], str]] = {
    "paradigm": lambda row: row.lineage.paradigm,
    "source": lambda row: row.lineage.source,
    "author": lambda row: row.lineage.author,
}
OF_PEOPLE = ("author", "facet")
"""Labels that may name people, or say what a row says."""
FEATURES: dict[str, Callable[[Message], bool]] = {
    "a system turn": lambda turn: turn.role == "system",
    "a call of a tool": lambda turn: bool(turn.tool_calls),
    "reasoning": lambda turn: bool(turn.reasoning),
    "an image": lambda turn: any(part.kind == "image" for part in turn.content),
    "a recording": lambda turn: any(part.kind == "audio" for part in turn.content),
}
MEASURES: dict[Unit, Callable[[str], int]] = {"characters": len, "words": lambda text: len(tokens(text))}


def turns_of(rows: Sequence[Seen]) -> dict[int, int]:
    """Return rows by their number of turns, system turns aside; of a pair one answer counts."""
    found = Counter(sum(turn.role != "system" for turn in row.whole.messages) for row in rows)
    return dict(sorted(found.items()))


def roles_of(rows: Sequence[Seen]) -> dict[str, int]:
    """Return turns by role, each answer of a pair being one."""
    return dict(sorted(Counter(turn.role for row in rows for turn in _turns(row)).items()))


def features_of(rows: Sequence[Seen]) -> dict[str, int]:
    """Return how many rows have what not every row has."""
    found = {name: sum(any(map(has, _turns(row))) for row in rows) for name, has in FEATURES.items()}
    return {name: count for name, count in found.items() if count}


def labels_of(rows: Sequence[Seen], *, made: bool, people: bool = True) -> dict[str, dict[str, int]]:
    """Return rows by label, "" where a row has none; what no row has is left out. ``made``: rows say how they were made
    themselves. ``people``: whether labels that may name people are wanted."""
    wanted = {**(MADE if made else {}), **LABELS}
    wanted = {name: label for name, label in wanted.items() if people or name not in OF_PEOPLE}
    found = {name: Counter(label(row.whole) for row in rows) for name, label in wanted.items()}
    counts = {name: dict(sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))) for name, count in found.items()}
    return {name: count for name, count in counts.items() if set(count) != {""}}


def lengths_of(rows: Sequence[Seen]) -> tuple[Length, ...]:
    """Return how long prompts, answers and reasoning are, in characters and in words
    (:func:`tutelage.curate.tokens.tokens`)."""
    values: dict[tuple[str, Unit], list[int]] = {}
    for row in rows:
        for side, text in _sides(row):
            for unit, measure in MEASURES.items():
                values.setdefault((side, unit), []).append(measure(text))
    order = sorted(values, key=lambda key: (key[0] != "prompt", key[0], key[1]))
    return tuple(Length(side=side, unit=unit, spread=spread_of(values[side, unit])) for side, unit in order)


def extremes_of(rows: Sequence[Seen], show: Show) -> tuple[Excerpt, ...]:
    """Return the rows with the longest and those with the shortest answers, in characters, each once."""
    sizes = [sum(len(text) for side, text in _sides(row) if side != "prompt") for row in rows]
    places = sorted(range(len(rows)), key=lambda place: (-sizes[place], place))
    longest = places[:EXTREMES]
    shortest = [place for place in reversed(places) if place not in longest][:EXTREMES]
    noted = [
        *((place, "among the longest") for place in longest),
        *((place, "among the shortest") for place in shortest),
    ]
    return tuple(excerpt(rows[place], show, f"{note}: {sizes[place]:,} characters") for place, note in noted)


def _turns(row: Seen) -> Iterator[Message]:
    yield from row.whole.prompt
    yield from (view.target for _, view in row.views)


def _sides(row: Seen) -> Iterator[tuple[str, str]]:
    yield "prompt", "\n".join(turn.text for turn in row.whole.prompt)
    yield from ((name, view.target.text) for name, view in row.views)
    yield from (("reasoning", turn.reasoning) for turn in _turns(row) if turn.reasoning)
