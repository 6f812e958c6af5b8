"""Weights get their name only after they were read again and found to compute what the trained model computes."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tutelage.errors import TrainingError
from tutelage.files import atomic_folder
from tutelage.models.rewards import reward_head
from tutelage.models.template import Encoded
from tutelage.tune.methods import Tuned, learned_before
from tutelage.tune.training.attention import plain_logits
from tutelage.tune.training.batches import pack
from tutelage.tune.training.checkpoint import tensor_storage

TOKENS = 128
"""Of each document, whose logits are compared; rewards are of whole documents."""
TOLERANCE = 1e-3
"""Largest difference after saving and loading, in standard deviations of the logits, or of the largest reward; usually
it is 0."""


@torch.no_grad()
def save_weights(tuned: Tuned, documents: Sequence[Encoded], *, target: Path) -> float:
    """Save, load again, compare logits or rewards of ``documents`` and return by how much they differ.

    Raises
    ------
    TrainingError: they differ by more than :data:`TOLERANCE`; ``target`` is as it was. StorageError: the disk refuses.
    """
    tuned.settle()
    tuned.model.train(False)
    rewards = reward_head(tuned.model) is not None
    texts = _texts(tuned.model, documents, longest=None if rewards else TOKENS)
    learned = learned_before(tuned)
    expected = [plain_logits(tuned.model, ids, learned).float() for ids in texts]
    scale = (torch.cat(expected).abs().max() if rewards else expected[0].std()).item()
    with atomic_folder(target, replace=True) as partial:
        with tensor_storage(target):
            tuned.save(partial)
        with tuned.reloaded(partial) as again:
            again.train(False)
            # of logits, those of virtual tokens come before the others
            found = [again(input_ids=ids).logits[0, -ids.shape[1] :].float() for ids in texts]
        difference = _largest_difference(expected, found)
        if not difference <= TOLERANCE * scale:
            raise TrainingError(
                "the saved weights do not compute what the trained model computes",
                where=str(target),
                received=f"{'rewards' if rewards else 'logits'} that differ by {difference:.2g}",
                remedy="report this with the recipe; the last checkpoint is kept",
            )
    return difference


def _texts(model: nn.Module, documents: Sequence[Encoded], *, longest: int | None) -> list[Tensor]:
    """The first tokens of each document, int64 (1, T)."""
    device = next(model.parameters()).device
    return [pack([document], device).ids[:, :longest] for document in documents]


def _largest_difference(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """The largest difference of any number; NaN if one is not finite: ``max`` loses a NaN among numbers."""
    differences = [(a - b).abs().max().item() for a, b in zip(expected, found, strict=True)]
    return max(differences) if all(map(math.isfinite, differences)) else math.nan
