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


class WandbTracker(Section):
    """A run in Weights & Biases (extra ``wandb``): numbers and words, no rows, no weights, nothing of the machine. It
    is written to ``wandb`` in the run's folder, and sent by ``wandb sync`` when you want it. W&B's own reports of use
    and errors are switched off."""

    kind: Literal["wandb"]

    project: str = "tutelage"
    """Name of the project."""

    entity: str | None = None
    """User or team that the project belongs to; null: the key's own."""

    online: bool = False
    """Whether it is sent while the run goes on, with the key in ``WANDB_API_KEY``. Refused with ``--offline``."""


class TrackioTracker(Section):
    """A run in trackio's database on this machine (extra ``trackio``): what ``trackio show`` shows. Its folder is
    trackio's own (``TRACKIO_DIR``); nothing is sent."""

    kind: Literal["trackio"]

    project: str = "tutelage"
    """Name of the project."""


Tracker = Annotated[TensorBoardTracker | MlflowTracker | WandbTracker | TrackioTracker, Field(discriminator="kind")]
