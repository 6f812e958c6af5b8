"""What a check says of an answer."""

from pydantic import Field

from tutelage.records.base import Record


class PartVerdict(Record):
    """The verdict on one part of an item (one constraint of several), with its reason."""

    name: str
    passed: bool
    reason: str = ""


class Verdict(Record):
    """``score`` in [0, 1], or None: unscored (a judge that failed, an answer that never came), never a zero.

    ``reason`` is a sentence that a teacher could say to the student ("4 bullets; exactly 3 were asked").
    """

    score: float | None = Field(ge=0, le=1)
    reason: str = ""
    parts: tuple[PartVerdict, ...] = ()

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
