"""Steps that judge a row by itself, or beside the items of evaluation."""

from pathlib import PurePath
from typing import Literal

from pydantic import Field, field_validator

from tutelage.recipe.base import Section


class ValidateStep(Section):
    """Drop rows that are no conversation to learn from: empty, out of turn, over-long, with broken characters."""

    kind: Literal["validate"]

    max_target_chars: int = Field(default=20_000, ge=1)
    """Longest answer, in characters."""

    max_prompt_chars: int = Field(default=100_000, ge=1)
    """Longest prompt, all turns before the answer together, in characters."""


class BenchmarkSection(Section):
    """A file of a public benchmark whose items no row may contain; its path alone will do."""

    path: str
    """A JSONL, JSON, CSV or Parquet file, or a folder of them, relative to the recipe."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9 ._-]{0,50}$")
    """What the ledger calls it; empty: the name of the file."""

    keys: tuple[str, ...] = ()
    """Columns whose texts no row may contain; empty: the usual ones of questions, passages, answers and choices."""

    @property
    def called(self) -> str:
        """The name in the ledger."""
        return self.name or PurePath(self.path).name.partition(".")[0].replace(":", " ")


class ContaminationStep(Section):
    """Drop rows that share a run of words with an item of the probe, gate or test split, or of a benchmark."""

    kind: Literal["contamination"]

    ngram: int = Field(default=13, ge=2)
    """Words that a row must not share with an item."""

    short_ngram: int = Field(default=8, ge=2)
    """The same for items with fewer than ``ngram`` words."""

    boilerplate_share: float = Field(default=0.05, gt=0, le=1)
    """Runs of words in more than this share of the items are boilerplate: ignored and listed in the ledger."""

    against: tuple[BenchmarkSection, ...] = ()
    """Benchmarks that the model will be measured on elsewhere, such as ``[gsm8k.jsonl]``: each a file's path or more
    about it. The ledger counts them apart."""

    @field_validator("against", mode="before")
    @classmethod
    def _paths_are_benchmarks(cls, given: object) -> object:
        several = given if isinstance(given, list | tuple) else [given]
        if not all(isinstance(one, str | dict | BenchmarkSection) for one in several):
            raise ValueError("name files: each a path, or a mapping with path, name and keys")
        return tuple({"path": one} if isinstance(one, str) else one for one in several)

    @field_validator("against")
    @classmethod
    def _have_names_of_their_own(cls, given: tuple[BenchmarkSection, ...]) -> tuple[BenchmarkSection, ...]:
        names = [one.called for one in given]
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(doubles)} given more than once; give one of them another name")
        return given


class QualityStep(Section):
    """Drop answers that go round in circles."""

    kind: Literal["quality"]

    max_repeated_share: float = Field(default=0.2, ge=0, le=1)
    """Largest share of an answer's word 5-grams that occurred in it before."""
