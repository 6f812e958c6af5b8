"""The model that is being tuned as the one that answers: between two steps it is asked, and its answers are kept.

It is sampled by the project's own decoder, which borrows it from the training network with its adapters on. Sampler and
trainer compute the same by different ways, and what is learned from an answer is only right as far as they agree: so
the log-probability of every sampled token is read by both, and their gap is told with each step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tutelage.completers.decoding import Row as Decoded
from tutelage.completers.decoding import check_model
from tutelage.completers.local import in_words
from tutelage.completers.preparation import Prompt, answered
from tutelage.completers.workers import decode
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.records import Answer, Conversation, Request, Sampling, Verdict
from tutelage.tune.methods import Tuned
from tutelage.tune.rollouts import RolloutLog, Sampled
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.losses import PositionLoss
from tutelage.tune.training.network import Network
from tutelage.tune.training.parts import in_parts

Score = Callable[[Sequence[Answer]], Sequence[Verdict]]
"""Scores the answers to the questions of one call, in their order."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for one answer: the ``id`` of a prompt, its tokens, and the ``messages`` that it was made of, where
    somebody wants to see them."""

    id: str
    prompt: Encoded
    sampling: Sampling
    seed: int
    messages: Conversation = ()


class Sampler:
    """Samples answers from the model that is being tuned, with all that is trained in it, and keeps them in ``log``.

    Made before the first step and before attention is replaced; ``at_once`` answers are decoded at a time, and
    ``remedy`` is said where the memory does not suffice for that.

    Raises
    ------
    ModelError: the decoder cannot compute exactly what this model computes.
    """

    def __init__(self, bundle: Bundle, tuned: Tuned, log: RolloutLog, *, at_once: int, remedy: str) -> None:
        check_model(tuned.model)
        self._bundle, self._log = replace(bundle, model=tuned.model), log
        self._at_once, self._remedy = at_once, remedy

    def sample(
        self,
        questions: Sequence[Question],
        network: Network,
        limit: int,
        *,
        rollout: int,
        wave: int = 0,
        score: Score | None = None,
    ) -> list[Sampled]:
        """Ask, score, read (``limit`` tokens at once) and keep, durably; the questions have one temperature.

        Raises
        ------
        CompletionError: the memory does not suffice to decode. StorageError: the disk refuses.
        """
        bundle, temperature = self._bundle, questions[0].sampling.temperature
        prompts = []
        for at, one in enumerate(questions):
            request = Request(id=str(at), messages=one.messages, sampling=one.sampling, seed=one.seed)
            prompts.append(Prompt(request, tuple(one.prompt.ids.tolist()), one.sampling))
        rows = [Decoded(at, prompt.ids, prompt.sampling, prompt.request.seed) for at, prompt in enumerate(prompts)]
        done = decode(bundle.model, rows, slots=self._at_once, end_ids=bundle.template.end_ids, logprobs=True)
        rows = sorted(in_words(done, self._at_once, self._remedy), key=lambda row: row.index)
        answers = [
            answered(prompt, row.tokens, stopped=row.stopped, template=bundle.template, tokenizer=bundle.tokenizer)
            for prompt, row in zip(prompts, rows, strict=True)
        ]
        verdicts = [None] * len(answers) if score is None else score(answers)
        documents = [behind(one.prompt, _tokens(row)) for one, row in zip(questions, rows, strict=True)]
        readings = read(documents, network, limit, temperature)
        found = [
            Sampled(
                run=self._log.run,
                rollout=rollout,
                wave=wave,
                of=len(questions),
                prompt=one.id,
                seed=answer.seed,
                answer=answer.text,
                reasoning=answer.reasoning,
                ended=answer.ended,
                reward=None if verdict is None else verdict.score,
                reason="" if verdict is None else verdict.reason,
                entropy=_short(values[:, 2].mean()[None])[0],
                tokens=_tokens(row),
                sampler=_short(torch.tensor(row.logprobs)),
                trainer=_short(values[:, 0]),
                old=() if temperature == 1 else _short(values[:, 1]),
            )
            for one, row, answer, verdict, values in zip(questions, rows, answers, verdicts, readings, strict=True)
        ]
        self._log.add(found)
        return found


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


def read(documents: Sequence[Encoded], network: Network, limit: int, temperature: float) -> list[Tensor]:
    """Return the readings (n, 3) of each document, ``limit`` tokens at once."""

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
