"""Comparing the held-out loss of two models.

What it can say is narrow. A lower loss means that the model expects such answers more; whether the answers that it
writes itself are right, faithful or safe is another question, which only a check can answer.
"""

from collections.abc import Sequence

from tutelage.errors import DataError, Problem
from tutelage.records import Split
from tutelage.records.heldout import HeldOutLoss, RowLoss
from tutelage.statistics import Design, Difference, paired_clustered_bootstrap

WORST = 25.0
"""Nats a token: twice what a model without any knowledge has. What is worse, or no number at all, counts as this."""
IMITATION = (
    "A lower loss shows better imitation of these references; it does not prove that the answers which the model "
    "writes itself are better."
)


def compare_losses(
    before: Sequence[RowLoss],
    after: Sequence[RowLoss],
    *,
    labels: tuple[str, str],
    split: Split,
    seed: int,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> HeldOutLoss | None:
    """Return how the loss of the second model differs from that of the first; None if there are no rows.

    Rows without a check speak alone where there are any: of the others the score speaks. Rows that are too long for one
    of the models are left out. Raises :class:`DataError` when
    the two models did not read the same rows.
    """
    others = {row.item_id: row for row in after}
    if {row.item_id for row in before} != others.keys():
        raise DataError(f"{labels[0]} and {labels[1]}", [Problem("the held-out losses are not of the same rows")])
    chosen = [row for row in before if not row.checked] or list(before)
    if not chosen:
        return None
    # A row is too long for both models or for neither; only turns put before it (few-shot) can make it so for one.
    rows = [row for row in chosen if row.nll is not None and others[row.item_id].nll is not None]
    rise = paired_clustered_bootstrap(
        [_likelihood(row) for row in rows],
        [_likelihood(others[row.item_id]) for row in rows],
        design=Design([row.group for row in rows]),
        confidence=confidence,
        bounds=(-WORST, WORST),
        resamples=resamples,
        seed=seed,
    )
    return HeldOutLoss(
        before=labels[0],
        after=labels[1],
        split=split,
        checked=chosen[0].checked,
        rise=rise,
        words=_words(rise, labels, split, too_long=len(chosen) - len(rows)),
    )


def _likelihood(row: RowLoss) -> float | None:
    return None if row.nll is None else -row.nll


def _words(rise: Difference, labels: tuple[str, str], split: Split, *, too_long: int) -> str:
    left_out = f" {too_long} more rows are too long to be read." if too_long else ""
    if rise.estimate is None or rise.before is None or rise.after is None:
        return f"On {split} the loss of the references is not known: no row could be read.{left_out}"
    return (
        f"On {rise.n:,} {split} rows in {rise.clusters:,} groups the loss of the references went from "
        f"{-rise.before:.3f} ({labels[0]}) to {-rise.after:.3f} nats a token ({labels[1]}): {-rise.estimate:+.3f}, "
        f"{100 * rise.confidence:.4g} % interval {-rise.high:+.3f} to {-rise.low:+.3f}"
        f"{f' ({rise.reason})' if rise.reason else ''}.{left_out} {IMITATION}"
    )
