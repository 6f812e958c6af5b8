"""What each source of rows contributed: models tuned without it, beside the one that learned everything."""

from typing import Literal, get_args

from tutelage.records.base import Record
from tutelage.records.comparison import Comparison

GroupKind = Literal["paradigm", "source"]
GROUP_KINDS: tuple[GroupKind, ...] = get_args(GroupKind)


class LeftOut(Record):
    """One group of rows, and what was lost without it.

    ``rows`` counts different rows of the group, ``share`` is their part of all. ``contribution`` sets the model that
    learned everything against the one that learned all but the group. ``matched`` sets a model that learned all but as
    many rows drawn from everything against the latter: what the group gave beyond its number; None if it was not made.
    ``p`` is two-sided, of the macro of ``contribution``, ``p_holm`` the same adjusted over the groups (Holm 1979).
    """

    name: str
    rows: int
    share: float
    contribution: Comparison
    matched: Comparison | None = None
    p: float | None = None
    p_holm: float | None = None


class Ablation(Record):
    """Leave one source out (methods of the trade-off table): ``whole`` labels the model that learned ``rows`` rows.

    ``skipped`` says of the groups that could not be left out why. ``words`` says it all for people.
    """

    by: GroupKind
    whole: str
    rows: int
    groups: tuple[LeftOut, ...]
    skipped: dict[str, str]
    words: str
