"""What a model writes when nobody asks: text from its first token on, a sample of what it has learned."""

from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle

SEPARATOR = "<|endoftext|>"
"""What stands between documents in the training text of many families, also where chat templates use other tokens."""
TEXTS_AT_ONCE = 128


def free_texts(bundle: Bundle, count: int, *, tokens: int, seed: int) -> Iterator[Tensor]:
    """Yield ``count`` texts in parts, int64 (texts, tokens) on the CPU, drawn from the model at temperature 1.

    The first of the tokens is the one that begins documents; a text runs on where a document ends. Equal arguments
    give equal texts on the same machine; the global random state stays.

    Raises
    ------
    ModelError: the tokenizer has no token that begins or ends documents.
    """
    first = _beginning(bundle.tokenizer)
    if first is None:
        raise ModelError(
            "texts cannot be drawn from this model",
            where=bundle.source.id,
            received="a tokenizer without a token that begins or ends documents",
            remedy="leave out tune.retention, or set bos_token in the tokenizer's files",
        )
    generator = torch.Generator(device=bundle.model.device).manual_seed(seed)
    for start in range(0, count, TEXTS_AT_ONCE):
        yield _draw(bundle, first, min(TEXTS_AT_ONCE, count - start), tokens=tokens, generator=generator)


@torch.no_grad()
def _draw(bundle: Bundle, first: int, count: int, *, tokens: int, generator: torch.Generator) -> Tensor:
    last = torch.full((count, 1), first, device=bundle.model.device)
    texts, cache = [last], None
    for _ in range(tokens - 1):
        out = bundle.model(input_ids=last, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        reached = out.logits[:, -1].float().softmax(-1).cumsum(-1)
        chance = torch.rand(count, 1, generator=generator, device=last.device) * reached[:, -1:]
        last = torch.searchsorted(reached, chance, right=True).clamp_max(reached.shape[1] - 1)
        texts.append(last)
    return torch.cat(texts, dim=1).cpu()


def _beginning(tokenizer: PreTrainedTokenizerFast) -> int | None:
    special = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
    for found in (special.get(SEPARATOR), tokenizer.bos_token_id, tokenizer.eos_token_id):
        if isinstance(found, int):
            return found
    return None
