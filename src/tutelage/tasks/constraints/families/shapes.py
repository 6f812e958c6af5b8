"""The shape of the whole: JSON, sections, paragraphs, quotation."""

import json
import random
import re
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted, listed, share
from tutelage.text.words import WORD, words

JSON = (
    "Answer only with a JSON object that has the keys {keys}.",
    "Give your answer as JSON with the keys {keys} and nothing else.",
    "Respond with a single JSON object whose keys are {keys}.",
    "The whole answer must be a JSON object with exactly these keys: {keys}.",
    "Return JSON only, using the keys {keys}.",
    "Reply with just a JSON object. Its keys must be {keys}.",
    "Your entire answer should be valid JSON with the keys {keys}.",
    "Output nothing but a JSON object with the keys {keys}.",
    "Please format the whole reply as a JSON object containing the keys {keys}.",
    "Put the answer into a JSON object with the keys {keys}; no other text.",
)
JSON_LIST = (
    'Answer only with a JSON object that has the keys {keys}; "{list_key}" must be a list of {n} strings.',
    'Give JSON and nothing else, with the keys {keys}. The value of "{list_key}" is a list of exactly {n} strings.',
    'Respond with one JSON object with the keys {keys}, where "{list_key}" holds a list of {number} strings.',
    'Return only JSON with the keys {keys}. For "{list_key}", give a list with {n} strings.',
    'Output nothing but a JSON object: keys {keys}, and "{list_key}" is an array of exactly {number} strings.',
    'Return a JSON object and no other text. Its keys are {keys}, and "{list_key}" is a list of {n} strings.',
    'The whole answer must be JSON with the keys {keys}; under "{list_key}", give {number} strings in a list.',
    'Reply with just a JSON object. Keys: {keys}. "{list_key}" should be a list of {n} strings.',
    'Your entire answer should be valid JSON: the keys are {keys}, with {number} strings in the list "{list_key}".',
    'Write pure JSON with the keys {keys}. Make "{list_key}" a list that holds {n} strings.',
)
JSON_CLAUSES = (
    "as a JSON object with the keys {keys} and no other text",
    "in JSON only, with the keys {keys}",
    "as a single JSON object whose keys are {keys}, without any other text",
    "as pure JSON with the keys {keys}",
    "in the form of just one JSON object with the keys {keys}",
)
JSON_KEYS = (
    "summary", "example", "title", "reason", "topic", "answer", "detail", "name", "opinion", "text",
    "tip", "note", "heading", "fact", "subject", "benefit", "description", "point", "idea", "content",
)  # fmt: skip
SECTIONS = (
    "Divide your answer into sections with these headers, in this order: {headers}.",
    "Use the headers {headers}, each on its own line, with text under each.",
    "Split the answer into {number} sections. Head them {headers}.",
    "Organize your answer under the headers {headers}.",
    "Your answer must have {n} sections, titled {headers}.",
    "Write {number} sections. Their headers are {headers}, in that order.",
    "Structure the text with the section headers {headers}.",
    "There should be {n} parts, each introduced by its header on a line of its own: {headers}.",
    "Break it into sections headed {headers}.",
    "Arrange the answer in sections that begin with the lines {headers}.",
)
SECTION_HEADERS = (
    ("SECTION 1", "SECTION 2", "SECTION 3", "SECTION 4"),
    ("Beginning", "Middle", "End", "Afterword"),
    ("PART 1", "PART 2", "PART 3", "PART 4"),
    ("Step 1", "Step 2", "Step 3", "Step 4"),
    ("Section A", "Section B", "Section C", "Section D"),
    ("What", "Why", "How", "When"),
    ("Background", "Main point", "Example", "Conclusion"),
    ("Idea", "Details", "Risks", "Outlook"),
    ("CHAPTER 1", "CHAPTER 2", "CHAPTER 3", "CHAPTER 4"),
    ("Introduction", "Facts", "Opinion", "Closing"),
    ("Point 1", "Point 2", "Point 3", "Point 4"),
    ("Good", "Bad", "Verdict", "Advice"),
    ("Overview", "Benefits", "Drawbacks", "Summary"),
    ("Opening", "Development", "Turn", "Finish"),
    ("Topic", "Reasons", "Objections", "Result"),
)
PARAGRAPHS = (
    "Write exactly {number} paragraphs and separate them with a line that contains only {marker}",
    "Your answer needs {n} paragraphs, divided by the marker {marker}",
    "There should be exactly {n} paragraphs. Put {marker} between them.",
    "Split the text into {number} paragraphs with {marker} between one and the next.",
)
QUOTATION = (
    "Wrap your entire answer in double quotation marks.",
    "Put the whole answer inside double quotes.",
    "Your complete reply must be enclosed in double quotation marks.",
    "The answer has to start and end with a double quotation mark.",
    "Surround the full answer with double quotes.",
    "Enclose everything you write in double quotes.",
    "Begin and end your answer with double quotation marks.",
    "Set your entire response in double quotation marks.",
    "The full text should stand between double quotes.",
    "Place double quotation marks around the whole answer.",
)
QUOTATION_CLAUSES = (
    "and put the whole answer in double quotes",
    "and wrap the entire answer in double quotation marks",
    "with double quotation marks around the whole answer",
    "and enclose all of it in double quotation marks",
    "and set the complete answer in double quotes",
)
MARKERS = ("***", "---", "===")
OPEN_QUOTES = ('"', "“", "„")
CLOSED_QUOTES = ('"', "”", "“")


class JsonShape(Constraint):
    """Only a JSON object with exactly ``keys``, none empty, and under ``list_key`` a list of ``list_length`` strings.

    A code fence around it counts as other text.
    """

    name: ClassVar[str] = "json"
    slot: ClassVar[str] = "shape"
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"choice", "repeat", "title", "start", "end", "postscript", "language", "quotation", "no_commas"}
        | {"highlights", "placeholders"}
    )

    keys: tuple[str, ...] = Field(min_length=1)
    list_key: str = ""
    list_length: int = 0

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        pool = share(JSON_KEYS, scene.split)
        if not scene.hard:
            return cls(keys=tuple(rng.sample(pool, 2)))
        names = rng.sample(pool, rng.choice((2, 3)))
        list_key = {"train": "reasons", "probe": "facts", "gate": "points", "test": "items"}[scene.split]
        return cls(keys=(*names, list_key), list_key=list_key, list_length=rng.randint(2, 3))

    def sentences(self) -> tuple[str, ...]:
        return JSON_LIST if self.list_key else JSON

    def clauses(self) -> tuple[str, ...]:
        return () if self.list_key else JSON_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {
            "keys": listed(self.keys),
            "list_key": self.list_key,
            "n": self.list_length,
            "number": NUMBER_WORDS[self.list_length],
        }

    def fault(self, text: str) -> str:
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            around = "```" in text or (text.strip()[:1] != "{" and "{" in text)
            if around:
                return "There is other text around the JSON; only the JSON object was asked."
            return "The answer is not valid JSON; only a JSON object was asked."
        if not isinstance(value, dict):
            return "The JSON is not an object with keys."
        missing = [key for key in self.keys if key not in value]
        extra = [key for key in value if key not in self.keys]
        if missing or extra:
            return f"The JSON {'lacks' if missing else 'has the extra key'} {listed(missing or extra)}."
        empty = [key for key in self.keys if not WORD.search(json.dumps(value[key])) or value[key] is None]
        if empty:
            return f"Under {listed(empty)} there is nothing in the JSON."
        return self._list_fault(value.get(self.list_key)) if self.list_key else ""

    def _list_fault(self, value: object) -> str:
        if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            return f'"{self.list_key}" should be a list of strings.'
        if len(value) == self.list_length:
            return ""
        return f'"{self.list_key}" has {counted(len(value), "string")}; exactly {self.list_length} were asked.'

    def literals(self) -> str:
        return " ".join(self.keys)

    def num_words(self) -> int:
        return 4 * len(self.keys) + 3 * self.list_length


class Sections(Constraint):
    """``headers`` each open a line, in order, with text after each; Markdown marks and a colon are forgiven."""

    name: ClassVar[str] = "sections"
    slot: ClassVar[str] = "shape"
    excludes: ClassVar[frozenset[str]] = frozenset({"quotation", "letter_case", "language"})

    headers: tuple[str, ...] = Field(min_length=2)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        headers = rng.choice(share(SECTION_HEADERS, scene.split))
        return cls(headers=headers[: rng.choice((3, 4)) if scene.hard else 2])

    def sentences(self) -> tuple[str, ...]:
        return SECTIONS

    def values(self) -> dict[str, str | int]:
        return {"headers": listed(self.headers), "n": len(self.headers), "number": NUMBER_WORDS[len(self.headers)]}

    def fault(self, text: str) -> str:
        starts: list[int] = []
        ends: list[int] = []
        for header in self.headers:
            line = rf"^[ \t#*_]*{re.escape(header)}(?!\w)[*_:.]*"
            found = re.compile(line, re.MULTILINE | re.IGNORECASE).search(text, ends[-1] if ends else 0)
            if not found:
                return f'There is no section "{header}" in its place.'
            starts.append(found.start())
            ends.append(found.end())
        for header, start, end in zip(self.headers, ends, [*starts[1:], len(text)], strict=True):
            if not words(text[start:end]):
                return f'The section "{header}" is empty.'
        return ""

    def literals(self) -> str:
        return " ".join(self.headers)

    def num_words(self) -> int:
        return 5 * len(self.headers) + len(words(self.literals()))


class Paragraphs(Constraint):
    """Exactly ``n`` parts with words in them, separated by ``marker``."""

    name: ClassVar[str] = "paragraphs"
    slot: ClassVar[str] = "shape"
    excludes: ClassVar[frozenset[str]] = frozenset({"highlights"})
    test_only: ClassVar[bool] = True

    n: int = Field(ge=2)
    marker: str = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(n=rng.randint(3, 4) if scene.hard else 2, marker=rng.choice(MARKERS))

    def sentences(self) -> tuple[str, ...]:
        return PARAGRAPHS

    def values(self) -> dict[str, str | int]:
        return {"n": self.n, "number": NUMBER_WORDS[self.n], "marker": self.marker}

    def fault(self, text: str) -> str:
        parts = text.split(self.marker)
        number = len(parts) if all(words(part) for part in parts) else sum(bool(words(part)) for part in parts)
        if number != self.n:
            return f"{counted(number, 'paragraph')} separated by {self.marker}; exactly {self.n} were asked."
        return "" if len(parts) == self.n else f"{self.marker} should stand only between paragraphs."

    def num_words(self) -> int:
        return 6 * self.n


class Quotation(Constraint):
    """The whole answer stands in double quotation marks, straight or typographic."""

    name: ClassVar[str] = "quotation"
    excludes: ClassVar[frozenset[str]] = frozenset({"title"})

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls()

    def sentences(self) -> tuple[str, ...]:
        return QUOTATION

    def clauses(self) -> tuple[str, ...]:
        return QUOTATION_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {}

    def fault(self, text: str) -> str:
        trimmed = text.strip()
        opened, closed = trimmed.startswith(OPEN_QUOTES), trimmed.endswith(CLOSED_QUOTES)
        if opened and closed and words(trimmed):
            return ""
        where = "start or end" if not opened and not closed else "end" if opened else "start"
        return f"The answer does not {where} with a double quotation mark."
