"""Whether embeddings and output layer are one weight, as the configuration says.

transformers loads a checkpoint whose configuration ties them although its file holds two different ones as two, with
a warning. Other programs believe the configuration, and run another model.
"""

import torch

from tutelage.models.bundle import Bundle
from tutelage.tune.doctor.check import Check, judged, not_applicable

TIED = "tied embeddings"
UNTIED = "tied embeddings untied"


def is_tied(bundle: Bundle) -> bool:
    """Whether the configuration says that the output layer is the embeddings."""
    return bool(bundle.model.config.to_dict().get("tie_word_embeddings", False))


def check_tied(bundle: Bundle) -> Check:
    """Compare the output layer with the embeddings, as weights and as numbers."""
    head = bundle.model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        return not_applicable(TIED, "the model has no output layer of its own")
    inside, outside = bundle.model.get_input_embeddings().weight, head.weight
    assert isinstance(inside, torch.Tensor)
    assert isinstance(outside, torch.Tensor)
    same_shape = inside.shape == outside.shape
    says = "tied" if is_tied(bundle) else "not tied"
    if inside is outside:
        measured, ok = f"one weight; the configuration says {says}", is_tied(bundle)
    elif not same_shape or not torch.equal(inside, outside):
        rows = int((inside != outside).any(dim=1).sum()) if same_shape else max(len(inside), len(outside))
        measured, ok = f"two weights, {rows:,} rows differ; the configuration says {says}", not is_tied(bundle)
    else:
        measured, ok = f"two weights with equal numbers; the configuration says {says}", is_tied(bundle)
    return judged(
        TIED,
        ok,
        measured if ok else f"{UNTIED}: {measured}",
        tolerance="as configured",
        remedy=_remedy(bundle),
        figures={"tied": float(inside is outside), "says_tied": float(is_tied(bundle))},
    )


def _remedy(bundle: Bundle) -> str:
    if is_tied(bundle):
        return (
            "set tie_word_embeddings to false in config.json if the checkpoint is right, or save it again from a model "
            "whose weights are tied: other programs use the embeddings alone"
        )
    return "set tie_word_embeddings to true in config.json, or tuning all weights lets the two drift apart"
