"""A model on this machine as an endpoint would speak of it: each token of an answer with the likeliest in its place."""

from collections.abc import Sequence
from typing import Any

import torch

from support.endpoint import token_said
from tutelage.models.bundle import Bundle
from tutelage.models.token_bytes import token_bytes_of
from tutelage.records import Message, assistant


def spoken(
    bundle: Bundle, messages: Sequence[Message | dict[str, Any]], text: str, count: int, *, end: bool = True
) -> list[dict[str, Any]]:
    """Return the tokens of ``text`` as the answer to ``messages``, each with the ``count`` likeliest and its own
    log-probability; ``end``: the end token too, as some servers say it."""
    turns = [one if isinstance(one, Message) else Message.of(one["role"], one["content"]) for one in messages]
    document = bundle.template.encode((*turns, assistant(text)), last=True)
    with torch.no_grad():
        ids = torch.tensor(document.ids, dtype=torch.long, device=bundle.model.device)
        logprobs = bundle.model(input_ids=ids[None]).logits[0].float().log_softmax(-1)
    tokens = token_bytes_of(bundle.tokenizer)
    assert tokens is not None
    said = []
    for place in document.targets.nonzero()[0]:
        found = logprobs[place - 1]
        best = found.topk(count)
        top = [(tokens.of[int(token)], float(value)) for token, value in zip(best.indices, best.values, strict=True)]
        written = int(document.ids[place])
        said.append(token_said(tokens.of[written], top, float(found[written])))
    return said if end else said[:-1]
