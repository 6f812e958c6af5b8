"""Scores, and what is concluded from them: matrix, verdict of the gate, diagnosis, plan.

``evaluate`` writes item scores; ``reflect`` condenses and judges them; ``report`` and the studio read the result.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from tutelage.records.answers import Engine
from tutelage.records.base import Level, Record, Split
from tutelage.records.heldout import HeldOutLoss, RowLoss
from tutelage.statistics import Difference

Role = Literal["candidate", "promoted"]
Outcome = Literal["promoted", "rejected", "inconclusive"]
SAFETY = "safety"
SAFETY_FACETS = ("harmful", "harmless")


class ItemScore(Record):
    """One answer's score. ``counted`` is what every summary uses.

    ``score`` is the check's, ``audit`` whether the audit passed it (None: not asked, or could not tell). Where the
    split's rule asks for both, ``counted`` is ``score`` if the audit passed and 0 if it did not; ``counted`` None is
    unscored. ``words`` and ``repeated`` (share of repeated word 5-grams) describe the answer, ``reason`` is
    what the check said.
    """

    item_id: str
    dimension: str
    level: Level
    group: str
    facet: str = ""
    transfer: bool = False
    score: float | None = Field(ge=0, le=1)
    audit: bool | None = None
    counted: float | None = Field(ge=0, le=1)
    ended: bool = True
    words: int = Field(default=0, ge=0)
    repeated: float = Field(default=0.0, ge=0, le=1)
    reason: str = ""

    @model_validator(mode="after")
    def _counts_no_more_than_the_check(self) -> Self:
        if self.counted is not None and (self.score is None or self.counted > self.score):
            raise ValueError(f"item {self.item_id}: counted {self.counted} exceeds the check's score {self.score}")
        return self


class Score(Record):
    """A mean over scored items with its 95 % interval; ``value`` None: nothing was scored, ``reason`` says why."""

    value: float | None
    low: float = 0.0
    high: float = 1.0
    n: int = 0
    clusters: int = 0
    unscored: int = 0
    reason: str = ""


class CellScore(Score):
    """The score of one cell: dimension, level, round, and whether of the candidate or of the promoted model.

    The value is the mean over items; for safety the mean of its two facet rates, both of which always stand in
    ``facets`` and without both of which there is no value.
    """

    dimension: str
    level: Level
    round: int
    role: Role
    split: Split
    facets: dict[str, Score] = Field(default_factory=dict)


class MacroScore(Score):
    """The mean over cells, each with equal weight."""

    round: int
    role: Role
    cells: int


class ScoreSummary(Record):
    """What one model scored on one split, beside the figures that tell a real gain from a cheap one.

    ``label`` names the model for people (``start``, ``few-shot``, ``placebo``, ``round 1``). ``facets`` are pooled over
    levels, by ``dimension/facet``; ``dimensions`` are means over levels. Transfer items count in ``transfer`` and
    ``transfer_cells`` only.
    """

    split: Split
    round: int
    label: str
    role: Role
    engine: Engine
    n: int
    unscored: int
    cells: tuple[CellScore, ...]
    dimensions: dict[str, Score]
    facets: dict[str, Score]
    macro: MacroScore
    transfer: MacroScore | None = None
    transfer_cells: tuple[CellScore, ...] = ()
    share_ended: float | None
    mean_words: float | None
    repeated_5grams: float | None

    def placed(self, *, round: int | None = None, role: Role | None = None) -> "ScoreSummary":
        """Return the same scores as those of another round or role: who is promoted stays so in later rounds."""
        moved: dict[str, object] = {"round": self.round if round is None else round, "role": role or self.role}
        return self.model_copy(
            update={
                **moved,
                "cells": tuple(cell.model_copy(update=moved) for cell in self.cells),
                "transfer_cells": tuple(cell.model_copy(update=moved) for cell in self.transfer_cells),
                "macro": self.macro.model_copy(update=moved),
                "transfer": self.transfer and self.transfer.model_copy(update=moved),
            }
        )


class ControlScores(Record):
    """The cells of a control and their mean, on the items of the matrix that it stands beside."""

    name: str
    cells: tuple[CellScore, ...]
    macro: MacroScore


class Matrix(Record):
    """The instruction-alignment matrix of one split: A[dimension][level][round], candidate and promoted; beside it what
    each control has in the same cells, such as the ``teacher``."""

    split: Split
    cells: tuple[CellScore, ...] = ()
    macros: tuple[MacroScore, ...] = ()
    controls: tuple[ControlScores, ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions in the order in which they first occur."""
        return tuple(dict.fromkeys(cell.dimension for cell in self.cells))

    @property
    def rounds(self) -> tuple[int, ...]:
        """The rounds that have a score, in order."""
        return tuple(sorted({cell.round for cell in self.cells}))

    def cell(self, dimension: str, level: Level, *, round: int, role: Role = "promoted") -> CellScore | None:
        """Return one cell, None if it was not scored."""
        key = (dimension, level, round, role)
        return next((c for c in self.cells if (c.dimension, c.level, c.round, c.role) == key), None)

    def of(self, *, round: int, role: Role = "promoted") -> tuple[CellScore, ...]:
        """Return all cells of a round and role."""
        return tuple(cell for cell in self.cells if (cell.round, cell.role) == (round, role))

    def macro(self, *, round: int, role: Role = "promoted") -> MacroScore | None:
        """Return the mean over the cells of a round and role, None if it was not scored."""
        return next((macro for macro in self.macros if (macro.round, macro.role) == (round, role)), None)

    def control(self, name: str) -> ControlScores | None:
        """Return what a control has, None if there is none of that name."""
        return next((found for found in self.controls if found.name == name), None)


class UtilityMeasures(Record):
    """What a model is like where nothing was trained: general text that it reads, general prompts that it answers.

    ``nll`` is the mean negative log-likelihood a token, in nats, of each of ``documents`` (names or hashes; None: could
    not be computed). ``ended``, ``repeated`` (share of repeated word 5-grams) and ``words`` describe the answer to each
    of ``prompts`` (their names or hashes).
    """

    documents: tuple[str, ...] = ()
    nll: tuple[float | None, ...] = ()
    prompts: tuple[str, ...] = ()
    ended: tuple[bool, ...] = ()
    repeated: tuple[float, ...] = ()
    words: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _one_measure_each(self) -> Self:
        if len(self.nll) != len(self.documents):
            raise ValueError(f"{len(self.documents)} documents but {len(self.nll)} values of nll")
        lengths = {"ended": len(self.ended), "repeated": len(self.repeated), "words": len(self.words)}
        if any(length != len(self.prompts) for length in lengths.values()):
            raise ValueError(f"{len(self.prompts)} prompts but {lengths}")
        return self


class GateScores(Record):
    """One model's answers to the items of the gate, who scored them, and the loss of the gate's references."""

    engine: Engine
    items: tuple[ItemScore, ...]
    utility: UtilityMeasures | None = None
    losses: tuple[RowLoss, ...] = ()


class GuardResult(Record):
    """What must not get worse: ``loss`` is how much worse (positive: worse), ``bound`` its one-sided upper bound.

    ``passed`` if the bound is below ``margin``, ``failed`` if the loss itself reaches it, else ``undecided``; then
    ``needed`` items would do if the loss is as seen. ``before`` and ``after`` are in the guard's own unit.
    """

    name: str
    outcome: Literal["passed", "failed", "undecided"]
    before: float | None
    after: float | None
    loss: float | None
    bound: float | None
    margin: float
    n: int = 0
    clusters: int = 0
    unscored: int = 0
    needed: int | None = None
    words: str


class GatePower(Record):
    """What the gate can see, stated before anything is scored: the smallest true difference found at ``power``.

    None: even a difference as large as the share of items assumed to change would be missed too often.
    """

    detectable: float | None
    n: int
    clusters: int
    cells: int
    design_effect: float
    discordance: float
    alpha: float
    power: float
    words: str


class GateVerdict(Record):
    """Promoted, rejected or inconclusive, with everything that led there; ``words`` is what a person reads.

    ``alpha`` is the two-sided error of the macro comparison, ``guard_alpha`` the one-sided of each guard.
    ``unguarded`` names what should have been guarded and was not measured. ``loss`` compares the loss of the gate's
    references; it decides where no item can be scored. ``audited``: an answer counted only if the audit agreed with the
    check, which gates before 2026-11-23 did not ask.
    """

    outcome: Outcome
    words: str
    macro: Difference
    loss: HeldOutLoss | None = None
    guards: tuple[GuardResult, ...]
    unguarded: tuple[str, ...] = ()
    needed: int | None = None
    power: GatePower
    alpha: float
    guard_alpha: float
    before_engine: Engine
    engine: Engine
    audited: bool = False


class FailureReason(Record):
    """One way to fail, numbers and quotations removed: how often, the share of failures, ids of examples."""

    reason: str
    count: int
    share: float
    examples: tuple[str, ...]


class CellDiagnosis(Record):
    """How far a cell is from its target and what its answers lack. ``gap`` of an unscored cell is None."""

    dimension: str
    level: Level
    value: float | None
    n: int
    gap: float | None
    failed: int
    unscored: int
    reasons: tuple[FailureReason, ...] = ()


class CellState(Record):
    """What the plan knows of a cell. ``progress`` is the recent change of its value per accepted row; None: unknown."""

    dimension: str
    level: Level
    weight: float = Field(default=1.0, ge=0)
    value: float | None = Field(default=None, ge=0, le=1)
    accepted: int = Field(default=0, ge=0)
    attempted: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    progress: float | None = None

    @model_validator(mode="after")
    def _accepts_no_more_than_it_attempts(self) -> Self:
        if self.accepted > self.attempted:
            raise ValueError(f"{self.dimension}/{self.level}: {self.accepted} accepted of {self.attempted} attempted")
        return self


class Allocation(Record):
    """Attempts given to a cell, the level that they are spent at (its own or one below), by whom, and why."""

    dimension: str
    level: Level
    attempts: int
    spent_at: Level
    by: Literal["student", "teacher"] = "student"
    reason: str


class Plan(Record):
    """How a budget of attempts is divided; the attempts of the allocations sum to ``budget``."""

    policy: str
    budget: int
    allocations: tuple[Allocation, ...]
    words: str

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        given = sum(allocation.attempts for allocation in self.allocations)
        if given != self.budget:
            raise ValueError(f"plan {self.policy}: {given} attempts allocated of {self.budget}")
        return self
