"""Guards of utility: what general text costs the model, and how it answers general instructions.

The documents and prompts were written for this project and are used nowhere else: nothing is trained on them.
"""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import torch

from tutelage.models.load import Bundle
from tutelage.models.logprobs import token_logprobs
from tutelage.records import Request, Sampling, user

MAX_DOCUMENT_TOKENS = 512


def general_documents() -> list[str]:
    """Return short texts of many kinds (fiction, recipes, law, finance, medicine, minutes, letters)."""
    text = (files("tutelage.evaluate") / "general" / "documents.txt").read_text(encoding="utf-8")
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def general_prompts() -> list[str]:
    """Return everyday instructions without a verifiable constraint."""
    text = (files("tutelage.evaluate") / "general" / "prompts.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def general_requests(count: int, *, max_tokens: int) -> list[Request]:
    """Return the first ``count`` general prompts as greedy requests."""
    return [
        Request(id=f"general/{index}", messages=(user(prompt),), sampling=Sampling(max_tokens=max_tokens))
        for index, prompt in enumerate(general_prompts()[:count])
    ]


def document_nll(bundle: Bundle, documents: Sequence[str]) -> list[float]:
    """Return the mean negative log-likelihood (nats a token) of each document, its first token not counted."""
    found: list[float] = []
    for document in documents:
        ids = np.asarray(bundle.tokenizer.encode(document, add_special_tokens=False)[:MAX_DOCUMENT_TOKENS], np.int32)
        targets = np.ones(len(ids), dtype=bool)
        targets[0] = False
        with torch.inference_mode():
            found.append(-float(token_logprobs(bundle.model, ids, targets).mean()))
    return found
