"""How fast rows are learned, and in how much memory: ours and TRL's trainer on the same machine, in turns.

    python benchmarks/tuning.py sft-lora --data skewed --output benchmarks/results/tuning-sft-lora.json
    python benchmarks/tuning.py dpo-lora --data pairs.json --rows 4 12 --in-order --batch-size 4 --max-tokens 1024

Every contender is a process of its own that reads the same rows and the same folder of weights and leaves its own on
the disk. Wall time and peak memory are taken from outside, by the system. Each is run on few and on many rows, and its
speed is the slope between the two, so that starting up costs nobody anything. The contenders take turns over
``--repeats``; ratios are of one turn, and their median is told. What is measured is kept in ``--output`` at once, and
the same command goes on there, on the same machine. The weights that come out are compared on held-out rows by plain
transformers, in float32, one row at a time.

All compute in the arithmetic that this machine is fast in: bfloat16 where the processor has it, else float32. Where
weights are bfloat16, ours are updated through float32 copies and the peer's are not: that costs us memory in full
tuning, and is nobody's noise in the losses. In ``kd-full`` the model teaches its own copy without every second layer,
on the written answers, by forward divergence; its held-out loss is of the text.

``--data`` is a file of rows that ``tutelage tune`` reads, or ``skewed``: prompts and answers of log-normal lengths, cut
from the general texts of the package. Rows longer than ``--max-tokens`` are left out for all.

LLaMA-Factory is no contender: its last version (0.9.5) wants transformers up to 5.6.0, trl up to 0.24, peft up to
0.18.1 and datasets up to 4.0, which cannot stand beside the versions of ``constraints.txt``.
"""

import argparse
import json
import os
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
from students import halved

from tutelage.evaluate.general_texts import general_documents
from tutelage.files import write_atomic
from tutelage.models.hardware import pick_dtype
from tutelage.models.load import load_bundle
from tutelage.pipeline.own_rows import read_rows
from tutelage.records import Example, Message, Preference, assistant, user
from tutelage.records.importers import import_preferences
from tutelage.records.lineage import Lineage

HERE = Path(__file__).parent
POLL = 0.05
LORA = {"kind": "lora", "r": 16, "alpha": 32, "targets": "all-linear"}
FULL = {"kind": "full"}
METHODS = {"sft-lora": LORA, "sft-full": FULL, "dpo-lora": LORA, "kd-full": FULL, "reward-lora": LORA}
RATES = {"sft-lora": 1e-4, "sft-full": 1e-5, "dpo-lora": 1e-5, "kd-full": 1e-5, "reward-lora": 1e-4}
PAIRS = ("dpo", "reward")


@dataclass(frozen=True, slots=True)
class Trial:
    """What is the same for every contender."""

    kind: str
    model: Path
    teacher: Path
    work: Path
    threads: int
    batch_size: int
    seed: int
    max_tokens: int
    dtype: str

    @property
    def objective(self) -> str:
        """The objective's name."""
        return self.kind.partition("-")[0]


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
    if kind.startswith(PAIRS):
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
        teacher = {"teacher": str(trial.teacher)} if trial.objective == "kd" else {}
        recipe = {
            "name": "bench",
            "seed": trial.seed,
            "model": {"id": str(trial.model)},
            "engines": {"threads": trial.threads},
            "tune": {
                "data": {"path": str(rows)},
                "objective": {"kind": trial.objective, **teacher},
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
        "objective": trial.objective,
        "model": str(trial.model),
        "teacher": str(trial.teacher),
        "rows": str(rows),
        "out": str(out / "tune" / "weights"),
        "method": METHODS[trial.kind]["kind"],
        "dtype": trial.dtype,
        "best": contender == "trl-best",
        "batch_size": trial.batch_size,
        "lr": RATES[trial.kind],
        "seed": trial.seed,
        "threads": trial.threads,
        "max_tokens": trial.max_tokens,
    }
    file = out.with_suffix(".json")
    write_atomic(file, json.dumps(settings, indent=1))
    return [sys.executable, str(HERE / "peers" / "trl_peer.py"), str(file)]


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
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    trial, pool, lengths = prepared(given)
    few, many = given.rows
    held = write_rows(trial.work / "held-out.jsonl", pool[many : many + given.held_out])
    sizes = {count: write_rows(trial.work / f"rows-{count}.jsonl", pool[:count]) for count in (few, many)}
    tokens = {count: sum(lengths[row.id] for row in pool[:count]) for count in sizes}
    settings = {name: str(value) for name, value in vars(given).items() if name not in ("output", "repeats", "work")}
    settings["data"] = Path(given.data).name
    report: dict[str, Any] = {"settings": settings, "machine": machine(trial), "rows": tokens, "turns": []}
    report = json.loads(json.dumps(report))  # as it is read back
    if given.output is not None and given.output.is_file():
        kept = json.loads(given.output.read_text(encoding="utf-8"))
        if any(kept[name] != report[name] for name in ("settings", "machine", "rows")):
            raise SystemExit(f"{given.output} holds figures of other settings, rows or machine: give another file")
        report = kept
    turns: list[dict[str, Any]] = report["turns"]
    for turn in range(given.repeats):
        if turn == len(turns):
            turns.append({})
        for contender in given.contenders:
            if contender not in turns[turn]:
                turns[turn][contender] = measured(contender, trial, sizes, tokens, turn)
                keep(given.output, report)
    report["held_out_loss"] = {name: held_out(trial, name, held, many) for name in given.contenders}
    products = peak_of_products(trial)
    report["products"] = {
        "peak_tflops": round(products / 1e12, 3),
        "share": round(needed(trial) * speed(turns, given.contenders[0]) / products, 3),
    }
    report["ratios"] = ratios(turns, given.contenders)
    report["command"] = " ".join(["python", *(Path(word).name if word == given.data else word for word in sys.argv)])
    keep(given.output, report)
    print(json.dumps({name: report[name] for name in ("ratios", "products", "held_out_loss")}, indent=1))


def arguments() -> argparse.Namespace:
    """What the command line says."""
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
    return parser.parse_args()


def prepared(given: argparse.Namespace) -> tuple[Trial, list[Any], dict[str, int]]:
    """The trial with its models on the disk, the rows that fit in the order in which they are taken, and their tokens
    by name, those of a pair's both conversations."""
    model = given.work.resolve() / "model"
    bundle = load_bundle(given.model)
    bundle.model.save_pretrained(model)
    bundle.tokenizer.save_pretrained(model)
    trial = Trial(
        kind=given.kind,
        model=halved(given.model, given.work.resolve() / "student") if given.kind.startswith("kd") else model,
        teacher=model,
        work=given.work.resolve(),
        threads=given.threads,
        batch_size=given.batch_size,
        seed=given.seed,
        max_tokens=given.max_tokens,
        dtype=str(pick_dtype("auto", torch.device("cpu"))).removeprefix("torch."),
    )
    wanted = given.rows[1] + given.held_out
    found = rows_of(given.kind, given.data, wanted, given.seed)
    sizes = {row.id: [len(bundle.template.encode(chat, last=True)) for chat in chats(row)] for row in found}
    pool = [row for row in found if max(sizes[row.id]) <= given.max_tokens]
    if len(pool) < wanted:
        raise SystemExit(f"{given.data}: {len(pool)} rows that fit; {wanted} are needed")
    if not given.in_order:
        random.Random(given.seed).shuffle(pool)
    return trial, pool, {name: sum(each) for name, each in sizes.items()}


def measured(contender: str, trial: Trial, sizes: dict[int, Path], tokens: dict[int, int], turn: int) -> dict[str, Any]:
    """What few and many rows cost a contender, and the slope between them."""
    runs = {
        count: run(contender, trial, rows, trial.work / f"{trial.kind}-{contender}-{turn}-{count}")
        for count, rows in sizes.items()
    }
    few, many = sorted(runs)
    slope = (runs[many]["seconds"] - runs[few]["seconds"]) / (tokens[many] - tokens[few])
    if slope <= 0:
        raise SystemExit(f"{contender}: {many} rows took no longer than {few}; take more of them with --rows")
    print(f"turn {turn}, {contender}: {1 / slope:.0f} tokens/s, {peak(runs) / 1e9:.2f} GB", flush=True)
    return {"runs": runs, "tokens_per_second": round(1 / slope, 1), "peak_bytes": peak(runs)}


def keep(output: Path | None, report: dict[str, Any]) -> None:
    """Write what there is, if somebody wants it."""
    if output is not None:
        write_atomic(output, json.dumps(report, indent=1) + "\n")


def machine(trial: Trial) -> dict[str, Any]:
    """What it was measured on."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    told = {name.strip(): value.strip() for name, _, value in lines}
    return {
        "processor": told.get("model name", "unknown"),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": trial.threads,
        "dtype": trial.dtype,
    }


def peak(runs: dict[int, dict[str, float]]) -> float:
    """The peak memory of the longer run."""
    return runs[max(runs)]["peak_bytes"]


def speed(taken: Sequence[dict[str, Any]], contender: str) -> float:
    """Tokens a second, the median over turns."""
    return statistics.median(turn[contender]["tokens_per_second"] for turn in taken)


def peak_of_products(trial: Trial) -> float:
    """Floating-point operations a second of large matrix products in the arithmetic of the trial."""
    torch.set_num_threads(trial.threads)
    a, b = (torch.randn(2048, 2048).to(getattr(torch, trial.dtype)) for _ in range(2))
    times = []
    for _ in range(8):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times)


def needed(trial: Trial) -> float:
    """Operations a token that products of the layers cannot do without: forward, the gradient of what comes in, and in
    full tuning that of the weights; a teacher's forward; without attention, adapters and the output layer."""
    student = (6.0 if METHODS[trial.kind] is FULL else 4.0) * weights_of_layers(trial.model)
    return student + (2.0 * weights_of_layers(trial.teacher) if trial.objective == "kd" else 0.0)


def weights_of_layers(folder: Path) -> int:
    """Numbers in the linear maps of a model but its output layer."""
    modules = load_bundle(str(folder)).model.named_modules()
    linear = ((name, module) for name, module in modules if isinstance(module, torch.nn.Linear))
    return sum(module.weight.numel() for name, module in linear if name != "lm_head")


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
