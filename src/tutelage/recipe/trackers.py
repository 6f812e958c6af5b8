"""Where the numbers of a run are also shown."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tutelage.recipe.base import Section


class TensorBoardTracker(Section):
    """Event files for TensorBoard (extra ``tensorboard``), written on this machine."""

    kind: Literal["tensorboard"]

    path: Path | None = None
    """Folder of the files, relative to the recipe; null: ``tensorboard`` in the run's folder."""


class MlflowTracker(Section):
    """A run in MLflow (extra ``mlflow``): numbers and words, no rows and no weights. MLflow's own telemetry is switched
    off."""

    kind: Literal["mlflow"]

    uri: str
    """The tracking server, such as http://127.0.0.1:5000, or a store of MLflow's such as sqlite:///mlflow.db. One that
    is not on this machine is refused with ``--offline``."""

    experiment: str = "tutelage"
    """Name of the experiment; made if it is not there."""


Tracker = Annotated[TensorBoardTracker | MlflowTracker, Field(discriminator="kind")]
