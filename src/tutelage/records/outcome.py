"""How a run ended, in words and numbers: what the report, the command line and other programs read."""

from pydantic import Field

from tutelage.records.base import Record
from tutelage.records.comparison import Comparison
from tutelage.records.scores import Outcome, ScoreSummary


class RunOutcome(Record):
    """The result of a run.

    ``promoted_round`` 0 means that the starting model was kept. ``verdicts`` holds each round's outcome. ``scores`` are
    the test scores of every model by label; ``comparisons`` set the loop's model against the start and each control.
    ``words`` says it for people, including what the figures do not prove.
    """

    name: str
    promoted_round: int
    verdicts: tuple[Outcome, ...]
    scores: dict[str, ScoreSummary] = Field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    words: str
