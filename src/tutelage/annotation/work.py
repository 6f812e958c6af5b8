"""Kinds of work: what people are asked to do with an item."""

from typing import Annotated, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tutelage.records import Record

Name = Annotated[str, Field(pattern=r"^[^\W_][\w .-]{0,49}$")]
"""A name that people read and files keep: letters, digits, spaces, ``_``, ``.`` and ``-``."""


class Kinded(Record):
    """A record of one of several kinds. ``kind`` is always written, though it never differs from its default."""

    kind: str

    @model_serializer(mode="wrap")
    def _say_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {"kind": self.kind, **handler(self)}


class Scale(Record):
    """One scale of ratings: whole numbers from ``low`` to ``high``, and what is asked."""

    name: Name
    low: int = 1
    high: int = 5
    question: str = ""

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"scale {self.name}: low must be below high (they are {self.low} and {self.high})")
        return self

    def placed(self, score: float) -> float:
        """Return a score as a number from 0 to 1."""
        return (score - self.low) / (self.high - self.low)


class WriteWork(Kinded):
    """Write an answer to the item's question, of at most ``max_words`` words (None: any number)."""

    kind: Literal["write"] = "write"
    max_words: int | None = Field(default=None, ge=1)


class CorrectWork(Kinded):
    """Put the item's answer right, or leave it as it is."""

    kind: Literal["correct"] = "correct"


class RateWork(Kinded):
    """Rate the item's answer on every one of ``scales``."""

    kind: Literal["rate"] = "rate"
    scales: tuple[Scale, ...] = (Scale(name="quality"),)

    @model_validator(mode="after")
    def _different(self) -> Self:
        _check_names([scale.name for scale in self.scales], "scale")
        return self


class RankWork(Kinded):
    """Order the item's answers, the best first; ``ties`` lets some share a place."""

    kind: Literal["rank"] = "rank"
    ties: bool = True


class ChooseWork(Kinded):
    """Choose the better of the item's two answers; ``ties`` allows neither."""

    kind: Literal["choose"] = "choose"
    ties: bool = True


class LabelWork(Kinded):
    """Choose one of ``labels`` for the item, or any number of them where ``several``."""

    kind: Literal["label"] = "label"
    labels: tuple[str, ...]
    several: bool = False

    @model_validator(mode="after")
    def _different(self) -> Self:
        _check_names(self.labels, "label", least=2)
        return self


class SpansWork(Kinded):
    """Mark stretches of the last question or of the answer with one of ``labels`` each; ``reasons`` demands why."""

    kind: Literal["spans"] = "spans"
    labels: tuple[str, ...]
    of: Literal["question", "answer"] = "answer"
    reasons: bool = True

    @model_validator(mode="after")
    def _different(self) -> Self:
        _check_names(self.labels, "label")
        return self


Work = Annotated[
    WriteWork | CorrectWork | RateWork | RankWork | ChooseWork | LabelWork | SpansWork, Field(discriminator="kind")
]
WORKS = (WriteWork, CorrectWork, RateWork, RankWork, ChooseWork, LabelWork, SpansWork)
ANSWERS_NEEDED = {"write": 0, "correct": 1, "rate": 1, "rank": 2, "choose": 2, "label": 0, "spans": 0}
"""How many answers an item must bring at least; exactly two for ``choose``, one for ``spans`` of an answer."""


def _check_names(names: tuple[str, ...] | list[str], what: str, least: int = 1) -> None:
    if len(names) < least or len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise ValueError(f"give at least {least} {what}{'s' if least > 1 else ''}, each with a name of its own")
