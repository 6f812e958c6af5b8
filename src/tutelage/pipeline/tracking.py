"""Trackers: TensorBoard and MLflow listen to the events of a run, where the recipe asks for them.

| event | what is passed on | counted by |
|---|---|---|
| ``step`` | ``tune/loss``, ``lr``, ``grad_norm``, ``tokens_per_second``, ``retention``, what is told besides | step |
| ``look`` | ``tune/probe`` | step |
| ``scores`` | ``scores/<split>``, of rivals ``scores/<split>/<label>`` | round |
| ``verdict`` | ``gate/promoted`` (1, 0, or −1 where it was rejected), and the words | round |

In a run of several rounds the names of a step begin with the round. Nothing is imported or sent unless a recipe has
``trackers``. A tracker that fails on the way is let go with a note: it is no reason to lose a training.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tutelage.completers.address import is_loopback, public_address
from tutelage.errors import MissingExtra, RunError
from tutelage.events import Emit, Event, silent
from tutelage.recipe import Recipe
from tutelage.recipe.trackers import MlflowTracker, TensorBoardTracker, Tracker

STEP = ("loss", "lr", "grad_norm", "retention")
PROMOTED = {"promoted": 1.0, "inconclusive": 0.0, "rejected": -1.0}


@dataclass(frozen=True, slots=True)
class Measures:
    """What an event says in numbers, at step or round ``at``, and in words."""

    at: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """Where measures go. ``faults`` are the errors by which it says that it cannot take them."""

    name: str
    faults: tuple[type[Exception], ...]

    def take(self, measures: Measures) -> None:
        """Pass them on."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


def measures_of(event: Event) -> Measures | None:
    """Return what ``event`` has to say to a tracker; None if it is nothing."""
    data, round = event.data, event.round
    start = "tune/" if round is None else f"round {round}/tune/"
    match event.kind:
        case "look" if isinstance(score := data["score"], float):
            return Measures(int(str(data["step"])), {f"{start}probe": score})
        case "step":
            told = data.get("told")
            values = {**{key: data.get(key) for key in STEP}, **(told if isinstance(told, dict) else {})}
            tokens, seconds = data.get("tokens"), data.get("seconds")
            if isinstance(tokens, int) and isinstance(seconds, float) and seconds > 0:
                values["tokens_per_second"] = tokens / seconds
            numbers = {start + key: float(value) for key, value in values.items() if isinstance(value, int | float)}
            return Measures(int(str(data["step"])), numbers)
        case "scores" if isinstance(macro := data["macro"], float):
            split, label = data["split"], data["label"]
            of_loop = label in ("start", f"round {round}")
            return Measures(round or 0, {f"scores/{split}" if of_loop else f"scores/{split}/{label}": macro})
        case "verdict":
            promoted = {"gate/promoted": PROMOTED[str(data["outcome"])]}
            return Measures(round or 0, promoted, {"gate": str(data["text"])})
        case _:
            return None


@contextmanager
def tracked(trackers: Sequence[Tracker], recipe: Recipe, folder: Path, *, emit: Emit, offline: bool) -> Iterator[Emit]:
    """Open ``trackers`` of ``recipe`` for a run in ``folder`` and give what passes events on to them.

    ``emit`` hears of a tracker that fails on the way. Raises :class:`MissingExtra`; :class:`RunError` for one that
    cannot be opened, or is elsewhere while ``offline``.
    """
    if not trackers:
        yield silent
        return
    with ExitStack() as stack:
        sinks = []
        for section in trackers:
            sink = _open(section, recipe, folder, offline=offline)
            stack.callback(sink.close)
            sinks.append(sink)
        yield _passing_on(sinks, emit)


def _passing_on(sinks: Sequence[Sink], emit: Emit) -> Emit:
    listening = list(sinks)

    def listen(event: Event) -> None:
        measures = measures_of(event)
        for sink in listening.copy() if measures is not None else ():
            assert measures is not None
            try:
                sink.take(measures)
            except sink.faults as error:
                listening.remove(sink)
                text = f"{sink.name} fails and is told no more: {str(error).splitlines()[0]}"
                emit(Event("note", data={"text": text}))

    return listen


def _open(section: Tracker, recipe: Recipe, folder: Path, *, offline: bool) -> Sink:
    match section:
        case TensorBoardTracker():
            place = folder / "tensorboard" if section.path is None else recipe.folder / section.path
            return TensorBoard(place)
        case MlflowTracker():
            parts = urlsplit(section.uri)
            on_machine = parts.scheme in ("sqlite", "file") or is_loopback(parts.hostname or "")
            if offline and not on_machine:
                remedy = "leave --offline out, or take a tracker on this machine"
                where = public_address(section.uri)
                raise RunError("this tracker is not on this machine", where="trackers", received=where, remedy=remedy)
            return Mlflow(section, name=recipe.name)


class TensorBoard:
    """Event files."""

    name = "TensorBoard"
    faults: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, folder: Path) -> None:
        writing = _load_extra("torch.utils.tensorboard", self.name, "tensorboard")
        self._writer: Any = writing.SummaryWriter(str(folder))

    def take(self, measures: Measures) -> None:
        """Write an event for each number and text."""
        for name, value in measures.numbers.items():
            self._writer.add_scalar(name, value, measures.at)
        for name, text in measures.words.items():
            self._writer.add_text(name, text, measures.at)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class Mlflow:
    """A run of MLflow, by its client: no global state, nothing logged by itself."""

    name = "MLflow"

    def __init__(self, section: MlflowTracker, *, name: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it reports its use elsewhere unless told not to
        self._mlflow: Any = _load_extra("mlflow", self.name, "mlflow")
        self.faults: tuple[type[Exception], ...] = (OSError, self._mlflow.exceptions.MlflowException)
        try:
            self._client: Any = self._mlflow.MlflowClient(tracking_uri=section.uri)
            found = self._client.get_experiment_by_name(section.experiment)
            experiment = found.experiment_id if found else self._client.create_experiment(section.experiment)
            self._run: str = self._client.create_run(experiment, run_name=name).info.run_id
        except self.faults as error:
            reason = str(error).splitlines()[0]
            where = public_address(section.uri)
            raise RunError("MLflow cannot be told", where=where, received=reason, remedy="mend trackers") from error

    def take(self, measures: Measures) -> None:
        """Log the numbers as metrics and the words as tags."""
        now = time.time_ns() // 1_000_000
        metric = self._mlflow.entities.Metric
        metrics = [metric(name, value, now, measures.at) for name, value in measures.numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)
        for name, text in measures.words.items():
            self._client.set_tag(self._run, f"{name} {measures.at}", text)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._run)


def _load_extra(module: str, feature: str, extra: str) -> Any:
    """Import an optional package; raises :class:`MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"the tracker {feature}", extra) from error
