"""Steps that choose among rows: by how hard they are for the starting model, or so that they are unlike one another."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from tutelage.recipe.base import Section
from tutelage.recipe.curate.embedding import START, Embedding

Share = Annotated[float, Field(gt=0, le=1)]
Rows = Annotated[int, Field(ge=1)]
Step = TypeVar("Step", bound=Section)


class IfdStep(Section):
    """Keep rows whose prompt helps the starting model with the answer, and of these the ones where it helps least.

    IFD, the difficulty of following the instruction (Li et al. 2024), is the perplexity of the answer after its prompt
    over that of the same words alone. At 1 and above the prompt does not help at all."""

    kind: Literal["ifd"]

    below: float = Field(default=1.0, gt=0)
    """Rows with this value or a larger one are dropped."""

    share: Share | None = None
    """Of the rows that come in, the share with the largest values is kept. In a run of several rounds the rows of
    earlier ones come in again; ``rows`` is steadier there."""

    rows: Rows | None = None
    """So many rows with the largest values are kept."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        return _at_most_one(self, self.share, self.rows)


class PerplexityStep(Section):
    """Keep rows by the perplexity of the answer after its prompt, as the starting model finds it."""

    kind: Literal["perplexity"]

    at_least: float | None = Field(default=None, ge=1)
    """Rows with a smaller value are dropped: the model knows them."""

    at_most: float | None = Field(default=None, ge=1)
    """Rows with a larger value are dropped: often broken or in another language."""

    share: Share | None = None
    """Of the rows that come in, the share that is kept by ``prefer``."""

    rows: Rows | None = None
    """So many rows are kept by ``prefer``."""

    prefer: Literal["low", "middle", "high"] = "middle"
    """Which values ``share`` or ``rows`` keep. ``middle``: those around the median, as Marion et al. 2023 found best
    for training texts."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        _at_most_one(self, self.share, self.rows)
        if self.share is None and self.rows is None:
            if self.at_least is None and self.at_most is None:
                raise ValueError("this step drops nothing: give at_least, at_most, share or rows")
            if "prefer" in self.model_fields_set:
                raise ValueError("prefer says what share or rows keep, and neither is given")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no row is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


class KCenterStep(Section):
    """Keep rows so that every other row is near one of them: k-center, greedily (Gonzalez 1985; Sener & Savarese
    2018). It takes the odd rows first, wrong ones among them: put it behind the filters."""

    kind: Literal["k_center"]

    share: Share | None = None
    """The share of the rows that is kept."""

    rows: Rows | None = None
    """So many rows are kept."""

    embedding: Embedding = START
    """What rows are compared by."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        return _exactly_one(self, self.share, self.rows)


class FacilityLocationStep(Section):
    """Keep rows that stand for all the others: each row counts with its likeness to the most alike that is kept
    (facility location, greedily: Nemhauser et al. 1978, Minoux 1978)."""

    kind: Literal["facility_location"]

    share: Share | None = None
    """The share of the rows that is kept."""

    rows: Rows | None = None
    """So many rows are kept."""

    embedding: Embedding = START
    """What rows are compared by."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        return _exactly_one(self, self.share, self.rows)


class IfdScore(Section):
    """The IFD of the row, as the step ``ifd`` measures it."""

    kind: Literal["ifd"]


class VerdictScore(Section):
    """The score of the last verdict that the row received, in [0, 1]."""

    kind: Literal["verdict"]


class JudgedScore(Section):
    """What the recipe's judge gave the row for one criterion of its rubric."""

    kind: Literal["criterion"]

    name: str
    """The criterion."""


class FileScore(Section):
    """A number for each row from a file of one's own, such as what another scorer said."""

    kind: Literal["file"]

    path: str
    """The file (JSON Lines, JSON, CSV or Parquet), relative to the recipe, with a column ``id``: that of the row in
    ``records.jsonl``."""

    column: str
    """The column of the numbers, which are 0 or more."""


Score = Annotated[IfdScore | VerdictScore | JudgedScore | FileScore, Field(discriminator="kind")]


class ScoreFirstStep(Section):
    """Keep the rows with the best scores that are not too much alike: complexity × quality, best first, each only if no
    row before it is nearly the same (the selection of DEITA, Liu et al. 2024, whose own two scorers are not in this
    package: without their scores, from a file, it is not DEITA)."""

    kind: Literal["score_first"]

    complexity: Score = IfdScore(kind="ifd")
    """How much there is to learn from the row."""

    quality: Score | None = None
    """How good the answer is; null: rows are ordered by complexity alone."""

    max_cosine: float = Field(default=0.9, gt=0, le=1)
    """From this likeness to a row of a better score on, a row is dropped."""

    share: Share | None = None
    """The share of the rows that is kept at most."""

    rows: Rows | None = None
    """So many rows are kept at most."""

    embedding: Embedding = START
    """What rows are compared by."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        return _exactly_one(self, self.share, self.rows)


def _at_most_one(step: Step, share: float | None, rows: int | None) -> Step:
    if share is not None and rows is not None:
        raise ValueError(f"share ({share:g}) and rows ({rows:,}) say two things of one: give one of them")
    return step


def _exactly_one(step: Step, share: float | None, rows: int | None) -> Step:
    if share is None and rows is None:
        raise ValueError("say how much is kept: share, such as 0.1, or rows")
    return _at_most_one(step, share, rows)
