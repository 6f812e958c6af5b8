"""How much is measured, on which split."""

from pydantic import Field

from tutelage.recipe.base import Section


class EvaluateSection(Section):
    """Items a cell (dimension × level) of each split, and how they are answered: greedy, on the reference engine."""

    probe: int = Field(default=16, ge=2)
    """Items a cell of the probe split, which steers the plan."""

    gate: int = Field(default=32, ge=2)
    """Items a cell of the gate split; fresh in each round, except those of a user's rows, which come to an end."""

    test: int = Field(default=50, ge=0)
    """Items a cell of the test split, scored once at the end; 0 leaves the final test out."""

    max_tokens: int = Field(default=192, ge=1)
    """Longest answer, in tokens."""

    general_prompts: int = Field(default=96, ge=0)
    """General instructions answered to watch length, repetition and proper ends (guard of utility). With fewer than 29
    a rate that is perfect before and after is not yet sure to within the margin of 0.10, and nothing is promoted; a
    start that seldom ends its answers needs three times as many."""


class ControlsSection(Section):
    """Rivals that stand beside every claimed gain: same items, paired."""

    few_shot: bool = False
    """The start, untrained, under a prompt of expert demonstrations: as many as the teacher's, or 4 if it has none."""

    expert_only: bool = False
    """The start tuned on the expert rows alone."""

    placebo: bool = False
    """The start tuned on as many rows with the same prompts and alike lengths, verdicts ignored."""

    teacher: bool = False
    """The teacher (``construct.distill.teacher``, or that of ``tune.objective`` where nothing is distilled), untuned,
    under the prompt that it teaches with. The test items that a check can score are asked of it once, when everything
    is tuned, under the ceiling of its teaching; nothing is learned from these answers."""
