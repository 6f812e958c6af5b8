"""Groups of answers of the model that is being tuned: between two steps it is asked, and its answers are scored."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.grpo import GrpoObjective
from tutelage.records import Answer, Item, Sampling, Verdict
from tutelage.seeds import derive_seed, stream
from tutelage.tune.methods import Tuned
from tutelage.tune.rollouts import RolloutLog, Sampled
from tutelage.tune.rows import Asked, Row
from tutelage.tune.sampling import Question, Sampler, behind, read
from tutelage.tune.training.network import Network


@dataclass(frozen=True, slots=True)
class Reward:
    """``score`` scores answers to items: what it cannot score has no score, which is not a zero. ``identity``: what
    decides the scores beside items and answers, such as the code of a check; with another one a training is another."""

    score: Callable[[Sequence[Item], Sequence[Answer]], Sequence[Verdict]]
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer as a step learns from it: its tokens behind the prompt, and log p of each before the first step (n),
    float32, at the temperature of sampling; None where nothing refers to it."""

    sampled: Sampled
    document: Encoded
    first: Tensor | None = None

    @property
    def old(self) -> Tensor:
        """Log p of each token when it was sampled, as the trainer has it, at the temperature of sampling (n)."""
        return torch.tensor(self.sampled.old or self.sampled.trainer, dtype=torch.float32)


@dataclass(frozen=True, slots=True)
class Rollout:
    """The groups of answers that stand for the prompts of a step, by the id of the prompt; all answers that were
    ``sampled`` for it; and the ``seconds`` that sampling took, 0 where they were there already."""

    number: int
    groups: Mapping[str, Sequence[Answered]]
    sampled: Sequence[Sequence[Sampled]]
    seconds: float


def tells_nothing(group: Sequence[Sampled]) -> bool:
    """Whether all scored answers of a group have one reward."""
    return len({one.reward for one in group if one.reward is not None}) < 2


class Policy:
    """Samples groups of answers from the model that is being tuned, and scores them."""

    def __init__(self, section: GrpoObjective) -> None:
        self.section = section
        self._last: Rollout | None = None

    def begin(
        self,
        bundle: Bundle,
        tuned: Tuned,
        rows: Sequence[Row],
        *,
        reward: Reward | None,
        log: RolloutLog,
        seed: int,
    ) -> None:
        """Take the model with all that is trained in it, before the first step and before attention is replaced.

        Raises
        ------
        TrainingError: there is nobody to score the answers.
        ModelError: the decoder cannot compute exactly what this model computes.
        """
        if reward is None:
            raise TrainingError("nobody scores the answers", remedy="give train a reward")
        remedy = "choose a smaller objective.answers_at_once or a smaller model"
        self._sampler = Sampler(bundle, tuned, log, at_once=self.section.answers_at_once, remedy=remedy)
        self._reward, self._log, self._seed = reward, log, seed
        self._prompts = [row for row in rows if isinstance(row, Asked)]
        trained = tuned.parameters.values() if self.section.kl else ()
        self._first = [(parameter, parameter.detach().clone()) for parameter in trained]

    def roll(self, step: int, prompts: Sequence[Asked], network: Network, limit: int) -> Rollout:
        """Return the answers from which a step, counted from 0, learns; ``limit`` tokens are read at once."""
        number = step // self.section.updates
        if self._last is None or self._last.number != number:
            self._last = self._roll(number, prompts, network, limit)
        return self._last

    def _roll(self, number: int, prompts: Sequence[Asked], network: Network, limit: int) -> Rollout:
        """Sample wave after wave, until every prompt of the step stands for a group that tells something."""
        began, fresh = time.perf_counter(), False
        groups: dict[str, tuple[Asked, list[Sampled]]] = {}
        everything: list[list[Sampled]] = []
        ids = {prompt.item.id for prompt in prompts}
        others = [prompt for prompt in self._prompts if prompt.item.id not in ids]
        stream(self._seed, "others", number).shuffle(others)
        wanted, open_places = list(prompts), [prompt.item.id for prompt in prompts]
        for wave in range(1 + self.section.dynamic_sampling):
            found = self._log.wave(number, wave)
            if not found:
                found, fresh = self._sample(number, wave, wanted, network, limit), True
            size = self.section.group
            sampled = [found[at : at + size] for at in range(0, len(found), size)]
            everything += sampled
            if wave == 0:
                groups = dict(zip(open_places, zip(wanted, sampled, strict=True), strict=True))
            else:
                telling = [pair for pair in zip(wanted, sampled, strict=True) if not tells_nothing(pair[1])]
                groups |= dict(zip(open_places, telling, strict=False))
            open_places = [place for place, (_, group) in groups.items() if tells_nothing(group)]
            wanted, others = others[: len(open_places)], others[len(open_places) :]
            if not wanted:
                break
        seconds = time.perf_counter() - began if fresh else 0.0
        return Rollout(number, self._as_learned(groups, network, limit), everything, seconds)

    def _sample(self, number: int, wave: int, wanted: Sequence[Asked], network: Network, limit: int) -> list[Sampled]:
        """Ask, score, read and keep: the answers of a wave, those to one prompt one after another.

        Raises
        ------
        TrainingError: no answer has a score; none is kept, for the next attempt may find the check at work.
        CompletionError: the memory does not suffice to decode.
        """
        sampling = Sampling(temperature=self.section.temperature, max_tokens=self.section.max_tokens)
        asked = [(prompt, at) for prompt in wanted for at in range(self.section.group)]
        questions = [
            Question(
                id=one.item.id,
                prompt=one.prompt,
                sampling=sampling,
                seed=derive_seed(self._seed, "answer", number, one.item.id, at),
                messages=one.item.messages,
            )
            for one, at in asked
        ]

        def score(answers: Sequence[Answer]) -> Sequence[Verdict]:
            verdicts = self._reward.score([one.item for one, _ in asked], answers)
            if all(verdict.score is None for verdict in verdicts):
                what = f"the first of {len(verdicts)} reasons: {verdicts[0].reason}"
                raise TrainingError(
                    "no answer could be scored", received=what, remedy="look at the check of these tasks"
                )
            return verdicts

        return self._sampler.sample(questions, network, limit, rollout=number, wave=wave, score=score)

    def _as_learned(
        self, groups: Mapping[str, tuple[Asked, Sequence[Sampled]]], network: Network, limit: int
    ) -> dict[str, list[Answered]]:
        """The groups with their tokens, and with log p before the first step where something refers to it."""
        found = {
            place: [Answered(one, behind(asked.prompt, one.tokens)) for one in sampled]
            for place, (asked, sampled) in groups.items()
        }
        if not self.section.kl:
            return found
        documents = [one.document for group in found.values() for one in group]
        with self._as_it_began():
            readings = iter(read(documents, network, limit, self.section.temperature))
        return {
            place: [Answered(one.sampled, one.document, next(readings)[:, 1]) for one in group]
            for place, group in found.items()
        }

    @contextmanager
    def _as_it_began(self) -> Iterator[None]:
        """Give the trained weights the values that they had before the first step, while the context lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for parameter, other in self._first:
            parameter.data, other.data = other.data, parameter.data


def facts_of(rollout: Rollout, *, first: bool) -> dict[str, float]:
    """Return what is told of all answers that were sampled for a step; ``first``: of the steps that learn from them.

    ``reward`` and ``reward_std`` (inside a group) are means, ``silent`` is the share of groups that tell nothing,
    ``unscored`` and ``ended`` are shares of the answers, ``length`` and ``entropy`` means of answers and tokens.
    ``gap`` is the mean, ``gap_max`` the largest absolute difference of log p between trainer and sampler, and
    ``gap_ratio`` the mean ratio of the probabilities.
    """
    answers = [one for group in rollout.sampled for one in group]
    rewards = [[one.reward for one in group if one.reward is not None] for group in rollout.sampled]
    scored = [reward for group in rewards for reward in group]
    trainer = np.concatenate([one.trainer for one in answers])
    moved = trainer - np.concatenate([one.sampler for one in answers])
    tokens = [len(one.tokens) for one in answers]
    inside = [float(np.std(group, ddof=1)) for group in rewards if len(group) > 1]
    return {
        "reward": float(np.mean(scored)),
        "reward_std": float(np.mean(inside)) if inside else 0.0,
        "silent": sum(map(tells_nothing, rollout.sampled)) / len(rollout.sampled),
        "unscored": 1 - len(scored) / len(answers),
        "ended": sum(one.ended for one in answers) / len(answers),
        "length": sum(tokens) / len(answers),
        "entropy": float(np.average([one.entropy for one in answers], weights=tokens)),
        "gap": float(np.abs(moved).mean()),
        "gap_max": float(np.abs(moved).max()),
        "gap_ratio": float(np.exp(moved).mean()),
        "sampled_tokens": float(sum(tokens)) if first else 0.0,
        "sampling_s": rollout.seconds if first else 0.0,
    }
