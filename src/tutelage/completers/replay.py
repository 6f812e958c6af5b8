"""Asking in fixed chunks and never twice: an append-only log of answers makes sampling resumable."""

from collections.abc import Callable, Sequence

from tutelage.completers.protocol import Completer
from tutelage.errors import CompletionError
from tutelage.events import Emit, Event, silent
from tutelage.records import Answer, Request
from tutelage.records.jsonl import RecordLog

OpenCompleter = Callable[[], Completer]


def answer_all(
    open_completer: OpenCompleter,
    requests: Sequence[Request],
    *,
    log: RecordLog[Answer],
    chunk: int,
    emit: Emit = silent,
    label: str = "answers",
) -> list[Answer]:
    """Return one answer a request, in the order of ``requests``, asking only what ``log`` does not hold.

    Requests are cut into chunks of ``chunk``; the composition of a chunk never depends on what was answered before, so
    a resumed run sends the unfinished chunk exactly as an uninterrupted one does, and keeps what was logged.
    ``open_completer`` is called only if something must be asked: a finished stage loads no model.
    """
    known = {answer.request_id: answer for answer in log.load()}
    done = sum(request.id in known for request in requests)
    tokens = 0
    total = len(requests)
    for start in range(0, total, chunk):
        part = requests[start : start + chunk]
        if all(request.id in known for request in part):
            continue
        completer = open_completer()
        for answer in completer.complete(part):
            if answer.request_id in known:
                continue
            log.append(answer)
            known[answer.request_id] = answer
            done += 1
            tokens += answer.completion_tokens or 0
            emit(Event("progress", data={"label": label, "done": done, "total": total, "tokens": tokens}))
    missing = [request.id for request in requests if request.id not in known]
    if missing:
        raise CompletionError(f"{len(missing)} requests came back without an answer", received=", ".join(missing[:3]))
    return [known[request.id] for request in requests]
