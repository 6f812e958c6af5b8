"""How a run ended, in words and numbers: what the report, the command line and other programs read."""

from pydantic import Field

from tutelage.records.base import Record
from tutelage.records.comparison import Comparison
from tutelage.records.heldout import HeldOutLoss
from tutelage.records.scores import Outcome, ScoreSummary


class RunOutcome(Record):
    """The result of a run.

    ``promoted_round`` 0 means that the starting model was kept. ``verdicts`` holds each round's outcome. ``scores`` are
    the test scores of every model by label; ``comparisons`` set the loop's model against the start and each control.
    ``losses`` do so for the loss of a user's references. ``limits`` says what a user's own rows can and cannot prove,
    ``estimated_levels`` names the tasks whose levels were estimated. ``words`` says it all for people.
    """

    name: str
    promoted_round: int
    verdicts: tuple[Outcome, ...]
    scores: dict[str, ScoreSummary] = Field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    losses: tuple[HeldOutLoss, ...] = ()
    limits: tuple[str, ...] = ()
    estimated_levels: tuple[str, ...] = ()
    words: str
