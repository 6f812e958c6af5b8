"""What holding answers to a schema costs, and what it gives: the same requests with and without their schema.

    python benchmarks/held.py --requests 64 --output benchmarks/results/held.json

A model is asked for JSON in words, as the package asks, about training items of a shipped task; in every turn once as
it likes and once held. "tokens_per_cpu_second" is of processor time, which a busy machine changes less than the clock;
"json" counts answers that hold an object of the form (after repair, as the package reads them), "cut" those that
reached ``--max-tokens``. "ratio" is the median over turns of held to free.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from tutelage.completers.local import LocalCompleter
from tutelage.completers.structured.asking import read_answer
from tutelage.completers.structured.forms import form_of
from tutelage.models.load import load_bundle
from tutelage.records import LEVELS, Request, Sampling, user
from tutelage.seeds import derive_seed
from tutelage.tasks.constraints import Constraints


class Judged(BaseModel):
    """A short judgment: a text, a choice, a number, a list."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    clear: bool
    words: list[str]
    score: int


FORM = form_of(Judged)


def make_requests(count: int, sampling: Sampling, *, held: bool) -> list[Request]:
    """Requests over all levels of one task, each with the form in words, which stand first and are read once."""
    each = -(-count // len(LEVELS))
    items = [item for level in LEVELS for item in Constraints().items("train", level, each, 0)][:count]
    return [
        Request(
            id=item.id,
            messages=(user(f"Say whether a request is clear. {FORM.words}\n\nThe request:\n{item.prompt}"),),
            sampling=sampling,
            seed=derive_seed(0, item.id),
            answer_schema=FORM.schema if held else None,
        )
        for item in items
    ]


def measure(completer: LocalCompleter, requests: list[Request]) -> dict[str, float]:
    """Answer once; return tokens, seconds and how many answers are of the form."""
    wall, cpu = time.perf_counter(), time.process_time()
    answers = list(completer.complete(requests))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tokens = sum(answer.completion_tokens or 0 for answer in answers)
    return {
        "tokens": tokens,
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "tokens_per_second": round(tokens / wall, 1),
        "tokens_per_cpu_second": round(tokens / cpu, 1),
        "json": sum(read_answer(answer, FORM).value is not None for answer in answers),
        "cut": sum(answer.finish == "length" for answer in answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--dtype", default="auto", help="float32 where the processor has no products in bfloat16")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sampling = Sampling(temperature=given.temperature, max_tokens=given.max_tokens)
    bundle = load_bundle(given.model, dtype=given.dtype)
    turns: dict[str, list[dict[str, float]]] = {"free": [], "held": []}
    with LocalCompleter(bundle, batch_size=given.batch_size) as completer:
        began = time.process_time()
        next(completer.complete(make_requests(1, Sampling(max_tokens=1), held=True)))
        opening = round(time.process_time() - began, 2)
        for _ in range(given.repeats):
            for name, own in turns.items():
                own.append(measure(completer, make_requests(given.requests, sampling, held=name == "held")))
                print(name, own[-1], flush=True)
    pairs = zip(turns["held"], turns["free"], strict=True)
    ratio = statistics.median(held["tokens_per_cpu_second"] / free["tokens_per_cpu_second"] for held, free in pairs)
    settings = {key: value for key, value in vars(given).items() if key != "output"}
    found = {
        "settings": settings,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "opening_cpu_seconds": opening,
        "turns": turns,
        "ratio": round(ratio, 3),
    }
    print(json.dumps(found, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
