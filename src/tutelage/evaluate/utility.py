"""Guards of utility: what general text costs the model, and how it answers general instructions."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tutelage.completers.protocol import Completer
from tutelage.completers.replay import answer_all
from tutelage.evaluate.general_texts import general_documents, general_prompts
from tutelage.events import Emit, progress
from tutelage.files import write_atomic
from tutelage.models.load import Bundle
from tutelage.models.logprobs import token_logprobs
from tutelage.records import Answer, Request, Sampling, content_id, user
from tutelage.records.jsonl import RecordLog
from tutelage.records.scores import UtilityMeasures
from tutelage.runs import read_state
from tutelage.text.repetition import repeated_share
from tutelage.text.words import words

MAX_DOCUMENT_TOKENS = 512


def measure_utility(
    folder: Path,
    *,
    open_completer: Callable[[], Completer],
    open_bundle: Callable[[], Bundle],
    prompts: int,
    max_tokens: int,
    emit: Emit,
) -> UtilityMeasures:
    """Read the general documents and answer the first ``prompts`` general prompts greedily; resumes from ``folder``.

    Writes ``general_answers.jsonl`` and, last, ``utility.json``; called again it opens no model.
    """
    file = folder / "utility.json"
    if file.is_file():
        return read_state(file, UtilityMeasures)
    asked = general_prompts()[:prompts]
    requests = [
        Request(id=f"general/{index}", messages=(user(prompt),), sampling=Sampling(max_tokens=max_tokens))
        for index, prompt in enumerate(asked)
    ]
    log = RecordLog(folder / "general_answers.jsonl", Answer)
    answers = answer_all(open_completer, requests, log=log, chunk=max(1, prompts), emit=emit, label="general prompts")
    documents = general_documents()
    nll = document_nll(open_bundle(), documents, emit=emit)
    measures = UtilityMeasures(
        documents=tuple(content_id(document) for document in documents),
        nll=tuple(value if math.isfinite(value) else None for value in nll),
        prompts=tuple(content_id(prompt) for prompt in asked),
        ended=tuple(answer.ended for answer in answers),
        repeated=tuple(repeated_share(answer.text) for answer in answers),
        words=tuple(len(words(answer.text)) for answer in answers),
    )
    write_atomic(file, measures.model_dump_json(indent=1) + "\n")
    return measures


def document_nll(bundle: Bundle, documents: Sequence[str], *, emit: Emit) -> list[float]:
    """Return the mean negative log-likelihood (nats a token) of each document, its first token not counted."""
    found: list[float] = []
    for document in progress(emit, documents, label="general texts", total=len(documents), unit="texts"):
        ids = torch.tensor(bundle.tokenizer.encode(document, add_special_tokens=False)[:MAX_DOCUMENT_TOKENS])
        targets = torch.ones(len(ids), dtype=torch.bool)
        targets[0] = False
        with torch.inference_mode():
            found.append(-float(token_logprobs(bundle.model, ids, targets, virtual=bundle.virtual).mean()))
    return found
