"""A training that diverges is stopped in words, with the last checkpoint from before it.

What is not finite is refused at once (:mod:`tutelage.tune.training.step`); this is about numbers that are finite and
hopeless. The rules are our own: distance from the best running mean, not from a forecast, as a noisy loss that falls
again within ``patience`` steps is no divergence.
"""

from collections.abc import Callable, Sequence
from statistics import fmean, median

from tutelage.errors import TrainingError
from tutelage.recipe.watchdog import WatchdogSection
from tutelage.tune.training.progress import Step

FEWEST = 5
"""Norms that a median is made of at least."""


class Watchdog:
    """Looks at the steps of one training, in order; what it thinks of one depends on it and those before alone, so a
    resumed training is judged as an uninterrupted one."""

    def __init__(self, section: WatchdogSection) -> None:
        self._section = section
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._best = float("inf")
        self._bad = 0

    def look(self, step: Step) -> bool:
        """Return whether all is well at ``step``; while it is not, no checkpoint should be made.

        Raises
        ------
        TrainingError: it has not been well for ``patience`` steps.
        """
        trouble = self._trouble(step)
        self._bad = self._bad + 1 if trouble else 0
        if self._bad >= self._section.patience:
            last_good = step.step - self._bad
            raise TrainingError(
                f"the training diverges: {trouble}, and so it was for {self._bad} steps",
                where=f"step {step.step}",
                received=f"learning rate {step.lr:.2g}",
                remedy="lower the learning rate (tune.optimizer.lr), to a tenth first, or clip the gradient "
                "(tune.clip_norm), and begin in another folder; of this one the last checkpoint up to step "
                f"{last_good} is kept",
            )
        return not trouble

    def _trouble(self, step: Step) -> str:
        """What is wrong at ``step``; empty if nothing is."""
        section = self._section
        self._losses = [*self._losses, step.loss][-section.window :]
        usual = median(self._norms) if len(self._norms) >= FEWEST else None
        self._norms.append(step.grad_norm)
        if len(self._losses) < section.window:
            running = None
        else:
            running = fmean(self._losses)
            self._best = min(self._best, running)
        if running is not None and running > self._best + section.rise:
            return f"the loss of the last {section.window} steps is {running:.3g}, and was {self._best:.3g} at best"
        if usual and step.grad_norm > section.gradient * usual:
            return f"the gradient's norm is {step.grad_norm:.3g}, {step.grad_norm / usual:.0f} times what was usual"
        return ""


def watch(section: WatchdogSection | None, history: Sequence[Step]) -> Callable[[Step], bool]:
    """Return :meth:`Watchdog.look` of a training that ``history`` is behind; without one all is well."""
    if section is None:
        return _all_is_well
    watchdog = Watchdog(section)
    for step in history:
        watchdog.look(step)
    return watchdog.look


def _all_is_well(step: Step) -> bool:
    return True
