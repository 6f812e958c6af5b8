"""What came of asking for answers in a form: how each was read, and where the others were lost."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from tutelage.records.base import Record

LossStage = Literal["error", "refused", "empty", "cut", "no_json", "invalid", "rejected"]
LOSSES: tuple[LossStage, ...] = get_args(LossStage)
LOST_AS: dict[LossStage, str] = {
    "error": "did not come",
    "refused": "refused for good",
    "empty": "empty",
    "cut": "cut before the JSON ended",
    "no_json": "no JSON in it",
    "invalid": "not of the form",
    "rejected": "rejected by what was checked of it",
}
"""Each stage at which an answer is lost, in words."""


class Loss(Record):
    """Why there is no value: the ``stage`` that the last answer did not pass, a ``reason`` to count by, and details."""

    stage: LossStage
    reason: str
    detail: str = ""


class StructuredYield(Record):
    """Counts of one asking. Refuses to exist when they do not add up.

    ``as_it_came``: the first answer held JSON of the form, perhaps in a fence or between words; ``repaired``: it did
    after a repair; ``after_retry[k]``: the answer to the question that was asked again for the (k + 1)th time did.
    ``tries`` are all answers, ``repaired_later`` those of ``after_retry`` that were repaired.
    """

    label: str
    asked: int = Field(ge=0)
    as_it_came: int = Field(ge=0)
    repaired: int = Field(ge=0)
    after_retry: tuple[int, ...] = ()
    repaired_later: int = Field(default=0, ge=0)
    lost: dict[LossStage, int] = Field(default_factory=dict)
    tries: int = Field(ge=0)

    @model_validator(mode="after")
    def _adds_up(self) -> "StructuredYield":
        missing = self.asked - self.values - sum(self.lost.values())
        if missing:
            raise ValueError(f"yield of {self.label}: {missing} of {self.asked} answers are in no count")
        return self

    @property
    def values(self) -> int:
        """How many ended in a value."""
        return self.as_it_came + self.repaired + sum(self.after_retry)

    @property
    def words(self) -> str:
        """The counts in a sentence."""
        parts = [f"{self.as_it_came:,} came in the form", f"{self.repaired:,} were repaired"]
        parts += [
            f"{n:,} came when asked again" + (f" ({k})" if k > 1 else "") for k, n in enumerate(self.after_retry, 1)
        ]
        lost = ", ".join(f"{count:,} {LOST_AS[stage]}" for stage, count in self.lost.items())
        return f"{self.label}: {self.asked:,} asked for JSON: {', '.join(parts)}; {lost or 'none'} lost"
