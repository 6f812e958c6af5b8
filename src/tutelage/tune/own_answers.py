"""On-policy distillation: which rows of a step the student answers itself, and what it answers.

One draw a row instead of one a step (GKD, Agarwal et al. 2024, algorithm 1): the share is the same on average, and
differs less from step to step.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.objectives import KdObjective
from tutelage.records import Sampling
from tutelage.seeds import derive_seed, stream
from tutelage.tune.methods import Tuned
from tutelage.tune.reference import key_of
from tutelage.tune.rollouts import RolloutLog, Sampled
from tutelage.tune.sampling import Question, Sampler, behind
from tutelage.tune.training.network import Network

AT_ONCE = 64
"""Answers that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class Given:
    """The answers of a step behind their prompts, by :func:`key_of` of the rows in whose place they stand; what was
    ``sampled``; and the ``seconds`` that it took, 0 where the answers were there already."""

    documents: Mapping[str, Encoded]
    sampled: Sequence[Sampled]
    seconds: float


class OwnAnswers:
    """Lets the student answer the prompts of some rows; prompt and answer are at most ``longest`` tokens together."""

    def __init__(self, section: KdObjective, longest: int) -> None:
        self.section, self._longest = section, longest

    def begin(self, bundle: Bundle, tuned: Tuned, *, log: RolloutLog, seed: int) -> None:
        """Take the model with all that is trained in it, before the first step and before attention is replaced.

        Raises
        ------
        ModelError: the decoder cannot compute exactly what this model computes.
        """
        remedy = "lower tune.batch_size, or take a smaller model"
        self._sampler, self._log, self._seed = Sampler(bundle, tuned, log, at_once=AT_ONCE, remedy=remedy), log, seed
        self._room = min(self._longest, bundle.context or self._longest)

    def of_step(self, step: int, rows: Sequence[Encoded], network: Network, limit: int) -> Given:
        """Return the answers from which a step, counted from 0, learns; ``limit`` tokens are read at once.

        Whether a row is answered, and the seed of its answer, depend on the seed, the step and the row alone.
        """
        began = time.perf_counter()
        prompts = {key: prompt_of(row) for row in rows if self._is_asked(step, key := key_of(row))}
        if not prompts:
            return Given({}, (), 0.0)
        found, fresh = self._log.wave(step, 0), False
        if not found:
            questions = [self._question(step, key, prompt) for key, prompt in prompts.items()]
            found, fresh = self._sampler.sample(questions, network, limit, rollout=step), True
        documents = {one.prompt: behind(prompts[one.prompt], one.tokens) for one in found}
        return Given(documents, found, time.perf_counter() - began if fresh else 0.0)

    def _is_asked(self, step: int, key: str) -> bool:
        return stream(self._seed, "asked", step, key).random() < self.section.on_policy

    def _question(self, step: int, key: str, prompt: Encoded) -> Question:
        sampling = Sampling(
            temperature=self.section.answer_temperature,
            max_tokens=min(self.section.answer_tokens, self._room - len(prompt)),
        )
        return Question(id=key, prompt=prompt, sampling=sampling, seed=derive_seed(self._seed, "answer", step, key))


def prompt_of(row: Encoded) -> Encoded:
    """Return what stands before the last turn of a row that is to be predicted, without targets."""
    others = np.flatnonzero(~row.targets[: np.flatnonzero(row.targets)[-1]])
    end = int(others[-1]) + 1
    return Encoded(row.ids[:end], np.zeros(end, dtype=np.bool_))


def facts_of(given: Given, *, rows: int) -> dict[str, float]:
    """Return what is told of the answers to some of the ``rows`` of a step.

    ``sampled`` is the share of rows that were answered and ``cut_off`` that of rows whose answer did not end;
    ``gap_max`` is the largest absolute difference of log p between trainer and sampler, 0 if nothing was sampled.
    """
    moved = [np.subtract(one.trainer, one.sampler) for one in given.sampled]
    return {
        "sampled": len(given.sampled) / rows,
        "cut_off": sum(not one.ended for one in given.sampled) / rows,
        "gap_max": float(np.abs(np.concatenate(moved)).max()) if moved else 0.0,
        "sampled_tokens": float(sum(len(one.tokens) for one in given.sampled)),
        "sampling_s": given.seconds,
    }
