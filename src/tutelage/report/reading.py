"""Whatever a run directory holds so far, read once and checked; what is not there yet is None or empty."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tutelage.errors import DataError, InputErrors, Problem
from tutelage.files import read_lines
from tutelage.recipe import Recipe
from tutelage.records import Answer, Example, Item, Ledger, Lesson, Record
from tutelage.records.ablation import GROUP_KINDS, Ablation
from tutelage.records.comparison import Comparison
from tutelage.records.jsonl import RecordLog, problems_of
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import CellDiagnosis, GatePower, GateVerdict, ItemScore, Matrix, Plan, ScoreSummary
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import Manifest, RunDirectory, StageState

R = TypeVar("R", bound=Record)
START = "start"
_DIAGNOSES = TypeAdapter(tuple[CellDiagnosis, ...])


class LossPoint(Record):
    """What the page needs of one optimizer step of ``metrics.jsonl``; the file says more."""

    model_config = ConfigDict(extra="ignore")

    step: int
    loss: float | None
    retention: float | None = None


class TuningFacts(Record):
    """What the page needs of a tuning's ``summary.json``; the file says more."""

    model_config = ConfigDict(extra="ignore")

    rows: int
    steps: int
    target_tokens: int
    seconds: float
    trainable_parameters: int
    parameters: int
    dtype: str


LAST_STEPS = 10
"""Over which the end of a tuning is averaged."""


class LastEvent(Record):
    """The end of ``events.jsonl``: what an unfinished run did last."""

    model_config = ConfigDict(extra="ignore")

    kind: str
    stage: str = ""
    round: int | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """One tuning: its name on the page, its losses, and its facts once it has finished."""

    name: str
    steps: tuple[LossPoint, ...]
    facts: TuningFacts | None

    @property
    def moved(self) -> float | None:
        """Divergence from the start on general text, in nats a token: the mean of the last steps; None: not held."""
        last = [point.retention for point in self.steps[-LAST_STEPS:] if point.retention is not None]
        return sum(last) / len(last) if last else None


@dataclass(frozen=True, slots=True)
class RoundData:
    """One round; ``tradeoffs``, ``lessons`` and ``kept`` are empty until their stage has finished.

    ``ledger`` is that of curation, ``untuned`` that of tuning: rows that were too long, or left nothing to learn.
    """

    number: int
    plan: Plan | None
    tradeoffs: tuple[TradeOff, ...]
    lessons: tuple[Lesson, ...]
    ledger: Ledger | None
    untuned: Ledger | None
    kept: tuple[Example, ...]
    diagnosis: tuple[CellDiagnosis, ...]
    power: GatePower | None
    verdict: GateVerdict | None
    constructed: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """One model's test items with answer and score, in the order of the items."""

    label: str
    rows: tuple[tuple[Item, Answer, ItemScore], ...]


@dataclass(frozen=True, slots=True)
class RunData:
    """One run. ``shown`` labels the model that the page is about, ``scores`` are the test scores by label."""

    recipe: Recipe
    manifest: Manifest | None
    outcome: RunOutcome | None
    matrix: Matrix | None
    probe_matrix: Matrix | None
    rounds: tuple[RoundData, ...]
    tunings: tuple[Tuning, ...]
    scores: dict[str, ScoreSummary]
    shown: str | None
    before: Answered | None
    after: Answered | None
    stages: dict[str, StageState]
    last_event: LastEvent | None
    ablations: tuple[Ablation, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The paired comparisons on test; none before the run has ended."""
        return self.outcome.comparisons if self.outcome else ()

    @property
    def against_start(self) -> Comparison | None:
        """The comparison of the shown model with the start."""
        return next((found for found in self.comparisons if found.before == START), None)

    @property
    def verdicts(self) -> dict[int, GateVerdict]:
        """The gate's verdict of each judged round."""
        return {found.number: found.verdict for found in self.rounds if found.verdict}


def read_run(run: RunDirectory) -> RunData:
    """Read a run directory.

    Raises
    ------
    DataError: files that do not hold what they should, all of them named.
    StorageError: a file that cannot be read.
    """
    reader = _Reader(run.path)
    outcome = reader.record("outcome.json", RunOutcome)
    rounds = tuple(_round(reader, number) for number in reader.round_numbers() if number)
    scores = dict(outcome.scores) if outcome else {}
    for folder in reader.folders("final"):
        summary = reader.record(f"{folder}/summary.json", ScoreSummary) if not folder.endswith("-tune") else None
        if summary:
            scores.setdefault(summary.label, summary)
    shown = _shown(outcome, run.best.round, scores)
    data = RunData(
        recipe=run.recipe,
        manifest=reader.record("manifest.json", Manifest),
        outcome=outcome,
        matrix=reader.record("matrix.json", Matrix),
        probe_matrix=reader.record("probe_matrix.json", Matrix),
        rounds=rounds,
        tunings=_tunings(reader),
        scores=scores,
        shown=shown,
        before=_answered(reader, START) if shown else None,
        after=_answered(reader, shown) if shown else None,
        stages=run.stages(),
        last_event=reader.last_event(),
        ablations=tuple(filter(None, (reader.record(f"ablation/{by}.json", Ablation) for by in GROUP_KINDS))),
    )
    reader.raise_if_any()
    return data


class _Reader:
    """Reads files of a run and gathers what is wrong with them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._problems: list[Problem] = []

    def record(self, name: str, kind: type[R]) -> R | None:
        """A file of one record; None if it is not there."""
        file = self.root / name
        return self._parsed(name, kind, file.read_bytes()) if file.is_file() else None

    def records(self, name: str, kind: type[R]) -> tuple[R, ...]:
        """A file of one record a line; a torn last line, as a kill leaves it, is left out."""
        try:
            return tuple(RecordLog(self.root / name, kind).load())
        except InputErrors as error:
            self._problems += error.problems
            return ()

    def last_event(self) -> LastEvent | None:
        """The last complete line of the events."""
        lines = read_lines(self.root / "events.jsonl")
        return self._parsed("events.jsonl", LastEvent, lines[-1]) if lines else None

    def diagnosis(self, name: str) -> tuple[CellDiagnosis, ...]:
        """A file of one JSON array of diagnoses."""
        file = self.root / name
        try:
            return _DIAGNOSES.validate_json(file.read_bytes()) if file.is_file() else ()
        except ValidationError as error:
            self._problems += problems_of(error, CellDiagnosis, str(file))
            return ()

    def round_numbers(self) -> list[int]:
        """The rounds that have a folder, in order."""
        return sorted(int(name) for name in self._names("rounds") if re.fullmatch(r"\d+", name))

    def folders(self, name: str) -> list[str]:
        """The folders inside one of the run's folders."""
        return [f"{name}/{inside}" for inside in self._names(name)]

    def raise_if_any(self) -> None:
        """Raise :class:`DataError` with everything that was wrong."""
        if self._problems:
            raise DataError("this run cannot be shown", self._problems)

    def _names(self, name: str) -> Iterable[str]:
        return sorted(entry.name for entry in (self.root / name).glob("*") if entry.is_dir())

    def _parsed(self, name: str, kind: type[R], content: str | bytes) -> R | None:
        try:
            return kind.from_json(content)
        except ValidationError as error:
            self._problems += problems_of(error, kind, str(self.root / name))
            return None


def _round(reader: _Reader, number: int) -> RoundData:
    place = f"rounds/{number}"
    tradeoffs = reader.records(f"{place}/construct/tradeoffs.jsonl", TradeOff)
    return RoundData(
        number=number,
        plan=reader.record(f"{place}/plan/plan.json", Plan),
        tradeoffs=tradeoffs,
        lessons=reader.records(f"{place}/construct/lessons.jsonl", Lesson),
        ledger=reader.record(f"{place}/curate/ledger.json", Ledger),
        untuned=reader.record(f"{place}/tune/ledger.json", Ledger),
        kept=reader.records(f"{place}/curate/records.jsonl", Example),
        diagnosis=reader.diagnosis(f"{place}/evaluate/diagnosis.json"),
        power=reader.record(f"{place}/gate/power.json", GatePower),
        verdict=reader.record(f"{place}/gate/verdict.json", GateVerdict),
        constructed=(reader.root / place / "construct" / "tradeoffs.jsonl").is_file(),
    )


def _tunings(reader: _Reader) -> tuple[Tuning, ...]:
    places = {f"rounds/{number}/tune": f"Round {number}" for number in reader.round_numbers()}
    for folder in reader.folders("final"):
        if folder.endswith("-tune"):
            places[folder] = folder.removeprefix("final/").removesuffix("-tune").replace("-", " ").capitalize()
    found = [
        Tuning(
            name=name,
            steps=reader.records(f"{place}/metrics.jsonl", LossPoint),
            facts=reader.record(f"{place}/summary.json", TuningFacts),
        )
        for place, name in places.items()
    ]
    return tuple(tuning for tuning in found if tuning.steps)


def _shown(outcome: RunOutcome | None, best: int, scores: dict[str, ScoreSummary]) -> str | None:
    """The model that the page is about: as the outcome compares it, else the promoted one, else the last candidate."""
    if outcome and outcome.comparisons:
        return outcome.comparisons[0].after
    if best and f"round {best}" in scores:
        return f"round {best}"
    candidates: Sequence[ScoreSummary] = [s for label, s in scores.items() if label.startswith("round ")]
    return max(candidates, key=lambda summary: summary.round).label if candidates else None


def _answered(reader: _Reader, label: str) -> Answered:
    place = f"final/{label.replace(' ', '-')}"
    answers = {answer.request_id: answer for answer in reader.records(f"{place}/answers.jsonl", Answer)}
    scores = {score.item_id: score for score in reader.records(f"{place}/scores.jsonl", ItemScore)}
    items = reader.records(f"{place}/items.jsonl", Item)
    rows = tuple((i, answers[i.id], scores[i.id]) for i in items if i.id in answers and i.id in scores)
    return Answered(label, rows)
