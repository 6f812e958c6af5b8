"""Templates over a labelled data set as a source of rows: which rows, which wordings, which labels."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tutelage.recipe.sources.base import SourceSection
from tutelage.records import Level


class TemplatesSource(SourceSection):
    """Rows of a labelled data set in several wordings (FLAN, Wei et al. 2022; Longpre et al. 2023). Templates of one's
    own make prompt and answer of a row's columns; no model writes anything, and the rows count as those of experts."""

    kind: Literal["templates"]

    path: str
    """The labelled rows: a JSONL, JSON, CSV, TSV or Parquet file, or a folder of files of one of these kinds, relative
    to the recipe."""

    wordings: str
    """A YAML file of templates, relative to the recipe: a list of ``{name, prompt, answer}``, both in Jinja with the
    columns of a row as variables, and ``label``, ``options``, ``choices``, ``letters`` and ``letter``."""

    label: str | None = "label"
    """The column that holds the label; null: there is none, and prompt and answer are made of columns alone."""

    labels: dict[str, str] = Field(default_factory=dict)
    """What the values of the label column are called in words, such as ``{0: negative, 1: positive}``; empty:
    they are words. These are the options that are offered, without it all that the data has."""

    rows: int | None = Field(default=64, ge=1)
    """At most this many rows of the data set a round; the next round takes the next ones, in an order drawn by the
    seed. Null takes all in every round."""

    per_row: int = Field(default=3, ge=1)
    """At most so many templates for each row, drawn by the seed."""

    balance: bool = False
    """Whether a round takes equally many rows of each label: as many as the rarest has, at most. ``rows`` must have
    room for one of each."""

    hold_out: tuple[str, ...] = ()
    """Templates, by name, that are never learned: ``held_out.jsonl`` has the round's rows in their wording, to see
    whether the model goes by the wording that it learned."""

    shots: int = Field(default=0, ge=0)
    """Other rows that stand before the question with their answers, in the same wording; 0: none. One that says the
    same as the row that is asked for, its label aside, is not among them."""

    shot_share: float = Field(default=0.5, gt=0, le=1)
    """Share of prompts that get these; the others stand alone."""

    author: str = "expert"
    """Who gave the labels; goes into the lineage."""

    dimension: str = Field(default="utility", min_length=1)
    """Row of the matrix that these rows serve."""

    level: Level | None = None
    """Their level; null: nobody has said it."""

    @property
    def taught(self) -> bool:
        """Whether it asks the teacher."""
        return False

    @field_validator("labels", mode="before")
    @classmethod
    def _numbers_are_texts(cls, labels: object) -> object:
        """A label 1 is one that a file has as 1 or "1"; YAML makes a number of it where nobody puts it in quotes."""
        if not isinstance(labels, dict):
            return labels
        return {str(key) if type(key) is int else key: name for key, name in labels.items()}

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if len(set(self.labels.values())) < len(self.labels):
            raise ValueError("labels: two values have one name; give each its own, or make them one in the file")
        if len(set(self.hold_out)) < len(self.hold_out):
            raise ValueError("hold_out: name each template once")
        return self
