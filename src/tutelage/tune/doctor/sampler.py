"""Whether the decoder that samples and the network that is trained say the same of the same tokens."""

import numpy as np
import torch

from tutelage.completers.decoding import Row
from tutelage.completers.workers import decode
from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.records import Sampling
from tutelage.tune.doctor.chats import chats
from tutelage.tune.doctor.check import Check, is_exact, judged, not_applicable
from tutelage.tune.training.attention import connect

SAMPLER = "sampler and trainer"
SAMPLED_TOKENS = 16
TOLERANCES = {True: 1e-3, False: 0.1}
"""Largest mean difference of log-probabilities (nats a token), of float32 and of less precise arithmetic."""


def check_sampler(bundle: Bundle, *, seed: int) -> Check:
    """Sample answers at temperature 1 and let the network of training read them.

    A gap here biases every method that weighs what it sampled by how likely it was.
    """
    settings = Sampling(temperature=1.0, max_tokens=SAMPLED_TOKENS)
    try:
        prompts = [tuple(bundle.template.encode_prompt(chat[:-1])) for chat in chats()]
        rows = [Row(number, prompt, settings, seed + number) for number, prompt in enumerate(prompts)]
        done = [*decode(bundle.model, rows, slots=len(rows), end_ids=bundle.template.end_ids, logprobs=True)]
        written = [row for row in sorted(done, key=lambda row: row.index) if row.logprobs]
        if not written:
            return not_applicable(SAMPLER, "the model wrote nothing")
        with connect(bundle.model) as network, torch.no_grad():
            read = -network.predict(network.pack([_document(row) for row in written])).token_losses()
    except ModelError as error:  # TemplateError too
        return not_applicable(SAMPLER, error.problem.what)
    sampled = torch.tensor([value for row in written for value in row.logprobs])
    gap = (read.cpu() - sampled).abs()
    mean, largest, tolerance = gap.mean().item(), gap.max().item(), TOLERANCES[is_exact(bundle.model.dtype)]
    return judged(
        SAMPLER,
        mean <= tolerance,
        f"{mean:.2g} nats a token in the mean, {largest:.2g} at most ({len(gap)} sampled tokens)",
        tolerance=f"mean {tolerance:g}",
        remedy="sample from another engine (engines.sampling), or load the model in float32",
        figures={"mean": mean, "largest": largest, "tolerance": tolerance, "tokens": len(gap)},
    )


def _document(row: Row) -> Encoded:
    """Prompt and answer, whose end token was sampled as the others were."""
    end = [row.end] if row.end is not None else []
    ids = np.array([*row.prompt, *row.tokens, *end], dtype=np.int32)
    return Encoded(ids, np.arange(len(ids)) >= len(row.prompt))
