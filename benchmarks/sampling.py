"""How many useful tokens a second each engine samples: ours, CTranslate2 and transformers' own ``generate``.

    python benchmarks/sampling.py --requests 128 --threads 2 --output benchmarks/results/sampling.json

Same model, prompts (training items of the shipped tasks), sampling settings and threads. A useful token is one that
belongs to an answer, its end token included; padding and tokens after the end do not count. Engines take turns over
``--repeats`` rounds, and CPU seconds stand beside wall time, so that a busy machine shows. "agreement" is the share of
greedy answers of 32 prompts that are equal to the reference engine's.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from tutelage.completers.ct2 import CTranslate2Completer, ctranslate2_installed
from tutelage.completers.local import LocalCompleter
from tutelage.models.load import Bundle, load_bundle
from tutelage.records import LEVELS, Answer, Request, Sampling
from tutelage.seeds import derive_seed
from tutelage.tasks.constraints import Constraints
from tutelage.tasks.grounded import Grounded

Engine = Callable[[Sequence[Request]], list[Answer]]


def make_requests(count: int, samples: int, sampling: Sampling) -> list[Request]:
    """Requests over both tasks and all levels, ``samples`` of each prompt side by side."""
    prompts = -(-count // samples)
    each = -(-prompts // (2 * len(LEVELS)))
    items = [
        item for task in (Constraints(), Grounded()) for level in LEVELS for item in task.items("train", level, each, 0)
    ]
    return [
        Request(
            id=f"{item.id}/{number}",
            messages=item.messages,
            sampling=sampling,
            seed=derive_seed(0, item.id, number),
        )
        for item in items[:prompts]
        for number in range(samples)
    ][:count]


def generate(bundle: Bundle, requests: Sequence[Request], batch_size: int) -> Iterator[Answer]:
    """What transformers itself does: padded batches of similar length, finished rows kept to the end."""
    prompts = [bundle.template.encode_prompt(request.messages) for request in requests]
    order = sorted(range(len(requests)), key=lambda at: len(prompts[at]))
    sampling = requests[0].sampling
    settings = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    ends = set(bundle.template.end_ids)
    for at in range(0, len(order), batch_size):
        places = order[at : at + batch_size]
        longest = max(len(prompts[place]) for place in places)
        ids = torch.tensor([[0] * (longest - len(prompts[place])) + prompts[place] for place in places])
        mask = torch.tensor([[0] * (longest - len(prompts[p])) + [1] * len(prompts[p]) for p in places])
        written = bundle.model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=sampling.max_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=0,
            **(settings if sampling.temperature else {"do_sample": False}),
        )[:, longest:]
        for place, row in zip(places, written.tolist(), strict=True):
            length = next((end + 1 for end, token in enumerate(row) if token in ends), len(row))
            text = bundle.tokenizer.decode(row[: length - (row[length - 1] in ends)])
            yield Answer(request_id=requests[place].id, text=str(text), completion_tokens=length)


def measure(engine: Engine, requests: Sequence[Request]) -> dict[str, float]:
    """Sample once; return tokens, seconds and their quotient."""
    wall, cpu = time.perf_counter(), time.process_time()
    answers = engine(requests)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    tokens = sum(answer.completion_tokens or 0 for answer in answers)
    return {
        "tokens": tokens,
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "tokens_per_second": round(tokens / wall, 1),
        "tokens_per_cpu_second": round(tokens / cpu, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--samples", type=int, default=4, help="requests that share a prompt")
    parser.add_argument("--max-tokens", type=int, default=192)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["local", "ctranslate2", "generate"])
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    bundle = load_bundle(given.model)
    sampling = Sampling(temperature=given.temperature, top_p=given.top_p, max_tokens=given.max_tokens)
    requests = make_requests(given.requests, given.samples, sampling)
    engines: dict[str, Engine] = {}
    for size in given.batch_sizes:
        if "local" in given.engines:
            local = LocalCompleter(bundle, batch_size=size)
            engines[f"local {local.engine.dtype}, batch {size}"] = lambda asked, local=local: list(
                local.complete(asked)
            )
        if "ctranslate2" in given.engines and ctranslate2_installed():
            fast = CTranslate2Completer.of(bundle, workers=given.threads, batch_size=size)
            engines[f"ctranslate2 int8, {given.threads} x batch {size}"] = lambda asked, fast=fast: list(
                fast.complete(asked)
            )
        if "generate" in given.engines:
            engines[f"generate {bundle.model.dtype}, batch {size}".replace("torch.", "")] = lambda asked, size=size: (
                list(generate(bundle, asked, size))
            )
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    for _ in range(given.repeats):
        for name, engine in engines.items():
            runs[name].append(measure(engine, requests))
            print(f"{name:34} {runs[name][-1]}", flush=True)
    greedy = [
        request.model_copy(update={"sampling": Sampling(max_tokens=64)}) for request in make_requests(32, 1, Sampling())
    ]
    reference = {answer.request_id: answer.text for answer in LocalCompleter(bundle, batch_size=64).complete(greedy)}
    table = {}
    for name, engine in engines.items():
        equal = sum(reference[answer.request_id] == answer.text for answer in engine(greedy))
        best = max(runs[name], key=lambda run: run["tokens_per_second"])
        table[name] = {**best, "agreement": round(equal / len(greedy), 3)}
    print(f"\n{'engine':34} {'tokens/s':>9} {'per CPU s':>10} {'agreement':>10}")
    for name, row in table.items():
        print(f"{name:34} {row['tokens_per_second']:9} {row['tokens_per_cpu_second']:10} {row['agreement']:10}")
    if given.output:
        settings = {key: value for key, value in vars(given).items() if key != "output"}
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
        }
        given.output.write_text(
            json.dumps({"settings": settings, "machine": machine, "best": table, "runs": runs}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
