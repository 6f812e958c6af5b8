"""Which rows are kept: the steps of curation, in their order."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tutelage.recipe.base import Section


class ValidateStep(Section):
    """Drop rows that are no conversation to learn from: empty, out of turn, over-long, with broken characters."""

    kind: Literal["validate"]

    max_target_chars: int = Field(default=20_000, ge=1)
    """Longest answer, in characters."""

    max_prompt_chars: int = Field(default=100_000, ge=1)
    """Longest prompt, all turns before the answer together, in characters."""


class ExactDuplicatesStep(Section):
    """Keep one of rows with the same prompt and answer (Unicode form, case and white space aside)."""

    kind: Literal["exact_duplicates"]


class NearDuplicatesStep(Section):
    """Keep one of rows that are nearly the same: MinHash-LSH over word n-grams, confirmed by exact similarity."""

    kind: Literal["near_duplicates"]

    jaccard: float = Field(default=0.8, gt=0, le=1)
    """Similarity from which on two rows are duplicates, of the whole rows and of their answers alone."""

    ngram: int = Field(default=5, ge=1)
    """Words in an n-gram."""

    permutations: int = Field(default=128, ge=16)
    """Permutations of a MinHash."""


class ContaminationStep(Section):
    """Drop rows that share a run of words with an item of the probe, gate or test split."""

    kind: Literal["contamination"]

    ngram: int = Field(default=13, ge=2)
    """Words that a row must not share with an item."""

    short_ngram: int = Field(default=8, ge=2)
    """The same for items with fewer than ``ngram`` words."""

    boilerplate_share: float = Field(default=0.05, gt=0, le=1)
    """Runs of words in more than this share of the items are boilerplate: ignored and listed in the ledger."""


class QualityStep(Section):
    """Drop answers that go round in circles."""

    kind: Literal["quality"]

    max_repeated_share: float = Field(default=0.2, ge=0, le=1)
    """Largest share of an answer's word 5-grams that occurred in it before."""


class MixStep(Section):
    """Cap what there is too much of."""

    kind: Literal["mix"]

    answers_per_prompt: int = Field(default=4, ge=0)
    """Most answers to one prompt; 0 = any number."""

    rows_per_cell: int = Field(default=0, ge=0)
    """Most rows of one cell (dimension, level and facet); 0 = any number."""

    facet_shares: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Largest share of its dimension's rows that a facet may have, such as {harmful: 0.4}; a facet that is not
    named has no cap."""

    replay_share: float = Field(default=1.0, ge=0, le=1)
    """Largest share of the rows that may come from earlier rounds; 1 keeps all of them."""


class CustomStep(Section):
    """A step of one's own: a class or function that returns a ``tutelage.curate.Step``."""

    kind: Literal["custom"]

    path: str
    """``package.module:name`` or ``file.py:name``, relative to the recipe."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments."""


CurateStep = Annotated[
    ValidateStep | ExactDuplicatesStep | NearDuplicatesStep | ContaminationStep | QualityStep | MixStep | CustomStep,
    Field(discriminator="kind"),
]

DEFAULT_STEPS: tuple[CurateStep, ...] = (
    ValidateStep(kind="validate"),
    ExactDuplicatesStep(kind="exact_duplicates"),
    NearDuplicatesStep(kind="near_duplicates"),
    ContaminationStep(kind="contamination"),
    QualityStep(kind="quality"),
    MixStep(kind="mix"),
)


class CurateSection(Section):
    """Curation: a list of steps; every row that one of them drops keeps its reason."""

    steps: tuple[CurateStep, ...] = DEFAULT_STEPS
    """The steps, in their order."""
