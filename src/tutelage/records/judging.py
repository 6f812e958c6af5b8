"""What a judge took, and what a set of judged answers looks like."""

from typing import Literal

from pydantic import Field

from tutelage.records.base import Record
from tutelage.records.lineage import total
from tutelage.records.verdicts import JudgeIdentity


class Judging(Record):
    """What judging took: ``judged`` answers or pairs, those left ``unscored``, and what the replies cost.

    ``requests`` counts replies, second tries too. ``money`` is the known part; None is unknown.
    """

    judged: int = 0
    unscored: int = 0
    requests: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    seconds: float = 0.0
    money: float | None = None

    def plus(self, other: "Judging") -> "Judging":
        """Return the sum."""
        known = [money for money in (self.money, other.money) if money is not None]
        return Judging(
            judged=self.judged + other.judged,
            unscored=self.unscored + other.unscored,
            requests=self.requests + other.requests,
            prompt_tokens=total([self.prompt_tokens, other.prompt_tokens]),
            completion_tokens=total([self.completion_tokens, other.completion_tokens]),
            seconds=round(self.seconds + other.seconds, 3),
            money=sum(known) if known else None,
        )


class JudgedSet(Record):
    """The scores of one set of judged answers, counted in answers or in pairs of them.

    ``judges`` are all that gave a verdict: more than one means that engine, prompt or settings changed on the way.
    ``unscored`` counts by reason. ``length_correlation`` is Spearman's rank correlation of score and length in words,
    None where one of both never varies or fewer than three are scored: a judge may prefer what is long. ``swapped`` is
    of pairs alone: the share whose verdict changed with the order, each of which counts as a tie.
    """

    label: str
    of: Literal["answers", "pairs"] = "answers"
    judges: tuple[JudgeIdentity, ...] = ()
    n: int = 0
    scored: int = 0
    mean: float | None = None
    unscored: dict[str, int] = Field(default_factory=dict)
    length_correlation: float | None = None
    swapped: float | None = None
