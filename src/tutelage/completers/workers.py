"""Decoding in several threads: on CPUs two workers of one thread each sample more than one worker of two threads.

A step of a small model is hundreds of short matrix products. Splitting each of them over threads means as many
barriers, which on two idle cores cost a tenth of the speed and, when anything else runs on the machine, half of it.
Here the rows are dealt to workers, each with its own :class:`Decoder`, cache and share of the threads, on the same
weights. What a row becomes depends on its worker's rows alone, never on time, so equal calls give equal answers.
"""

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import torch
from transformers import PreTrainedModel

from tutelage.completers.decoding import Decoder, Row, borrowed
from tutelage.models.virtual import VirtualTokens

ROWS_A_WORKER = 32
"""Fewest slots that keep a worker's matrix products efficient."""


def decode(
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    slots: int,
    end_ids: Sequence[int],
    logprobs: bool = False,
    virtual: VirtualTokens | None = None,
) -> Iterator[Row]:
    """Yield each of ``rows`` when it is done; at most ``slots`` are decoded at a time, over all workers."""

    def decoder(rows: Sequence[Row], slots: int) -> Decoder:
        return Decoder(model, rows, slots=slots, end_ids=end_ids, logprobs=logprobs, virtual=virtual)

    threads = torch.get_num_threads()
    parts = deal(rows, worker_count(model, rows=min(slots, len(rows)), threads=threads))
    count = len(parts)
    if count == 1:
        yield from decoder(rows, slots).finished()
        return
    decoders = [decoder(part, slots // count) for part in parts]
    done: SimpleQueue[Row | BaseException | None] = SimpleQueue()
    stop = threading.Event()
    each = threads // count
    workers = [threading.Thread(target=_work, args=(part, done, stop, each), daemon=True) for part in decoders]
    with borrowed(model):
        for worker in workers:
            worker.start()
        try:
            running = count
            while running:
                found = done.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    running -= 1
                else:
                    yield found
        finally:
            stop.set()
            for worker in workers:
                worker.join()
            torch.set_num_threads(threads)  # some libraries keep one number for all threads


def worker_count(model: PreTrainedModel, *, rows: int, threads: int) -> int:
    """Return how many workers decode ``rows`` rows at a time: one on an accelerator, else at most one a thread.

    Rotary embeddings that are stretched while decoding keep state in the model, so such a model has one worker.
    """
    parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    if model.device.type != "cpu" or parameters.get("rope_type", "default") in ("dynamic", "longrope"):
        return 1
    return max(1, min(threads, rows // ROWS_A_WORKER))


def deal(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Deal ``rows`` to ``count`` workers: those of one prompt stay together, long and short prompts go to all alike."""
    prompts: dict[tuple[int, ...], list[Row]] = {}
    for row in rows:
        prompts.setdefault(row.prompt, []).append(row)
    parts: list[list[Row]] = [[] for _ in range(count)]
    for group in sorted(prompts.values(), key=lambda group: (-len(group[0].prompt), group[0].index)):
        min(parts, key=len).extend(group)
    return [part for part in parts if part]


def _work(
    decoder: Decoder, done: "SimpleQueue[Row | BaseException | None]", stop: threading.Event, threads: int
) -> None:
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            while decoder.unfinished and not stop.is_set():
                for row in decoder.advance():
                    done.put(row)
    except BaseException as fault:  # handed to the thread that asked, and raised there
        done.put(fault)
    done.put(None)
