"""Early stopping (Prechelt 1998) by the answers of the weights, not by a loss: an object that the loop asks whether to
go on, beside the watchdog.

The best weights have a place of their own, ``best/<steps>-<fingerprint>/``. They are there before the look that found
them is in ``looks.jsonl``, and older ones go only after it is: whatever a kill leaves, the weights of the best look of
the log are on the disk. What is in the log is not asked again.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from tutelage.errors import RunError
from tutelage.files import atomic_folder
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.records.jsonl import RecordLog, write_records
from tutelage.tune.probing import Scores
from tutelage.tune.training.checkpoint import REMEDY, write_tensors
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.progress import Look, Stopping

FILE = "looks.jsonl"
BEST = "best"
WEIGHTS = "weights.safetensors"
ROUNDING = 1e-9
"""By which a rise may fall short: 0.6 − 0.5 is a little less than 0.1."""


class Patience:
    """Hears scores in order. ``best`` is the place of the highest, the earliest of equal ones; ``is_over`` once there
    was no rise ``patience`` times on end."""

    def __init__(self, patience: int, min_delta: float) -> None:
        self._patience, self._min_delta = patience, min_delta
        self.best = 0
        self._highest = self._risen = float("-inf")
        self._heard = self._without = 0

    def hear(self, score: float) -> None:
        """Take the next score."""
        if score > self._highest:
            self._highest, self.best = score, self._heard
        if score > self._risen and score - self._risen >= self._min_delta - ROUNDING:
            self._risen, self._without = score, 0
        else:
            self._without += 1
        self._heard += 1

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be hoped for."""
        return self._without >= self._patience


class Looks:
    """The looks at the weights of one training of ``steps`` steps, ``made`` of which a checkpoint brought along; none
    without a section. ``ask`` gives the scores of the weights of the moment.

    Raises
    ------
    RunError: the looks up to the checkpoint are gone, or the weights of the best. DataError: a line is no look.
    StorageError: the disk refuses.
    """

    def __init__(
        self,
        section: EarlyStoppingSection | None,
        folder: Path,
        *,
        fingerprint: str,
        steps: int,
        made: int,
        ask: Callable[[], Scores] | None,
    ) -> None:
        self._run, self._steps, self._ask = fingerprint, steps, ask
        self._every = section.every if section is not None else 0
        self._log, self._folder = RecordLog(folder / FILE, Look), folder / BEST
        self._seen: list[Look] = []
        self._known: dict[int, Look] = {}
        if section is None:
            return
        self._patience = Patience(section.patience, section.min_delta)
        self._read()
        for step in range(made + 1 if made else 0):
            if self._is_due(step):
                self._see(self._from_before(step))
        if self._seen and self._may_be_kept(self._best.step):
            raise RunError("the best weights are gone", where=str(self._place(self._best.step)), remedy=REMEDY)

    def after(self, step: int, optimizer: Optimizer) -> Iterator[Look]:
        """Yield the look at the weights after ``step`` steps, if one is due; the best weights are kept before.

        Raises
        ------
        StorageError: the disk refuses. And what ``ask`` raises.
        """
        if not self._is_due(step):
            return
        assert self._ask is not None
        look = self._known.get(step) or self._new(step, self._ask())
        if look.best == step and self._may_be_kept(step):
            with atomic_folder(self._place(step)) as partial:
                write_tensors(partial / WEIGHTS, optimizer.weights())
        if step not in self._known:
            self._log.append(look)
        self._see(look)
        self._clear(keep=look.best)
        yield look

    def go_on(self, step: int) -> bool:
        """Whether another step may be made after ``step`` of them."""
        return step < self._steps and not (self._seen and self._patience.is_over)

    def put_back(self, optimizer: Optimizer, made: int) -> Stopping | None:
        """Give the model the best weights that were seen in ``made`` steps, and say which; None if nobody looked.

        Raises
        ------
        RunError: they are damaged.
        """
        if not self._seen:
            return None
        best = self._best
        if best.step != made:
            place = self._place(best.step) / WEIGHTS
            try:
                optimizer.take(load_file(place))
            except (SafetensorError, OSError, KeyError) as error:
                raise RunError("the best weights are damaged", where=str(place), remedy=REMEDY) from error
        return Stopping(
            kept=best.step,
            score=best.score,
            planned=self._steps,
            why="patience" if made < self._steps else "steps",
            looks=tuple(self._seen),
        )

    @property
    def _best(self) -> Look:
        return self._seen[self._patience.best]

    def _is_due(self, step: int) -> bool:
        return bool(self._every) and (step % self._every == 0 or step == self._steps)

    def _read(self) -> None:
        """Take the looks of this training from the log, and remove those of others with their weights."""
        found = self._log.load()
        self._known = {look.step: look for look in found if look.run == self._run}
        if len(self._known) < len(found):
            write_records(self._log.path, self._known.values())
        own = {self._place(step).name for step in self._known}
        for place in self._folder.glob("*"):
            if place.name not in own:
                shutil.rmtree(place, ignore_errors=True)

    def _from_before(self, step: int) -> Look:
        if step not in self._known:
            what = "a look from before the checkpoint is not there"
            raise RunError(what, where=str(self._log.path), received=f"none at step {step}", remedy=REMEDY)
        return self._known[step]

    def _new(self, step: int, scores: Scores) -> Look:
        return Look(
            run=self._run,
            step=step,
            score=scores.score,
            answers=scores.answers,
            unscored=scores.unscored,
            ended=scores.ended,
            best=self._best.step if self._seen and scores.score <= self._best.score else step,
            seconds=scores.seconds,
        )

    def _see(self, look: Look) -> None:
        self._seen.append(look)
        self._patience.hear(look.score)

    def _may_be_kept(self, step: int) -> bool:
        """Not where these weights, or better ones of later steps, are there from before a kill."""
        return not any(self._place(known.best).exists() for known in self._known.values() if known.best >= step)

    def _clear(self, keep: int) -> None:
        """Remove weights from before step ``keep``."""
        for place in self._folder.glob("[0-9]*"):
            if place.name < self._place(keep).name:
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, step: int) -> Path:
        return self._folder / f"{step:06d}-{self._run}"
