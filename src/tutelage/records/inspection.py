"""What a file of rows looks like: figures, and a few rows to look at."""

from typing import Literal

from pydantic import Field

from tutelage.records.base import Record, RowKind

Unit = Literal["characters", "words", "tokens"]


class Bin(Record):
    """How many values lie between ``low`` and ``high``, both included."""

    low: int
    high: int
    count: int


class Spread(Record):
    """``n`` whole numbers: their sum, the least, the largest, and values that at least 5, 25, 50, 75, 95 and 99 of 100
    do not exceed (numbers of the data, nothing between two of them). The counts of ``bins`` add up to ``n``."""

    n: int
    total: int
    least: int
    p5: int
    p25: int
    median: int
    p75: int
    p95: int
    p99: int
    most: int
    bins: tuple[Bin, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return self.total / self.n


class Length(Record):
    """How long one side of the rows is: ``prompt`` (every turn before the answer), an answer by its name (``answer``,
    ``chosen``, ``rejected``, ``wanted``, ``unwanted``), or ``row`` (all of it)."""

    side: str
    unit: Unit
    spread: Spread


class Excerpt(Record):
    """A row to look at: its prompt and its answers by name, cut; ``note`` says why it is shown."""

    id: str
    prompt: str
    answers: dict[str, str]
    note: str = ""


class Languages(Record):
    """Languages of ``n`` rows: texts by ISO 639-1 code, "" where it cannot be told. ``compared`` rows have an answer
    and a prompt that are both told; in ``differ`` of them these are two languages."""

    n: int
    prompts: dict[str, int]
    answers: dict[str, int]
    compared: int
    differ: int
    examples: tuple[Excerpt, ...] = ()


class AlikeGroup(Record):
    """``rows`` rows that say the same (``exact``) or nearly so; ``least``: how alike the one that is least like the
    first is to it, 1 for exact duplicates, and for near ones whose words are the same and whose commas differ."""

    exact: bool
    rows: int
    least: float
    examples: tuple[Excerpt, ...]


class Duplicates(Record):
    """Exact duplicates, and near ones among what is left of them. ``surplus`` rows are beyond the first of their group:
    curation would drop as many. ``prompts``: different ones."""

    prompts: int
    exact_groups: int
    exact_surplus: int
    near_groups: int
    near_surplus: int
    groups: tuple[AlikeGroup, ...] = ()


class Finding(Record):
    """``rows`` of ``n`` rows that a step of curation would drop or change, and for what."""

    step: str
    what: str
    action: Literal["drop", "mask"]
    rows: int
    n: int
    examples: tuple[Excerpt, ...] = ()


class Overlap(Record):
    """``rows`` rows that share a run of words with an item of a benchmark."""

    name: str
    items: int
    rows: int
    notes: tuple[str, ...] = ()
    examples: tuple[Excerpt, ...] = ()


class Topic(Record):
    """``rows`` prompts that share words, the words that set them apart, the most telling first, and the rows in their
    middle."""

    rows: int
    terms: tuple[str, ...]
    examples: tuple[Excerpt, ...]


class Topics(Record):
    """Topics of ``n`` prompts; ``apart`` of them share no word with another one and belong to none. ``rule`` says how
    many topics there are, and why."""

    n: int
    apart: int
    rule: str
    topics: tuple[Topic, ...]


class RoleTokens(Record):
    """Of one role: its turns, the tokens of their words, each turn tokenized by itself, and how many tokens are learned
    from, the end of a turn included."""

    role: str
    turns: int
    tokens: int
    learned: int


class TokenFigures(Record):
    """Rows as the chat template of ``model`` writes them. ``dropped``: rows that tuning would leave out by reason, at
    ``max_tokens``; ``shares``: percent of a row's tokens that are learned from, rounded."""

    model: str
    max_tokens: int
    tokens: int
    learned: int
    lengths: tuple[Length, ...]
    shares: Spread
    dropped: dict[str, int] = Field(default_factory=dict)
    roles: tuple[RoleTokens, ...] = ()
    examples: tuple[Excerpt, ...] = ()


class Inspection(Record):
    """Everything that ``tutelage inspect`` found. ``sampled`` rows were looked at for languages, topics and what costs
    more; all of them for the rest."""

    name: str
    kind: RowKind
    rows: int
    sampled: int
    forms: dict[str, int]
    turns: dict[int, int]
    roles: dict[str, int]
    features: dict[str, int] = Field(default_factory=dict)
    labels: dict[str, dict[str, int]] = Field(default_factory=dict)
    lengths: tuple[Length, ...] = ()
    extremes: tuple[Excerpt, ...] = ()
    languages: Languages
    duplicates: Duplicates
    findings: tuple[Finding, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    topics: Topics | None = None
    tokens: TokenFigures | None = None
    redacted: bool = False
    notes: tuple[str, ...] = ()
