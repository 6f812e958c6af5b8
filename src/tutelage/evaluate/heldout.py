"""Held-out loss: how likely a model finds references that it was never trained on."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from tutelage.errors import DataError, Problem, TemplateError
from tutelage.evaluate.imitation import WORST
from tutelage.evaluate.run import Contexts
from tutelage.events import Emit, progress
from tutelage.models.load import Bundle
from tutelage.models.logprobs import token_logprobs
from tutelage.models.template import Encoded
from tutelage.records import Conversation, Item, assistant
from tutelage.records.heldout import RowLoss
from tutelage.records.jsonl import read_records, write_records

UNCHECKED = "none"


def measure_losses(
    folder: Path,
    *,
    items: Sequence[Item],
    open_bundle: Callable[[], Bundle],
    max_tokens: int,
    emit: Emit,
    contexts: Contexts | None = None,
) -> list[RowLoss]:
    """Return the loss of each item's reference under its own question and write ``losses.jsonl``, which is read again.

    Items without a reference are passed over. ``contexts`` puts turns before the question, as in ``examine``. Raises
    :class:`DataError` with every row that the model's chat template cannot take.
    """
    file = folder / "losses.jsonl"
    if file.is_file():
        return read_records(file, RowLoss)
    asked = [item for item in items if item.reference]
    if not asked:
        return []
    bundle = open_bundle()
    before = contexts or {}
    encoded = _encode(bundle, asked, before)
    found: list[RowLoss] = []
    pairs = list(zip(asked, encoded, strict=True))
    for item, tokens in progress(emit, pairs, label="references", total=len(pairs)):
        known = _nll(bundle, tokens) if len(tokens) <= max_tokens else None
        found.append(
            RowLoss(
                item_id=item.id,
                dimension=item.dimension,
                level=item.level,
                group=item.group,
                checked=item.spec.get("check") != UNCHECKED,
                nll=known,
                tokens=int(tokens.targets.sum()),
            )
        )
    write_records(file, found)
    return found


def _encode(bundle: Bundle, items: Sequence[Item], before: Contexts) -> list[Encoded]:
    found: list[Encoded] = []
    problems: list[Problem] = []
    for item in items:
        messages: Conversation = (*before.get(item.id, ()), *item.messages)
        try:
            whole = bundle.template.encode((*messages, assistant(item.reference or "")))
        except TemplateError as error:
            fault = error.problem
            problems.append(Problem(fault.what, f"row {item.id}", fault.received, fault.remedy))
            continue
        found.append(_last_turn(whole))
    if problems:
        raise DataError("rows for this chat template", problems)
    return found


def _last_turn(whole: Encoded) -> Encoded:
    """Only the last run of targets: earlier answers of the assistant are given, not asked."""
    last = int(np.flatnonzero(whole.targets)[-1])
    gaps = np.flatnonzero(~whole.targets[: last + 1])
    targets = whole.targets.copy()
    targets[: int(gaps[-1]) + 1] = False
    return Encoded(whole.ids, targets)


def _nll(bundle: Bundle, encoded: Encoded) -> float:
    with torch.inference_mode():
        ids, targets = torch.from_numpy(encoded.ids).long(), torch.from_numpy(encoded.targets)
        found = -float(token_logprobs(bundle.model, ids, targets, virtual=bundle.virtual).mean())
    return min(max(found, 0.0), WORST) if math.isfinite(found) else WORST
