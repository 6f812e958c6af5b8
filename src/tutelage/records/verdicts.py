"""What a check says of an answer."""

from pydantic import Field

from tutelage.records.answers import Engine, Sampling
from tutelage.records.base import Record


class PartVerdict(Record):
    """The verdict on one part of an item (one constraint of several), with its reason."""

    name: str
    passed: bool
    reason: str = ""


class CriterionScore(Record):
    """What a judge gave for one criterion, on the scale of its rubric, and why."""

    name: str
    score: int
    reason: str = ""


class JudgeIdentity(Record):
    """The model that judged, pinned: another engine, prompt, rubric or sampling is another judge.

    ``name`` is that of lineage, ``prompt`` the template's name, ``version`` the hash of its text, of the rubric and of
    the form in which replies are read.
    """

    name: str
    engine: Engine
    prompt: str
    version: str
    sampling: Sampling


class Verdict(Record):
    """``score`` in [0, 1], or None: unscored (a judge that failed, an answer that never came), never a zero.

    ``reason`` is a sentence that a teacher could say to the student ("4 bullets; exactly 3 were asked"). ``judge`` is
    the model that gave it, None for a program or a person, and ``criteria`` what it gave for each criterion.
    """

    score: float | None = Field(ge=0, le=1)
    reason: str = ""
    parts: tuple[PartVerdict, ...] = ()
    judge: JudgeIdentity | None = None
    criteria: tuple[CriterionScore, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the answer is fully right; an unscored one is not."""
        return self.score is not None and self.score >= 1.0


def unscored(reason: str) -> Verdict:
    """A verdict that could not be reached, and why."""
    return Verdict(score=None, reason=reason)


def all_of(parts: tuple[PartVerdict, ...], praise: str = "Everything that was asked is there.") -> Verdict:
    """Return 1 if every part passed, else 0; the reason joins the reasons of the parts that failed."""
    failed = [part.reason for part in parts if not part.passed]
    return Verdict(score=0.0 if failed else 1.0, reason=" ".join(failed) or praise, parts=parts)
