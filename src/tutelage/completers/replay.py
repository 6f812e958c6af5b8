"""Asking in fixed chunks and never twice: an append-only log of answers makes sampling resumable."""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from tutelage.completers.preparation import refuse_duplicates
from tutelage.completers.protocol import Completer, in_groups, telling
from tutelage.errors import CompletionError
from tutelage.events import Emit, Event, silent
from tutelage.records import Answer, Request, content_id
from tutelage.records.base import Record
from tutelage.records.jsonl import RecordLog

OpenCompleter = Callable[[], Completer]


class Spent(Record):
    """What answering one chunk took: a line of the timing log. Of a chunk that was sent again the last line counts.

    ``start`` is the place of its first request, or below 0 and used once: what an endpoint was asked together.
    """

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
    again: bool = False,
    keys: Mapping[str, str] | None = None,
) -> list[Answer]:
    """Return one answer a request, in the order of ``requests``, asking only what ``log`` does not hold.

    An answer of the log counts only for a request with the same content (messages, sampling, seed), not for one that
    merely has its id; an endpoint's error that may pass does not count, one for good does unless ``again``. Requests
    are cut into chunks of ``chunk``; with ``together``, a key for each request, no chunk has two keys: an engine reads
    only once what all prompts of a chunk begin with. The answer of an engine that decodes batches depends on what
    stands beside a request, so an unfinished chunk is sent again as a whole, exactly as an uninterrupted run sends it,
    and what was logged of it is kept. An engine without a batch (an endpoint) is asked at once for all that is open,
    and for nothing else.

    ``open_completer`` is called only if something must be asked: a finished stage loads no model. ``timing`` gets the
    seconds of each chunk, so that a resumed stage still knows what its answers cost. ``keys`` may give, by the id of a
    request, another mark than its content to know its answer by.

    Raises :class:`CompletionError` when two requests have one id, in whichever chunks, or one gets no answer.
    """
    refuse_duplicates(requests)
    wanted = {request.id: (keys or {}).get(request.id) or content_id(request.to_json()) for request in requests}
    _say_torn(log, label, emit)
    known = {answer.request_id: answer for answer in log.load() if wanted.get(answer.request_id) == answer.request}
    unanswered = [request for request in requests if _is_open(known.get(request.id), again)]
    if unanswered:
        completer = telling(open_completer(), emit)
        if completer.engine.batch_size:  # what it could not answer it never will
            unanswered = [request for request in unanswered if request.id not in known]
        meter = _Progress(emit, label, total=len(requests), done=len(requests) - len(unanswered))
        asked = {request.id for request in unanswered}
        for start, part in _parts(completer, requests, unanswered, chunk=chunk, together=together, timing=timing):
            began = time.monotonic()
            try:
                for group in in_groups(completer, part):
                    logged = [
                        answer.model_copy(update={"request": wanted[answer.request_id]})
                        for answer in group
                        if answer.request_id in asked
                    ]
                    log.append(*logged)
                    for answer in logged:
                        known[answer.request_id] = answer
                        meter.count(answer)
            finally:
                whole = all(request.id in known for request in part)
                if timing is not None and (whole or completer.engine.batch_size == 0):
                    timing.append(Spent(label=label, start=start, seconds=round(time.monotonic() - began, 3)))
    return _in_order(requests, known)


def _in_order(requests: Sequence[Request], known: Mapping[str, Answer]) -> list[Answer]:
    missing = [request.id for request in requests if request.id not in known]
    if missing:
        raise CompletionError(f"{len(missing)} requests came back without an answer", received=", ".join(missing[:3]))
    return [known[request.id] for request in requests]


def _say_torn(log: RecordLog[Answer], label: str, emit: Emit) -> None:
    if log.torn:
        text = f"{label}: a crash cut off the last answer of {log.path.name}: it is left out, and asked again"
        emit(Event("note", data={"text": text}))


def _is_open(answer: Answer | None, again: bool) -> bool:
    """Whether a request is still to be asked."""
    return answer is None or (answer.finish == "error" and (answer.transient or again))


def _parts(
    completer: Completer,
    requests: Sequence[Request],
    unanswered: Sequence[Request],
    *,
    chunk: int,
    together: Sequence[Hashable] | None,
    timing: RecordLog[Spent] | None,
) -> Iterator[tuple[int, Sequence[Request]]]:
    """Yield what is sent at once, with the number under which its time is logged.

    The time of a chunk that was broken off is that of its next sending. What an endpoint took stays, so it gets a
    number that no line has: one below 0.
    """
    if completer.engine.batch_size == 0:
        yield -1 - (len(timing.load()) if timing is not None else 0), unanswered
        return
    open_ids = {request.id for request in unanswered}
    for numbers in _chunks(together or [()] * len(requests), chunk):
        part = [requests[number] for number in numbers]
        if not open_ids.isdisjoint(request.id for request in part):
            yield numbers[0], part


class _Progress:
    """Tells after each answer how many there are, how fast they come, and what they cost."""

    def __init__(self, emit: Emit, label: str, *, total: int, done: int) -> None:
        self._emit, self._label, self._total, self._done = emit, label, total, done
        self._began = time.monotonic()
        self._arrived = self._came = self._tokens = 0
        self._money: float | None = None

    def count(self, answer: Answer) -> None:
        """Count an answer, and say so."""
        self._done += 1
        self._arrived += 1
        self._came += answer.finish != "error"
        self._tokens += answer.completion_tokens or 0
        if answer.money is not None:
            self._money = (self._money or 0.0) + answer.money
        rate = self._arrived / max(time.monotonic() - self._began, 1e-6)
        data: dict[str, JsonValue] = {
            "label": self._label,
            "done": self._done,
            "total": self._total,
            "tokens": self._tokens,
            "rate": round(rate, 3),
            "eta_s": round((self._total - self._done) / rate, 1),
            "yield": round(self._came / self._arrived, 4),
        }
        if self._money is not None:
            data["money"] = round(self._money, 6)
        self._emit(Event("progress", data=data))


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
