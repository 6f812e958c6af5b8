"""The model that is being tuned as the one that answers: between two steps it is asked, and its answers are scored.

It is sampled by the project's own decoder, which borrows it from the training network with its adapters on. Sampler and
trainer compute the same by different ways, and what is learned from an answer is only right as far as they agree: so
the log-probability of every sampled token is read by both, and their gap is told with each step.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tutelage.completers.decoding import Row as Decoded
from tutelage.completers.decoding import check_model
from tutelage.completers.local import in_words
from tutelage.completers.preparation import Prompt, answered
from tutelage.completers.workers import decode
from tutelage.errors import TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.recipe.grpo import GrpoObjective
from tutelage.records import Answer, Item, Request, Sampling, Verdict
from tutelage.seeds import derive_seed, stream
from tutelage.tune.methods import Tuned
from tutelage.tune.rollouts import RolloutLog, Sampled
from tutelage.tune.rows import Asked, Row
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.losses import PositionLoss
from tutelage.tune.training.network import Network
from tutelage.tune.training.parts import in_parts

Reward = Callable[[Sequence[Item], Sequence[Answer]], Sequence[Verdict]]
"""Scores answers to items: what it cannot score has no score, which is not a zero."""


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
        check_model(tuned.model)
        self._bundle, self._reward, self._log, self._seed = replace(bundle, model=tuned.model), reward, log, seed
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
        section, bundle = self.section, self._bundle
        asked = [prompt for prompt in wanted for _ in range(section.group)]
        sampling = Sampling(temperature=section.temperature, max_tokens=section.max_tokens)
        prompts = []
        for at, one in enumerate(asked):
            seed = derive_seed(self._seed, "answer", number, one.item.id, at % section.group)
            request = Request(id=str(at), messages=one.item.messages, sampling=sampling, seed=seed)
            prompts.append(Prompt(request, tuple(one.prompt.ids.tolist()), sampling))
        rows = [Decoded(at, prompt.ids, sampling, prompt.request.seed) for at, prompt in enumerate(prompts)]
        slots = section.answers_at_once
        done = decode(bundle.model, rows, slots=slots, end_ids=bundle.template.end_ids, logprobs=True)
        remedy = "choose a smaller objective.answers_at_once or a smaller model"
        rows = sorted(in_words(done, slots, remedy), key=lambda row: row.index)
        answers = [
            answered(prompt, row.tokens, stopped=row.stopped, template=bundle.template, tokenizer=bundle.tokenizer)
            for prompt, row in zip(prompts, rows, strict=True)
        ]
        verdicts = self._reward([one.item for one in asked], answers)
        if all(verdict.score is None for verdict in verdicts):
            what = f"the first of {len(verdicts)} reasons: {verdicts[0].reason}"
            raise TrainingError("no answer could be scored", received=what, remedy="look at the check of these tasks")
        documents = [behind(one.prompt, _tokens(row)) for one, row in zip(asked, rows, strict=True)]
        read = _read(documents, network, limit, section.temperature)
        found = [
            Sampled(
                run=self._log.run,
                rollout=number,
                wave=wave,
                of=len(asked),
                prompt=one.item.id,
                seed=answer.seed,
                answer=answer.text,
                reasoning=answer.reasoning,
                ended=answer.ended,
                reward=verdict.score,
                reason=verdict.reason,
                entropy=_short(values[:, 2].mean()[None])[0],
                tokens=_tokens(row),
                sampler=_short(torch.tensor(row.logprobs)),
                trainer=_short(values[:, 0]),
                old=() if section.temperature == 1 else _short(values[:, 1]),
            )
            for one, row, answer, verdict, values in zip(asked, rows, answers, verdicts, read, strict=True)
        ]
        self._log.add(found)
        return found

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
            read = iter(_read(documents, network, limit, self.section.temperature))
        return {
            place: [Answered(one.sampled, one.document, next(read)[:, 1]) for one in group]
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


def behind(prompt: Encoded, tokens: Sequence[int]) -> Encoded:
    """Return the document of a prompt and the tokens of an answer, which are its targets."""
    ids = np.concatenate([prompt.ids, np.asarray(tokens, dtype=np.int32)])
    return Encoded(ids, np.arange(len(ids)) >= len(prompt))


@dataclass(frozen=True, slots=True)
class Readings(PositionLoss):
    """No loss, but what is read at every position without a gradient, float32 (n, 3): log p of the target at
    temperature 1, the same at ``temperature``, and the entropy of that distribution, in nats."""

    targets: Tensor
    temperature: float

    def __call__(self, logits: Tensor, at: slice) -> Tensor:
        """Return the readings."""
        targets, plain = self.targets[at][:, None], logits.log_softmax(-1)
        drawn = plain if self.temperature == 1 else (logits / self.temperature).log_softmax(-1)
        entropy = torch.special.entr(drawn.exp()).sum(-1, keepdim=True)
        return torch.cat([plain.gather(1, targets), drawn.gather(1, targets), entropy], dim=1)


def _read(documents: Sequence[Encoded], network: Network, limit: int, temperature: float) -> list[Tensor]:
    """The readings (n, 3) of each document."""

    @torch.no_grad()
    def compute(part: Sequence[Encoded]) -> list[Tensor]:
        predictions = network.predict(network.pack(part))
        values = predictions.losses(Readings(predictions.targets, temperature)).cpu()
        return list(torch.split(values, [target_count(document) for document in part]))

    return [values for _, found in in_parts(documents, limit, compute) for values in found]


def _tokens(row: Decoded) -> tuple[int, ...]:
    return (*row.tokens, row.end) if row.end is not None else tuple(row.tokens)


def _short(values: Tensor) -> tuple[float, ...]:
    """Numbers with no more digits than it takes to tell float32 apart."""
    return tuple(float(str(value)) for value in values.float().numpy())


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
