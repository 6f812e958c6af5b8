"""Whether documents that are packed into one row are computed as if each stood alone."""

from collections.abc import Sequence

import torch

from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle
from tutelage.models.logits import distance
from tutelage.models.template import Encoded
from tutelage.tune.doctor.check import Check, is_exact, judged, refused
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack

PACKING = "packing"
TOLERANCES = {True: 1e-3, False: 0.1}
"""Largest mean difference of logits, in their standard deviations, of float32 and of less precise arithmetic: what
:func:`tutelage.tune.training.attention.connect` asks for too."""


@torch.no_grad()
def check_packing(bundle: Bundle, documents: Sequence[Encoded]) -> Check:
    """Compare all targets of a packed row with those of its documents one by one, by the model's own attention.

    Before, ``connect`` changes one document of a row and looks whether the others move.
    """
    model = bundle.model
    tolerance = TOLERANCES[is_exact(model.dtype)]
    words = f"mean {tolerance:g}; no leak"
    alone = []
    for document in documents:
        single = pack([document], model.device)
        alone.append(model(input_ids=single.ids).logits[0][single.sources])
    try:
        with connect(model) as network:
            row = network.pack(documents)
            mean, largest = distance(network.logits(row), torch.cat(alone))
            backend = network.backend
    except ModelError as error:
        return refused(PACKING, error, tolerance=words)
    return judged(
        PACKING,
        mean <= tolerance,
        f"{mean:.2g} sd in the mean, {largest:.2g} at most ({len(row.targets)} targets, attention by {backend})",
        tolerance=words,
        remedy="tune in float32 (tune.dtype), or report this with the name of the model",
        figures={"mean": mean, "largest": largest, "tolerance": tolerance, "targets": len(row.targets)},
    )
