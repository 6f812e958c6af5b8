"""Trackers listen to the events of a run, where the recipe asks for them (:mod:`tutelage.pipeline.sinks`).

| event | what is passed on | counted by |
|---|---|---|
| ``step`` | ``tune/loss``, ``lr``, ``grad_norm``, ``tokens_per_second``, ``retention``, what is told besides | step |
| ``look`` | ``tune/probe`` | step |
| ``scores`` | ``scores/<split>``, of rivals ``scores/<split>/<label>`` | round |
| ``verdict`` | ``gate/promoted`` (1, 0, or −1 where it was rejected), and the words | round |

In a run of several rounds the names of a step begin with the round. Nothing is imported or sent unless a recipe has
``trackers``. A tracker that fails on the way is let go with a note: it is no reason to lose a training.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tutelage.completers.endpoints.address import is_loopback, public_address
from tutelage.errors import RunError
from tutelage.events import Emit, Event, silent
from tutelage.files import read_text, write_atomic
from tutelage.pipeline.sinks import Measures, Mlflow, Sink, TensorBoard, Trackio, Wandb
from tutelage.recipe import Recipe
from tutelage.recipe.trackers import MlflowTracker, TensorBoardTracker, Tracker, TrackioTracker, WandbTracker

STEP = ("loss", "lr", "grad_norm", "retention")
PROMOTED = {"promoted": 1.0, "inconclusive": 0.0, "rejected": -1.0}


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
            return Measures(
                round or 0, {f"scores/{split}" if of_loop else f"scores/{split}/{label}": macro}, by="round"
            )
        case "verdict":
            promoted = {"gate/promoted": PROMOTED[str(data["outcome"])]}
            return Measures(round or 0, promoted, {"gate": str(data["text"])}, by="round")
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
            stack.callback(_close, sink, emit)
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
                _say_fault(sink, error, emit)

    return listen


def _close(sink: Sink, emit: Emit) -> None:
    try:
        sink.close()
    except sink.faults as error:
        _say_fault(sink, error, emit)


def _say_fault(sink: Sink, error: Exception, emit: Emit) -> None:
    text = f"{sink.name} fails and is told no more: {str(error).splitlines()[0]}"
    emit(Event("note", data={"text": text}))


def _open(section: Tracker, recipe: Recipe, folder: Path, *, offline: bool) -> Sink:
    match section:
        case TensorBoardTracker():
            place = folder / "tensorboard" if section.path is None else recipe.folder / section.path
            return TensorBoard(place)
        case MlflowTracker():
            parts = urlsplit(section.uri)
            on_machine = parts.scheme in ("sqlite", "file") or is_loopback(parts.hostname or "")
            _check_place(on_machine or not offline, public_address(section.uri))
            return Mlflow(section, name=recipe.name, identity=_identity(folder))
        case WandbTracker():
            _check_place(not (section.online and offline), "wandb with online: true")
            return Wandb(section, folder, name=recipe.name, identity=_identity(folder))
        case TrackioTracker():
            return Trackio(section, name=recipe.name, identity=_identity(folder))


def _check_place(allowed: bool, received: str) -> None:
    if not allowed:
        remedy = "leave --offline out, or take a tracker on this machine"
        raise RunError("this tracker is not on this machine", where="trackers", received=received, remedy=remedy)


def _identity(folder: Path) -> str:
    """Return the name by which trackers know the run in ``folder``: drawn once, kept there."""
    kept = folder / "tracked"
    if not kept.exists():
        write_atomic(kept, secrets.token_hex(8) + "\n")
    return read_text(kept).strip()
