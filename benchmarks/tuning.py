"""How fast rows are learned, and in how much memory: ours and TRL's trainer on the same machine, in turns.

    python benchmarks/tuning.py sft-lora --data skewed --output benchmarks/results/tuning-sft-lora.json
    python benchmarks/tuning.py dpo-lora --data pairs.json --rows 4 12 --in-order --batch-size 4 --max-tokens 1024

Every contender is a process of its own that reads the same rows and the same folder of weights and leaves its own on
the disk. Wall time and peak memory are taken from outside, by the system. Each is run on few and on many rows, and its
speed is the slope between the two, so that starting up costs nobody anything. The contenders take turns over
``--repeats``; ratios are of one turn, and their median is told. The weights that come out are compared on held-out
rows by plain transformers, in float32, one row at a time. Where weights are bfloat16, ours are updated through float32
copies and the peer's are not: that costs us memory in full tuning, and is nobody's noise in the losses.

``--data`` is a file of rows that ``tutelage tune`` reads, or ``skewed``: prompts and answers of log-normal lengths, cut
from the general texts of the package. Rows longer than ``--max-tokens`` are left out for all.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tutelage.evaluate.general_texts import general_documents
from tutelage.files import write_atomic
from tutelage.models.load import load_bundle
from tutelage.pipeline.standalone import read_rows
from tutelage.records import Example, Message, Preference, assistant, user
from tutelage.records.importers import import_preferences
from tutelage.records.lineage import Lineage

HERE = Path(__file__).parent
POLL = 0.05
LORA = {"kind": "lora", "r": 16, "alpha": 32, "targets": "all-linear"}
METHODS = {"sft-lora": LORA, "sft-full": {"kind": "full"}, "dpo-lora": LORA}
RATES = {"sft-lora": 1e-4, "sft-full": 1e-5, "dpo-lora": 1e-5}


@dataclass(frozen=True, slots=True)
class Trial:
    """What is the same for every contender."""

    kind: str
    model: Path
    work: Path
    threads: int
    batch_size: int
    seed: int
    max_tokens: int


def skewed(count: int, seed: int) -> list[Example]:
    """Rows whose prompts and answers have log-normal lengths: medians of 90 and 12 words."""
    words = " ".join(general_documents()).split()
    draw = random.Random(seed)
    lineage = Lineage(paradigm="expert", source="benchmark", author="project")
    rows = []
    for number in range(count):
        asked, answered = (max(2, round(draw.lognormvariate(mu, 0.8))) for mu in (4.5, 2.5))
        at = draw.randrange(len(words))
        text = [words[(at + step) % len(words)] for step in range(asked + answered)]
        messages = (user(" ".join(text[:asked])), assistant(" ".join(text[asked:])))
        rows.append(Example(id=f"skewed-{number}", messages=messages, lineage=lineage))
    return rows


def rows_of(kind: str, data: str, count: int, seed: int) -> list[Example] | list[Preference]:
    """The rows of a file with one answer each (of several, one contender would learn all and another the last), or its
    pairs."""
    if kind.startswith("dpo"):
        return import_preferences(Path(data), author="benchmark")
    if data == "skewed":
        return skewed(count, seed)
    return [row for row in read_rows(Path(data)) if sum(turn.role == "assistant" for turn in row.messages) == 1]


def chats(row: Example | Preference) -> list[tuple[Message, ...]]:
    """The conversations of a row."""
    return [row.messages] if isinstance(row, Example) else [(*row.prompt, row.chosen), (*row.prompt, row.rejected)]


def write_rows(path: Path, rows: Sequence[Example | Preference]) -> Path:
    """Write rows as JSON Lines of ``messages``, or of ``prompt``, ``chosen`` and ``rejected``: every contender reads
    them."""
    lines = [
        {"messages": turns(row.messages)}
        if isinstance(row, Example)
        else {"prompt": turns(row.prompt), "chosen": turns([row.chosen]), "rejected": turns([row.rejected])}
        for row in rows
    ]
    write_atomic(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as the field writes them."""
    return [{"role": turn.role, "content": turn.text} for turn in messages]


def command(contender: str, trial: Trial, rows: Path, out: Path) -> list[str]:
    """What a contender is started with."""
    if contender == "tutelage":
        recipe = {
            "name": "bench",
            "seed": trial.seed,
            "model": {"id": str(trial.model)},
            "engines": {"threads": trial.threads},
            "tune": {
                "data": {"path": str(rows)},
                "objective": {"kind": trial.kind.partition("-")[0]},
                "method": METHODS[trial.kind],
                "optimizer": {"kind": "adamw", "lr": RATES[trial.kind]},
                "schedule": {"kind": "constant"},
                "max_tokens": trial.max_tokens,
                "batch_size": trial.batch_size,
            },
        }
        file = out.with_suffix(".yaml")
        write_atomic(file, json.dumps(recipe, indent=1))  # JSON is YAML
        return [sys.executable, "-m", "tutelage", "tune", str(file), "--out", str(out), "--quiet", "--offline"]
    settings = {
        "model": str(trial.model),
        "rows": str(rows),
        "out": str(out / "tune" / "weights"),
        "method": METHODS[trial.kind]["kind"],
        "best": contender == "trl-best",
        "batch_size": trial.batch_size,
        "lr": RATES[trial.kind],
        "seed": trial.seed,
        "threads": trial.threads,
        "max_tokens": trial.max_tokens,
    }
    file = out.with_suffix(".json")
    write_atomic(file, json.dumps(settings, indent=1))
    peer = "trl_dpo.py" if trial.kind.startswith("dpo") else "trl_sft.py"
    return [sys.executable, str(HERE / "peers" / peer), str(file)]


def run(contender: str, trial: Trial, rows: Path, out: Path) -> dict[str, float]:
    """Run a contender once; return its wall time in seconds and its peak memory in bytes."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(trial.threads), "HF_HUB_OFFLINE": "1"}
    shutil.rmtree(out, ignore_errors=True)  # what is finished would only be told again
    peak = 0
    with out.with_suffix(".log").open("w") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command(contender, trial, rows, out), stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        # The system's own figure for a child begins with its parent's, before the child is another program.
        while process.poll() is None:
            peak = max(peak, resident_peak(process.pid))
            time.sleep(POLL)
        seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{contender} ended with {process.returncode}: {out.with_suffix('.log')}")
    return {"seconds": round(seconds, 2), "peak_bytes": peak}


def resident_peak(pid: int) -> int:
    """The peak of resident memory of a process so far, in bytes; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) * 1024 for words in lines if words and words[0] == "VmHWM:"), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(METHODS))
    parser.add_argument("--data", default="skewed")
    parser.add_argument("--rows", type=int, nargs=2, default=[32, 320])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contenders", nargs="+", default=["tutelage", "trl", "trl-best"])
    parser.add_argument("--model", default="default")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=1 << 20)
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--in-order", action="store_true", help="take the first rows of the data, not random ones")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    model = given.work / "model"
    bundle = load_bundle(given.model)
    bundle.model.save_pretrained(model)
    bundle.tokenizer.save_pretrained(model)
    trial = Trial(
        kind=given.kind,
        model=model.resolve(),
        work=given.work.resolve(),
        threads=given.threads,
        batch_size=given.batch_size,
        seed=given.seed,
        max_tokens=given.max_tokens,
    )
    few, many = given.rows
    found = rows_of(given.kind, given.data, many + given.held_out, given.seed)
    sizes_of = {row.id: [len(bundle.template.encode(chat, last=True)) for chat in chats(row)] for row in found}
    pool = [row for row in found if max(sizes_of[row.id]) <= given.max_tokens]
    if len(pool) < many + given.held_out:
        raise SystemExit(f"{given.data}: {len(pool)} rows that fit; {many + given.held_out} are needed")
    if not given.in_order:
        random.Random(given.seed).shuffle(pool)
    held = write_rows(trial.work / "held-out.jsonl", pool[many : many + given.held_out])
    sizes = {count: write_rows(trial.work / f"rows-{count}.jsonl", pool[:count]) for count in (few, many)}
    tokens = {count: sum(sum(sizes_of[row.id]) for row in pool[:count]) for count in sizes}
    taken: list[dict[str, Any]] = []
    for turn in range(given.repeats):
        done: dict[str, Any] = {}
        for contender in given.contenders:
            runs = {}
            for count, rows in sizes.items():
                out = trial.work / f"{given.kind}-{contender}-{turn}-{count}"
                runs[count] = run(contender, trial, rows, out)
            slope = (runs[many]["seconds"] - runs[few]["seconds"]) / (tokens[many] - tokens[few])
            if slope <= 0:
                raise SystemExit(f"{contender}: {many} rows took no longer than {few}; take more of them with --rows")
            done[contender] = {"runs": runs, "tokens_per_second": round(1 / slope, 1), "peak_bytes": peak(runs)}
            print(f"turn {turn}, {contender}: {1 / slope:.0f} tokens/s, {peak(runs) / 1e9:.2f} GB", flush=True)
        taken.append(done)
    losses = {contender: held_out(trial, contender, held, many) for contender in given.contenders}
    products = peak_of_products(given.threads)
    report = {
        "command": " ".join(["python", *sys.argv]),
        "machine": {"processor": platform.processor() or platform.machine(), "threads": given.threads},
        "rows": {str(count): tokens[count] for count in sizes},
        "products": {
            "peak_tflops": round(products / 1e12, 3),
            "share": round(needed(trial.kind, bundle.model) * speed(taken, given.contenders[0]) / products, 3),
        },
        "turns": taken,
        "held_out_loss": losses,
        "ratios": ratios(taken, given.contenders),
    }
    print(json.dumps(report["ratios"], indent=1), json.dumps(losses, indent=1))
    if given.output:
        write_atomic(given.output, json.dumps(report, indent=1) + "\n")


def peak(runs: dict[int, dict[str, float]]) -> float:
    """The peak memory of the longer run."""
    return runs[max(runs)]["peak_bytes"]


def speed(taken: Sequence[dict[str, Any]], contender: str) -> float:
    """Tokens a second, the median over turns."""
    return statistics.median(turn[contender]["tokens_per_second"] for turn in taken)


def peak_of_products(threads: int) -> float:
    """Floating-point operations a second of large matrix products in bfloat16."""
    torch.set_num_threads(threads)
    a, b = (torch.randn(2048, 2048).bfloat16() for _ in range(2))
    times = []
    for _ in range(8):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times)


def needed(kind: str, model: torch.nn.Module) -> float:
    """Operations a token that products of the layers cannot do without: forward, the gradient of what comes in, and in
    full tuning that of the weights; without attention, adapters and the output layer."""
    weights = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    )
    return (6.0 if kind == "sft-full" else 4.0) * weights


def ratios(turns: Sequence[dict[str, Any]], contenders: Sequence[str]) -> dict[str, dict[str, float]]:
    """Medians over turns of how many times as fast, and in what share of the memory, the first contender is."""
    first, *others = contenders
    return {
        other: {
            "times_as_fast": statistics.median(
                turn[first]["tokens_per_second"] / turn[other]["tokens_per_second"] for turn in turns
            ),
            "share_of_memory": statistics.median(
                turn[first]["peak_bytes"] / turn[other]["peak_bytes"] for turn in turns
            ),
        }
        for other in others
    }


def held_out(trial: Trial, contender: str, rows: Path, many: int) -> dict[str, float]:
    """Mean loss a target token of what a contender made of the many rows, by plain transformers in float32."""
    weights = trial.work / f"{trial.kind}-{contender}-0-{many}" / "tune" / "weights"
    asked = [sys.executable, str(HERE / "heldout.py"), str(trial.model), str(weights), str(rows)]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(answer.splitlines()[-1]))


if __name__ == "__main__":
    main()
