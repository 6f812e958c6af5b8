"""Asking in fixed chunks and never twice: an append-only log of answers makes sampling resumable."""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence

from tutelage.completers.preparation import refuse_duplicates
from tutelage.completers.protocol import Completer
from tutelage.errors import CompletionError
from tutelage.events import Emit, Event, silent
from tutelage.records import Answer, Request, content_id
from tutelage.records.base import Record
from tutelage.records.jsonl import RecordLog

OpenCompleter = Callable[[], Completer]


class Spent(Record):
    """What answering one chunk took: a line of the timing log. Of a chunk that was sent again the last line counts."""

    label: str
    start: int
    seconds: float


def answer_all(
    open_completer: OpenCompleter,
    requests: Sequence[Request],
    *,
    log: RecordLog[Answer],
    chunk: int,
    together: Sequence[Hashable] | None = None,
    emit: Emit = silent,
    label: str = "answers",
    timing: RecordLog[Spent] | None = None,
) -> list[Answer]:
    """Return one answer a request, in the order of ``requests``, asking only what ``log`` does not hold.

    An answer of the log counts only for a request with the same content (messages, sampling, seed), not for one that
    merely has its id. Requests are cut into chunks of ``chunk``; with ``together``, a key for each request, no chunk
    has two keys: an engine reads only once what all prompts of a chunk begin with. The answer of an engine that decodes
    batches depends on what stands beside a request, so an unfinished chunk is sent again as a whole, exactly as an
    uninterrupted run sends it, and what was logged of it is kept. An engine without a batch (an endpoint) is asked only
    what is missing or came back as an error: nothing is paid twice.

    ``open_completer`` is called only if something must be asked: a finished stage loads no model. ``timing`` gets the
    seconds of each chunk, so that a resumed stage still knows what its answers cost.

    Raises :class:`CompletionError` when two requests have one id, in whichever chunks, or one gets no answer.
    """
    refuse_duplicates(requests)
    wanted = {request.id: content_id(request.to_json()) for request in requests}
    known = {answer.request_id: answer for answer in log.load() if wanted.get(answer.request_id) == answer.request}
    total, tokens = len(requests), 0
    for numbers in _chunks(together or [()] * total, chunk):
        part = [requests[number] for number in numbers]
        lacking = {r.id for r in part if r.id not in known}
        failed = {r.id for r in part if r.id in known and known[r.id].finish == "error"}
        if not lacking and not failed:
            continue
        completer = open_completer()
        if completer.engine.batch_size == 0:
            lacking |= failed
            part = [r for r in part if r.id in lacking]
        if not lacking:
            continue
        began = time.monotonic()
        for answer in completer.complete(part):
            if answer.request_id not in lacking:
                continue
            logged = answer.model_copy(update={"request": wanted[answer.request_id]})
            log.append(logged)
            known[answer.request_id] = logged
            tokens += answer.completion_tokens or 0
            emit(Event("progress", data={"label": label, "done": len(known), "total": total, "tokens": tokens}))
        if timing is not None:
            timing.append(Spent(label=label, start=numbers[0], seconds=round(time.monotonic() - began, 3)))
    missing = [request.id for request in requests if request.id not in known]
    if missing:
        raise CompletionError(f"{len(missing)} requests came back without an answer", received=", ".join(missing[:3]))
    return [known[request.id] for request in requests]


def _chunks(keys: Sequence[Hashable], size: int) -> Iterator[list[int]]:
    """Yield the places of ``keys`` in chunks of one key each, in the order in which the keys first appear."""
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    for own in places.values():
        yield from (own[start : start + size] for start in range(0, len(own), size))


def seconds_of(timing: RecordLog[Spent], label: str) -> float:
    """Return what answering the chunks of ``label`` took, in whichever process each was answered."""
    chunks = {spent.start: spent.seconds for spent in timing.load() if spent.label == label}
    return sum(chunks.values())
