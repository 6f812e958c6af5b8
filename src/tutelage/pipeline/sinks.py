"""Where a run's measures go: TensorBoard, MLflow, Weights & Biases, trackio. Each package is imported when opened.

None reports its own use elsewhere, watches the machine, or takes over the console: MLflow and W&B are told so, and of
trackio only the store is used, whose own start asks Hugging Face who the user is. ``identity`` is drawn once for a
folder; by it a run that goes on after a kill goes on in its tracker.
"""

import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from tutelage.completers.endpoints.address import public_address
from tutelage.errors import MissingExtra, RunError
from tutelage.recipe.trackers import MlflowTracker, TrackioTracker, WandbTracker

TAG = "tutelage.identity"  # by which a run is found again in MLflow
KEY = "WANDB_API_KEY"
ELSEWHERE = ("TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID")  # where they are set, trackio's store begins with a download
# What W&B would add by itself: the console, the machine and its load, installed packages, code, the repository.
QUIET: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


@dataclass(frozen=True, slots=True)
class Measures:
    """What an event says in numbers, at step or round ``at``, and in words; ``by`` says which of the two."""

    at: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    by: Literal["step", "round"] = "step"


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

    def __init__(self, section: MlflowTracker, *, name: str, identity: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it reports its use elsewhere unless told not to
        self._mlflow: Any = _load_extra("mlflow", self.name, "mlflow")
        self.faults: tuple[type[Exception], ...] = (OSError, self._mlflow.exceptions.MlflowException)
        try:
            self._client: Any = self._mlflow.MlflowClient(tracking_uri=section.uri)
            found = self._client.get_experiment_by_name(section.experiment)
            experiment = found.experiment_id if found else self._client.create_experiment(section.experiment)
            begun = self._client.search_runs([experiment], f"tags.`{TAG}` = '{identity}'")
            run = begun[0] if begun else self._client.create_run(experiment, run_name=name, tags={TAG: identity})
            self._run: str = run.info.run_id
            self._client.update_run(self._run, status="RUNNING")
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


class Wandb:
    """A run of Weights & Biases in ``folder/wandb``; calls with the same ``identity`` are parts of one run.

    Offline, each call leaves a folder of its own, which ``wandb sync`` sends to that run. Steps and rounds are counted
    as metrics, since W&B's own counter takes nothing that goes back, as a training does that a kill has interrupted.
    """

    name = "W&B"

    def __init__(self, section: WandbTracker, folder: Path, *, name: str, identity: str) -> None:
        if section.online and not os.environ.get(KEY, "").strip():
            remedy = f"set it for this command ({KEY}=... tutelage tune ...), or leave out online"
            raise RunError(
                "W&B cannot be told: the variable that holds its key is not set", received=KEY, remedy=remedy
            )
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it reports its use and errors unless told not to
        os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")  # and would trace what is asked of endpoints
        wandb = _load_extra("wandb", self.name, "wandb")
        self.faults: tuple[type[Exception], ...] = (OSError, wandb.errors.Error)
        folder.mkdir(parents=True, exist_ok=True)  # it would write to a temporary folder otherwise
        try:
            self._run: Any = wandb.init(
                project=section.project,
                entity=section.entity,
                name=name,
                id=identity,
                resume="allow",
                dir=str(folder),
                mode="online" if section.online else "offline",
                reinit="create_new",
                settings=wandb.Settings(**QUIET),
            )
            self._run.define_metric("scores/*", step_metric="round")
            self._run.define_metric("gate/*", step_metric="round")
            self._run.define_metric("*", step_metric="step")
        except self.faults as error:
            reason = str(error).splitlines()[0]
            raise RunError("W&B cannot be told", where="trackers", received=reason, remedy="mend trackers") from error

    def take(self, measures: Measures) -> None:
        """Log the numbers as one point and the words in the run's summary."""
        self._run.log({**measures.numbers, measures.by: measures.at})
        for name, text in measures.words.items():
            self._run.summary[f"{name} {measures.at}"] = text

    def close(self) -> None:
        """End the run."""
        self._run.finish()


class Trackio:
    """A run in trackio's database on this machine, where ``trackio show`` looks for it (``TRACKIO_DIR``)."""

    name = "trackio"
    faults: tuple[type[Exception], ...] = (OSError, sqlite3.Error)

    def __init__(self, section: TrackioTracker, *, name: str, identity: str) -> None:
        for variable in ELSEWHERE:
            if os.environ.get(variable):
                remedy = f"unset {variable}"
                raise RunError("trackio would fetch what is not on this machine", received=variable, remedy=remedy)
        self._store: Any = _load_extra("trackio.sqlite_storage", self.name, "trackio").SQLiteStorage
        self._place = {"project": section.project, "run": name, "run_id": identity}
        try:
            self._store.init_db(section.project)
        except self.faults as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                "trackio cannot be told", where="trackers", received=reason, remedy="mend trackers"
            ) from error

    def take(self, measures: Measures) -> None:
        """Write numbers and words as one row."""
        row = {**measures.numbers, **measures.words}
        self._store.bulk_log(**self._place, metrics_list=[row], steps=[measures.at])

    def close(self) -> None:
        """Nothing is left: every row is written when it comes."""


def _load_extra(module: str, feature: str, extra: str) -> Any:
    """Import an optional package; raises :class:`MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"the tracker {feature}", extra) from error
