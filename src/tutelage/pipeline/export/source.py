"""Which weights are exported, and what they are put on."""

from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import RunError
from tutelage.models.adapters import adapter_config
from tutelage.models.load import MODEL_CONFIG
from tutelage.models.template_file import template_of
from tutelage.origin import ModelOrigin
from tutelage.pipeline.tuned import FILE as TUNED
from tutelage.pipeline.tuned import TunedFrom
from tutelage.recipe.model import ModelSection
from tutelage.runs import RunDirectory, read_state


@dataclass(frozen=True, slots=True)
class Source:
    """A model of a run, or what ``tutelage tune`` made of rows of one's own.

    ``weights`` None is the start. ``start`` is the starting model as it was loaded then; None where that was not
    recorded. ``run`` or ``tuned`` says where the model comes from.
    """

    name: str
    label: str
    model: ModelSection
    template: Path | None
    weights: Path | None
    start: ModelOrigin | None
    run: RunDirectory | None = None
    tuned: TunedFrom | None = None

    @property
    def is_adapter(self) -> bool:
        """Whether the weights are an adapter, and not a whole model or the start itself."""
        return self.weights is not None and not (self.weights / MODEL_CONFIG).is_file()

    @property
    def is_virtual(self) -> bool:
        """Whether they are virtual tokens, of prefix or prompt tuning, which are in no weight. Raises ModelError."""
        return self.weights is not None and self.is_adapter and adapter_config(self.weights).is_prompt_learning


def find_source(folder: Path, *, round: int | None, start: bool) -> Source:
    """Return what ``folder`` holds: of a run the promoted model, a round's or the start; else a tuning's weights.

    Raises
    ------
    RunError: it is neither a run nor a tuning, is not finished so far, promoted nothing, or is a reward model.
    """
    if (folder / "recipe.json").is_file():
        return _of_run(RunDirectory.open(folder), round=round, start=start)
    for place in (folder, folder / "tune"):  # a recipe with tune.data is tuned inside its run's folder
        if (place / TUNED).is_file():
            if round is not None or start:
                asked = "--start" if start else f"--round {round}"
                raise RunError("a tuning has no rounds", where=str(folder), received=asked, remedy="leave it out")
            return _of_tuning(place)
    raise RunError("there is neither a run nor a tuning here", where=str(folder), remedy=_look_elsewhere(folder))


def _of_run(run: RunDirectory, *, round: int | None, start: bool) -> Source:
    recipe, best = run.recipe, run.best
    template = template_of(recipe.model, recipe.folder)
    if start:
        label, weights = "start", None
    elif round is not None:
        label, weights = f"round {round}", run.round(round) / "tune" / "weights"
        if run.state(f"rounds/{round}/tune") is None:
            raise RunError(
                f"round {round} has no weights yet", where=str(run.path), received=_standing(run), remedy=_choice(run)
            )
    elif best.weights is not None:
        label, weights = f"round {best.round}", run.path / best.weights
    else:
        raise RunError(
            "this run has promoted no model" if run.finished else "this run is not finished, and promoted no model yet",
            where=str(run.path),
            received=_standing(run),
            remedy=_choice(run),
        )
    return Source(recipe.name, label, recipe.model, template, weights, run.model, run=run)


def _of_tuning(folder: Path) -> Source:
    tuned = read_state(folder / TUNED, TunedFrom)
    if tuned.tune.objective.kind == "reward":
        raise RunError(
            "a reward model is not exported: what is written, compared and served here are language models",
            where=str(folder),
            received="objective reward",
            remedy=f"{folder / 'weights'} is what AutoModelForSequenceClassification (num_labels=1) or PEFT on it "
            "loads; score pairs with: tutelage score",
        )
    name = folder.resolve().parent.name if folder.name == "tune" else folder.resolve().name
    return Source(
        name, "tuned", tuned.model, template_of(tuned.model, folder), folder / "weights", tuned.start, tuned=tuned
    )


def _rounds(run: RunDirectory) -> list[int]:
    return sorted(int(file.parts[-3]) for file in run.path.glob("rounds/[1-9]*/tune/stage.json"))


def _standing(run: RunDirectory) -> str:
    rounds = _rounds(run)
    return f"weights of round {', '.join(map(str, rounds))}" if rounds else "no weights of any round"


def _choice(run: RunDirectory) -> str:
    go_on = "" if run.finished else "finish it with: tutelage run; or "
    if rounds := _rounds(run):
        return f"{go_on}take a candidate with --round {rounds[-1]}, or the untuned model with --start --merged"
    return f"{go_on}take the untuned model with --start --merged"


def _look_elsewhere(folder: Path) -> str:
    if not folder.is_dir():
        return "check the path; list the runs with: tutelage runs"
    if (folder / "summary.json").is_file() and (folder / "weights").is_dir():
        return f"it does not say what it was tuned from ({TUNED}); the same tutelage tune command again writes that"
    if (folder / "adapter_config.json").is_file() or (folder / MODEL_CONFIG).is_file():
        return "these are weights already; give the folder of the run or the tuning that they were made in"
    inside = sorted(entry.parent for entry in folder.glob("*/recipe.json"))
    if inside:
        return f"give one of the runs in it, for example {inside[0]}"
    return "give a run's folder, or what tutelage tune wrote; list the runs with: tutelage runs"
