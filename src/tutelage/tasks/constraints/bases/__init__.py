"""Base instructions: a template times a topic, disjoint over the splits.

| file | split |
|---|---|
| ``train`` | what is learned from |
| ``probe`` | what reflection and search look at |
| ``gate`` | what decides a promotion |
| ``test`` | what is scored once, at the end |
"""

import random
from dataclasses import dataclass

from tutelage.records import Split
from tutelage.tasks.constraints.bases import gate, probe, test, train
from tutelage.text.words import normalize

SHORT_WORDS = frozenset(
    {"and", "the", "for", "with", "from", "new", "old", "one", "its", "before", "back", "each", "little"}
)


@dataclass(frozen=True, slots=True)
class Template:
    """A request with ``{topic}`` in it; a ``closed`` one can be answered by picking from given answers."""

    id: str
    text: str
    closed: bool


@dataclass(frozen=True, slots=True)
class Topic:
    """A noun phrase of a domain, and ``cues``: words that a text about it may well use."""

    domain: str
    name: str
    cues: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the name that carry its meaning."""
        return tuple(word for word in normalize(self.name).split() if len(word) > 2 and word not in SHORT_WORDS)


@dataclass(frozen=True, slots=True)
class Base:
    """A request before constraints: its template, text and topics (two in a comparison)."""

    template: Template
    text: str
    topics: tuple[Topic, ...]


def _templates(split: str, instructions: tuple[str, ...], questions: tuple[str, ...]) -> tuple[Template, ...]:
    texts = [(text, False) for text in instructions] + [(text, True) for text in questions]
    return tuple(Template(f"{split}-{place:02d}", text, closed) for place, (text, closed) in enumerate(texts))


def _topics(table: str) -> tuple[Topic, ...]:
    rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return tuple(Topic(domain, name, tuple(cues.split())) for domain, name, cues in rows)


TEMPLATES: dict[Split, tuple[Template, ...]] = {
    "train": _templates("train", train.INSTRUCTIONS, train.QUESTIONS),
    "probe": _templates("probe", probe.INSTRUCTIONS, probe.QUESTIONS),
    "gate": _templates("gate", gate.INSTRUCTIONS, gate.QUESTIONS),
    "test": _templates("test", test.INSTRUCTIONS, test.QUESTIONS),
}

TOPICS: dict[Split, tuple[Topic, ...]] = {
    "train": _topics(train.TOPICS),
    "probe": _topics(probe.TOPICS),
    "gate": _topics(gate.TOPICS),
    "test": _topics(test.TOPICS),
}

HEADINGS: dict[Split, tuple[str, ...]] = {
    "train": train.HEADINGS,
    "probe": probe.HEADINGS,
    "gate": gate.HEADINGS,
    "test": test.HEADINGS,
}


def draw_base(rng: random.Random, split: Split, *, closed: bool) -> Base:
    """Return a template of ``split`` (a closed question if asked for) filled with a topic of ``split``."""
    template = rng.choice([t for t in TEMPLATES[split] if t.closed] if closed else TEMPLATES[split])
    topic = rng.choice(TOPICS[split])
    if "{other}" not in template.text:
        return Base(template, template.text.format(topic=topic.name), (topic,))
    other = rng.choice([t for t in TOPICS[split] if t.domain == topic.domain and t != topic])
    return Base(template, template.text.format(topic=topic.name, other=other.name), (topic, other))
