"""Whether an adapter comes back from the disk as it was, and a merged model computes what the adapter does."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tutelage.errors import ModelError
from tutelage.models.adapters import MERGE_TOLERANCE, adapt
from tutelage.models.bundle import Bundle
from tutelage.models.logits import distance, logits_of
from tutelage.models.template import Encoded
from tutelage.tune.doctor.check import Check, is_exact, judged, not_applicable, refused
from tutelage.tune.methods import Tuned

SAVING, MERGING = "save and reload", "merge"
RELOAD_TOLERANCE = 1e-3
"""Largest difference of a logit after saving and loading, in standard deviations; usually it is 0."""
ROUNDED_TOLERANCES = {True: 1e-3, False: 0.1}
"""Largest mean difference of logits of the merged model as it is used, rounded, from the adapter beside its base."""


def check_saving(tuned: Tuned, documents: Sequence[Encoded], folder: Path) -> tuple[Check, Tensor]:
    """Save the adapter into ``folder`` and load it again; return the check and the logits before.

    The model is the base again at the end.
    """
    tuned.settle()
    tuned.model.train(False)
    expected = _logits(tuned.model, documents)
    tuned.save(folder)
    with tuned.reloaded(folder) as again:
        again.train(False)
        mean, largest = distance(_logits(again, documents), expected)
    check = judged(
        SAVING,
        largest <= RELOAD_TOLERANCE,
        f"{largest:.2g} sd at most",
        tolerance=f"{RELOAD_TOLERANCE:g}",
        remedy="look whether peft and safetensors are whole: pip install --force-reinstall peft safetensors",
        figures={"mean": mean, "largest": largest, "tolerance": RELOAD_TOLERANCE},
    )
    return check, expected


def check_merging(bundle: Bundle, folder: Path, documents: Sequence[Encoded], expected: Tensor | None) -> Check:
    """Merge the adapter of ``folder`` into the model, which keeps it; call it last.

    ``expected``: logits of the adapter beside its base; None: they are computed first.
    """
    tolerance = ROUNDED_TOLERANCES[is_exact(bundle.model.dtype)]
    words = f"{MERGE_TOLERANCE:g}; mean {tolerance:g}"
    tied = _are_one(bundle)
    try:
        adapted = adapt(bundle.model, folder, merge=True)
    except ModelError as error:
        return refused(MERGING, error, tolerance=words)
    if adapted.virtual is not None:
        return not_applicable(MERGING, "virtual tokens are merged into nothing")
    bundle.model = adapted.model
    untied = tied and not _are_one(bundle)
    measured = f"{adapted.moved:.2g} sd at most in float32"
    figures, ok = {"moved": adapted.moved, "tolerance": tolerance}, not untied
    if expected is not None:
        mean, largest = distance(_logits(bundle.model, documents), expected)
        measured += f"; {mean:.2g} in the mean as it is used"
        figures |= {"mean": mean, "largest": largest}
        ok = ok and mean <= tolerance
    if adapted.rounded is not None:
        dtype = str(bundle.model.dtype).removeprefix("torch.")
        measured += f"; rounding to {dtype} costs {adapted.rounded:.1%} of the adapter's effect"
        figures["rounded"] = adapted.rounded
    if untied:
        measured += "; the embeddings were tied and are no more"
    remedy = "use the adapter unmerged, or leave embeddings and output layer out of its targets"
    return judged(MERGING, ok, measured, tolerance=words, remedy=remedy, figures=figures)


def _logits(model: nn.Module, documents: Sequence[Encoded]) -> Tensor:
    return torch.cat(logits_of(model, [document.ids for document in documents]))


def _are_one(bundle: Bundle) -> bool:
    """Whether embeddings and output layer are one weight."""
    head = bundle.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head is not None and head.weight is bundle.model.get_input_embeddings().weight
