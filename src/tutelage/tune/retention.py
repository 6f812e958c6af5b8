"""Retention: on text that the model wrote before it was tuned, it is held to what it expected there.

    L = L_rows + λ · mean over places of KL( p_start(· | text before) ‖ p_now(· | text before) )

Learning without forgetting (Li & Hoiem 2016) on pseudo-rehearsal (Robins 1995): the texts are drawn freely from the
model itself, so no data of its training are needed, and a whole distribution a place says far more than one token.
Of each distribution the most likely tokens are kept; all others count as one, which makes the divergence a lower bound
of the full one (information processing inequality) and its memory small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tutelage.models.bundle import Bundle
from tutelage.models.free_text import free_texts
from tutelage.models.template import Encoded
from tutelage.recipe.tune import RetentionSection
from tutelage.seeds import derive_seed
from tutelage.tune.divergences import OfLikely
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.training.batches import rows_of_step, target_count
from tutelage.tune.training.network import Predictions
from tutelage.tune.training.step import Batch


@dataclass(frozen=True, slots=True)
class Memory:
    """A text of N + 1 tokens and what the model expected at the N places after the first, before it was tuned.

    ``likely`` int64 (N, k) are the most likely tokens of each place, ``logprobs`` float32 (N, k) theirs in nats.
    """

    text: Encoded
    likely: Tensor
    logprobs: Tensor


def remember(bundle: Bundle, section: RetentionSection, *, seed: int) -> Iterator[Memory]:
    """Draw ``texts`` texts from the bundle's model as it is and yield what it expects in each.

    Raises
    ------
    ModelError: no text can be drawn from this model.
    """
    for texts in free_texts(bundle, section.texts, tokens=section.tokens, seed=seed):
        for text in texts:
            yield _memory(bundle, text, section.candidates)


@torch.no_grad()
def _memory(bundle: Bundle, text: Tensor, candidates: int) -> Memory:
    logits = bundle.model(input_ids=text[None].to(bundle.model.device)).logits[0, :-1].float()
    found = logits.log_softmax(-1).topk(min(candidates, logits.shape[-1]), dim=-1)
    encoded = Encoded(ids=text.numpy().astype(np.int32), targets=np.ones(len(text), dtype=np.bool_))
    return Memory(encoded, found.indices, found.values)


class Divergence(Objective[Memory]):
    """The objective whose rows are memories: what was expected against what is expected now."""

    __slots__ = ()

    def documents(self, row: Memory) -> tuple[Encoded, ...]:
        """The text."""
        return (row.text,)

    def weights(self, row: Memory) -> tuple[float, ...]:
        """Every place weighs the same."""
        return (float(target_count(row.text)),)

    def cost(self, rows: Sequence[Memory], predictions: Predictions) -> Cost:
        """The sum of the divergences, in nats."""
        likely = torch.cat([row.likely for row in rows])
        logprobs = torch.cat([row.logprobs for row in rows])
        return Cost((predictions.losses(OfLikely(likely, logprobs)).sum(),))


@dataclass(frozen=True, slots=True)
class Retention:
    """Which memories stand beside the rows of a step, and how much they weigh."""

    memories: Sequence[Memory]
    section: RetentionSection
    seed: int

    def of_step(self, step: int) -> Batch[Memory]:
        """Return the memories of a step (counted from 0): a function of its arguments, as the rows are."""
        size = min(self.section.texts_a_step, len(self.memories))
        seed = derive_seed(self.seed, "retention")
        chosen = rows_of_step(step, rows=len(self.memories), batch_size=size, seed=seed)
        memories = [self.memories[index] for index in chosen]
        return Batch(step + 1, Divergence(), chosen, memories, scale=self.section.weight)
