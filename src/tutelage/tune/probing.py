"""What the model that is being tuned answers between two steps to items that it never learns from, and how well."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tutelage.completers.local import LocalCompleter
from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.records import Answer, Item, Level, Request, Sampling, Verdict, content_id
from tutelage.tune.methods import Tuned
from tutelage.tune.policy import Reward

REMEDY = "choose a smaller tune.early_stopping.answers_at_once or a smaller model"


@dataclass(frozen=True, slots=True)
class Probe:
    """``items`` that are asked while a model is tuned, and never learned from; ``reward`` scores the answers."""

    items: Sequence[Item]
    reward: Reward

    @property
    def identity(self) -> str:
        """What decides the scores beside the weights."""
        return content_id([item.to_json() for item in self.items], self.reward.identity)


@dataclass(frozen=True, slots=True)
class Scores:
    """What one set of weights came to on the items of a probe; see :class:`tutelage.tune.Look`."""

    score: float
    answers: int
    unscored: int
    ended: float
    seconds: float


class Prober:
    """Asks the model that is being tuned, with all that is trained in it, on the engine that scores are made with.

    Made before the first step and before attention is replaced. Answers are greedy: equal weights give equal scores.

    Raises
    ------
    ModelError: the decoder cannot compute exactly what this model computes.
    """

    def __init__(self, bundle: Bundle, tuned: Tuned, probe: Probe, section: EarlyStoppingSection) -> None:
        self._probe = probe
        self._sampling = Sampling(temperature=0.0, max_tokens=section.max_tokens)
        tuned_bundle = replace(bundle, model=tuned.model)
        self._completer = LocalCompleter(tuned_bundle, batch_size=section.answers_at_once, remedy=REMEDY)

    def __call__(self) -> Scores:
        """Return what the weights of the moment come to.

        Raises
        ------
        TrainingError: no answer has a score. CompletionError: the memory does not suffice to decode.
        """
        began, items = time.perf_counter(), self._probe.items
        requests = [Request(id=item.id, messages=item.messages, sampling=self._sampling) for item in items]
        found = {answer.request_id: answer for answer in self._completer.complete(requests)}
        answers = [found[item.id] for item in items]
        verdicts = self._probe.reward.score(items, answers)
        return _scores(items, answers, verdicts, seconds=time.perf_counter() - began)


def prober_of(section: EarlyStoppingSection | None, bundle: Bundle, tuned: Tuned, probe: Probe | None) -> Prober | None:
    """Return who asks what early stopping wants to know; None without it.

    Raises
    ------
    TrainingError: there is nothing to ask. And what :class:`Prober` raises.
    """
    if section is None:
        return None
    if probe is None or not probe.items:
        what = "nothing is there to ask the model while it is tuned"
        raise TrainingError(what, where="tune.early_stopping", remedy="give train a probe with items")
    return Prober(bundle, tuned, probe, section)


def _scores(items: Sequence[Item], answers: Sequence[Answer], verdicts: Sequence[Verdict], *, seconds: float) -> Scores:
    cells: dict[tuple[str, Level], list[float]] = {}
    for item, verdict in zip(items, verdicts, strict=True):
        if verdict.score is not None:
            cells.setdefault((item.dimension, item.level), []).append(verdict.score)
    if not cells:
        raise TrainingError(
            "no answer to the probe items could be scored",
            where="tune.early_stopping",
            received=f"the first of {len(verdicts)} reasons: {verdicts[0].reason}",
            remedy="look at the check of these tasks",
        )
    return Scores(
        score=fmean(map(fmean, cells.values())),
        answers=len(items),
        unscored=len(items) - sum(map(len, cells.values())),
        ended=fmean(answer.ended for answer in answers),
        seconds=seconds,
    )
