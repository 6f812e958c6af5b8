"""The same recipe under several seeds: the loop against its rivals, per seed and over seeds."""

from pydantic import Field

from tutelage.records.base import Record, Split
from tutelage.records.scores import CellScore, Outcome
from tutelage.statistics import Difference, Replicated

LOOP = "loop"
RIVALS = ("start", "few-shot", "expert-only", "placebo")


class SeedValues(Record):
    """One figure of one model under every seed.

    ``mean`` and ``deviation`` (standard deviation, S − 1) are None when a seed has no value.
    """

    by_seed: dict[int, float | None]
    mean: float | None = None
    deviation: float | None = None


class ReplicatedModel(Record):
    """What one model scored under every seed, beside the figures that tell a real gain from a cheap one.

    ``label`` is ``loop`` for the model that a run ends with, which ``labels`` names by seed. ``dimensions``,
    ``facets`` (``dimension/facet``), ``cells`` and ``transfer_cells`` are those of :class:`ScoreSummary`.
    """

    label: str
    labels: dict[int, str]
    macro: SeedValues
    dimensions: dict[str, SeedValues] = Field(default_factory=dict)
    facets: dict[str, SeedValues] = Field(default_factory=dict)
    transfer: SeedValues
    share_ended: SeedValues
    mean_words: SeedValues
    repeated_5grams: SeedValues
    cells: dict[int, tuple[CellScore, ...]] = Field(default_factory=dict)
    transfer_cells: dict[int, tuple[CellScore, ...]] = Field(default_factory=dict)


class ReplicatedDifference(Record):
    """The loop minus a rival: within each seed, and as a mean over seeds."""

    by_seed: dict[int, Difference]
    over_seeds: Replicated


class ReplicatedComparison(Record):
    """The loop against one rival on the same items of every seed; ``transfer`` None: no seed has such items."""

    rival: str
    macro: ReplicatedDifference
    dimensions: dict[str, ReplicatedDifference] = Field(default_factory=dict)
    facets: dict[str, ReplicatedDifference] = Field(default_factory=dict)
    transfer: ReplicatedDifference | None = None


class Replication(Record):
    """Runs of one recipe that differ in their seed alone.

    ``loop`` names by seed the model that stands for the loop: the promoted one or, where ``promoted_rounds`` says 0,
    the last candidate, which the gate did not let through. ``verdicts`` are those of each round. ``models`` holds the
    rivals, the loop, and the candidates that every run has unless they are the loop in all of them.
    """

    split: Split
    seeds: tuple[int, ...]
    loop: dict[int, str]
    promoted_rounds: dict[int, int]
    verdicts: dict[int, tuple[Outcome, ...]]
    models: tuple[ReplicatedModel, ...]
    comparisons: tuple[ReplicatedComparison, ...]

    def model(self, label: str) -> ReplicatedModel | None:
        """Return one model by its label."""
        return next((model for model in self.models if model.label == label), None)

    def against(self, rival: str) -> ReplicatedComparison | None:
        """Return the comparison with one rival."""
        return next((found for found in self.comparisons if found.rival == rival), None)
