"""What a model computes on fixed rows and prompts, and how far a folder that was read again is from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from tutelage.completers.decoding import Row, check_model
from tutelage.completers.workers import decode
from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle
from tutelage.models.logits import distance, logits_of
from tutelage.models.plain import Plain, generate
from tutelage.models.template import ChatTemplate
from tutelage.pipeline.export.records import Parity
from tutelage.records import Conversation, Sampling, assistant, system, user

WRITTEN_TOLERANCE = 1e-3
"""Largest difference of a logit from the same weights in this package; usually it is 0."""
SCORED_TOLERANCES = {True: 1e-3, False: 0.1}
"""Largest mean difference from the model as it is scored, of float32 and of less precise arithmetic."""
TIE_TOLERANCES = {True: 1e-2, False: 0.25}
"""How far apart two tokens may be where a greedy answer parts from that of the model as it is scored."""
ANSWER_TOKENS = 32
PROMPTS: tuple[Conversation, ...] = (
    (user("What is the capital of France?"),),
    (user("Name three colors, separated by commas."),),
    (system("You answer in one short sentence."), user("Why is the sky blue?")),
    (user("Write a sentence about a river."), assistant("The river is long."), user("Now one about a garden.")),
    (user("What is 12 + 30?"),),
    (user("Translate 'good morning' into French."),),
)
ROWS: tuple[Conversation, ...] = (
    (user("What is the capital of France?"), assistant("The capital of France is Paris.")),
    (system("You answer in one short sentence."), user("Why is the sky blue?"), assistant("Air scatters blue light.")),
    (user("List 1, 2 and 30.\n\n1."), assistant("1. one\n2. two\n30. thirty — “done”, naïvely.")),
    (user("Say nothing."), assistant("…")),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Logits (T, V) of each of :data:`ROWS` in float32, and the greedy answers to :data:`PROMPTS` with their end."""

    logits: list[Tensor]
    answers: list[list[int]]


def read_scored(bundle: Bundle) -> Reading:
    """Return what a bundle computes, its answers by the decoder that scores are made with."""
    prompts = encoded_prompts(bundle.template)
    settings = Sampling(max_tokens=ANSWER_TOKENS)
    rows = [Row(number, tuple(prompt), settings, seed=0) for number, prompt in enumerate(prompts)]
    try:
        check_model(bundle.model, virtual=0 if bundle.virtual is None else bundle.virtual.count)
        # One at a time: what stands beside a row changes its rounding.
        ends, virtual = bundle.template.end_ids, bundle.virtual
        done = [row for one in rows for row in decode(bundle.model, [one], slots=1, end_ids=ends, virtual=virtual)]
        answers = [[*row.tokens, *([row.end] if row.end is not None else [])] for row in done]
    except ModelError:  # an architecture that is tuned, but never scored by the built-in decoder
        answers = []
    return Reading(logits_of(bundle.model, encoded_rows(bundle.template), bundle.virtual), answers)


def encoded_prompts(template: ChatTemplate) -> list[list[int]]:
    """Return the ids of :data:`PROMPTS`."""
    return [template.encode_prompt(prompt) for prompt in PROMPTS]


def encoded_rows(template: ChatTemplate) -> list[list[int]]:
    """Return the ids of :data:`ROWS`."""
    return [template.encode(row).ids.tolist() for row in ROWS]


def compare(plain: Plain, *, template: ChatTemplate, written: Sequence[Tensor], scored: Reading, exact: bool) -> Parity:
    """Compare a folder that was read again with the logits of what was ``written`` and with the model as it is scored.

    ``template`` is that of the model; ``exact``: both compute in float32.

    Raises
    ------
    ModelError: the folder's tokenizer or chat template is another one.
    """
    require_same_text(plain, template)
    rows, prompts = encoded_rows(template), encoded_prompts(template)
    found = logits_of(plain.model, rows)
    mean, largest = distance(torch.cat(found), torch.cat(scored.logits))
    ties = []
    for prompt, expected in zip(prompts, scored.answers, strict=False):
        answer = generate(plain, prompt, max_tokens=ANSWER_TOKENS)
        ties.append(_tie(plain.model, prompt, answer, expected=expected, ends=template.end_ids))
    parted = [tie for tie in ties if tie is not None]
    return Parity(
        rows=len(rows),
        tokens=sum(map(len, rows)),
        written=distance(torch.cat(found), torch.cat(list(written)))[1],
        written_tolerance=WRITTEN_TOLERANCE,
        scored=mean,
        scored_largest=largest,
        scored_tolerance=SCORED_TOLERANCES[exact],
        answers=len(ties),
        same_answers=len(ties) - len(parted),
        widest_tie=max(parted, default=0.0),
        tie_tolerance=TIE_TOLERANCES[exact],
    )


def require_same_text(plain: Plain, template: ChatTemplate) -> None:
    """Raise :class:`ModelError` unless the folder turns conversations into the ids that ``template`` does."""
    again = ChatTemplate(plain.tokenizer)
    ends = plain.generation.eos_token_id
    same = (
        encoded_rows(again) == encoded_rows(template)
        and encoded_prompts(again) == encoded_prompts(template)
        and (list(ends) if isinstance(ends, list) else [ends]) == list(template.end_ids)
    )
    if not same:
        raise ModelError(
            "the folder's tokenizer, chat template or end tokens are not the model's",
            received=f"end tokens {ends}; the model's are {list(template.end_ids)}",
            remedy="report this with the name of the model",
        )


def _tie(
    model: nn.Module, prompt: Sequence[int], answer: Sequence[int], *, expected: Sequence[int], ends: Sequence[int]
) -> float | None:
    """How far apart, in standard deviations, the first two different tokens are; None: the answers are equal."""
    for at, (own, other) in enumerate(zip_longest(answer, expected)):
        if own == other or (own in ends and other in ends):
            if own in ends:
                return None
            continue
        (logits,) = logits_of(model, [[*prompt, *answer[:at]]])
        last = logits[-1]
        # An answer that lacks a token was cut where the other went on: that is no tie.
        return float("inf") if own is None or other is None else ((last[own] - last[other]) / logits.std()).abs().item()
    return None
