"""Log-probabilities of targets, the plain way: the reference for everything that computes them faster."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tutelage.models.virtual import VirtualTokens


def token_logprobs(
    model: PreTrainedModel, ids: Tensor, targets: Tensor, *, virtual: VirtualTokens | None = None
) -> Tensor:
    """Return log p(ids[t] | ids[:t]) in nats for every t with ``targets[t]``: float32 (N,), in order.

    ``ids`` integer (T,), ``targets`` bool (T,); ``virtual`` tokens stand before them. One forward pass with all logits
    and a float32 log-softmax. Raises ``ValueError`` when the first token is a target: nothing precedes it.
    """
    if bool(targets[0]):
        raise ValueError("the first token has nothing before it and cannot be a target")
    before = None if virtual is None else virtual.cache()
    logits = model(input_ids=ids[None].to(model.device), past_key_values=before).logits[0, :-1].float()
    chosen = torch.log_softmax(logits, dim=-1).gather(1, ids[1:, None].to(logits.device)).squeeze(1)
    return chosen[targets[1:].to(logits.device)]
