"""The loss of held-out references as the page shows it: a fall is below zero, and the note says what it is not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tutelage.records.heldout import HeldOutLoss
from tutelage.report.names import rival
from tutelage.report.numbers import UNKNOWN, confidence, decimal, signed
from tutelage.statistics import Difference

NOT_PROVED = (
    "A lower loss says that the model finds these references likelier. It does not prove that the answers which it "
    "writes itself are right, faithful or safe, nor that people would prefer them."
)


@dataclass(frozen=True, slots=True)
class LossRow:
    """Two models on the same references, in words; ``reason`` says why an interval is missing or no ordinary one."""

    before_label: str
    after_label: str
    rows: int
    groups: int
    before: str
    after: str
    change: str
    low: str
    high: str
    confidence: str
    judgment: str
    tone: str
    reason: str


def loss_change(found: HeldOutLoss) -> Difference:
    """Return the paired change of the loss a token in nats, after minus before: below 0 it fell."""
    rise = found.rise
    return replace(
        rise,
        estimate=None if rise.estimate is None else -rise.estimate,
        low=-rise.high,
        high=-rise.low,
        before=found.loss_before,
        after=found.loss_after,
        below_zero=None,
    )


def loss_judgment(change: Difference) -> str:
    """Return what the interval of a change allows to say of the second model; of its loss, not of its answers."""
    if change.estimate is None:
        return "not compared with"
    if change.high < 0:
        return "lower loss than"
    return "higher loss than" if change.low > 0 else "not told apart from"


def loss_tone(change: Difference) -> str:
    """Return the tone of that: good, bad, or none."""
    return {"lower loss than": "good", "higher loss than": "bad"}.get(loss_judgment(change), "")


def loss_rows(losses: Sequence[HeldOutLoss]) -> list[LossRow]:
    """Return the rows of a table of held-out losses, in the order given."""
    return [_row(found) for found in losses]


def _row(found: HeldOutLoss) -> LossRow:
    change = loss_change(found)
    known = change.estimate is not None
    return LossRow(
        before_label=rival(found.before),
        after_label=rival(found.after),
        rows=change.n,
        groups=change.clusters,
        before=decimal(change.before, 3),
        after=decimal(change.after, 3),
        change=signed(change.estimate) if known else UNKNOWN,
        low=signed(change.low) if known else "",
        high=signed(change.high) if known else "",
        confidence=confidence(change.confidence),
        judgment=loss_judgment(change),
        tone=loss_tone(change),
        reason=change.reason if known else change.reason or "no row could be read by both",
    )
