"""A user's own file as a task."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section


class ColumnsSection(Section):
    """Which column of the file holds what. ``prompt`` or ``messages`` must be there; the others may be."""

    prompt: str = "prompt"
    """The question."""

    messages: str = "messages"
    """Instead of a prompt: turns of role and content; a last turn of the assistant is the answer."""

    system: str = "system"
    """A system turn before the question."""

    passage: str = "passage"
    """A text that the question is about; it is put before the question."""

    answer: str = "answer"
    """An expert's answer to learn from, where it is not the reference."""

    reference: str = "reference"
    """What the check compares with: the right answer, a number, a regular expression, a JSON schema."""

    check: str = "check"
    """The name of the row's check."""

    choices: str = "choices"
    """The answers to choose from: a list, or one text with | between them."""

    level: str = "level"
    """basic, intermediate, advanced or expert."""

    group: str = "group"
    """What shares a source (patient, contract, template): a group is never in two splits."""


class SharesSection(Section):
    """How the groups are dealt to the splits."""

    train: float = Field(default=0.6, ge=0, le=1)
    """Learned from."""

    probe: float = Field(default=0.1, ge=0, le=1)
    """Steers the plan."""

    gate: float = Field(default=0.15, ge=0, le=1)
    """Decides on promotion."""

    test: float = Field(default=0.15, ge=0, le=1)
    """Scored once, at the end."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.probe + self.gate + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares must add up to 1 (they add up to {total:g})")
        return self


class LearnedTask(Section):
    """What every task says of how it is learned."""

    weight: float = Field(default=1.0, gt=0)
    """Weight of the dimension when the budget is planned."""

    answer_tokens: int | None = Field(default=None, ge=1)
    """Longest answer sampled for training, where that is less than ``construct.max_tokens``."""

    sample_from: int = Field(default=1, ge=1)
    """First round in which answers to this task are sampled for training; the rounds before it learn its experts'
    answers alone. A small start meets what a check asks for with text that says nothing; a model that has learned from
    experts writes what is worth learning."""


class RowsSection(LearnedTask):
    """Rows of a JSONL, JSON or CSV file: questions, and what is known about right answers to them."""

    kind: Literal["rows"]

    path: str
    """The file (JSONL, JSON, CSV, TSV, also compressed; Parquet), or a folder of files of one of these kinds, relative
    to the recipe."""

    name: str = Field(default="rows", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")
    """Name of the task."""

    dimension: str = Field(default="utility", min_length=1)
    """Row of the matrix: utility, faithfulness, safety, instruction_following, or one of your own."""

    check: str | None = None
    """Check of rows that name none: exact, contains, regex, choice, numeric, json_schema, none, one of ``checks``, or
    ``file.py:function``."""

    checks: dict[str, str] = Field(default_factory=dict)
    """Checks of your own by name, each ``file.py:function`` or ``package.module:function``."""

    tolerance: float = Field(default=0.0, ge=0)
    """Largest difference from the reference that ``numeric`` lets pass."""

    author: str = "expert"
    """Who wrote the answers."""

    columns: ColumnsSection = ColumnsSection()
    """Which column holds what."""

    shares: SharesSection = SharesSection()
    """How the groups are dealt to the splits."""

    split_seed: int = Field(default=0, ge=0)
    """Seed of the deal. It is not the run's, so that the test rows stay the test rows."""

    level_samples: int = Field(default=4, ge=0)
    """Where the file states no level: answers of the starting model a row, from whose pass rate a level is estimated;
    0 makes every row basic."""
