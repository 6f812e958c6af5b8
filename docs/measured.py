"""The page of what was measured: tables of the files that benchmarks/tuning.py and benchmarks/effects.py left."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
INTRODUCTION = """
# What was measured

Every table is made from files in `benchmarks/results`, each of which names the command that made it.
"""
SPEED = """
## Speed and memory of tuning

Tokens a second (documents as they are, no padding) and peak memory of the process, medians over the turns. Trainers are
compared in one run on one machine, taken from outside the process, as slopes between few and many rows; that says
little about another machine. *Share*: products of the layers over what large matrix products reach on that machine.
"""
EFFECTS = """
## What objectives and methods do to a real model

On rows that nobody learned from; means over seeds with a 95 % t interval, or of one seed with its interval over rows.
"""
WHAT = {
    ("dpo", "accuracy"): "DPO: share of pairs whose chosen answer has the higher reward (chance: .5)",
    ("dpo", "accuracy of all pairs"): "DPO: the same over the pairs of all folds, each held out once (Wilson)",
    ("kd", "divergence"): "KD: by how much less the student diverges from its teacher than after SFT (nats)",
    ("kd", "loss"): "KD: by how much lower its loss is than after SFT (nats)",
    ("grpo", "over start"): "GRPO: score over the start's",
    ("grpo", "over placebo"): "GRPO: score over that of verdicts dealt at random",
}
FALL = "loss fell by (nats)"


def measured_page() -> str:
    """Return the page, in Markdown."""
    parts = [INTRODUCTION]
    if tunings := list(_read("tuning")):
        columns = ["what", "machine", "ours", "", "TRL's default", "", "TRL's best found", "", "share"]
        parts += [SPEED, "\n", _row(columns), _row(["---"] * len(columns))]
        parts += [_tuning(name, report) for name, report in tunings]
    if effects := list(_read("effects")):
        parts += [EFFECTS, "\n| what | figure | seeds | file |\n|---|---|---|---|\n"]
        parts += [line for name, report in effects for line in _effects(name, report)]
    return "".join(parts)


def _read(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(RESULTS.glob(f"{kind}-*.json")):
        yield file.name, json.loads(file.read_text(encoding="utf-8"))


def _tuning(name: str, report: Mapping[str, Any]) -> str:
    settings, machine, turns = report["settings"], report["machine"], report["turns"]
    rows = " and ".join(report["rows"])
    what = f"[{settings['kind']}](../../benchmarks/results/{name}), {settings['data']}, {rows} rows"
    where = f"{machine['processor']}, {machine['instructions']}, {machine['threads']} threads, {machine['dtype']}"
    cells = [what, where]
    for contender in ("tutelage", "trl", "trl-best"):
        found = [turn[contender] for turn in turns if contender in turn]
        if not found:
            cells += ["–", "–"]
            continue
        speed, memory = (median(one[of] for one in found) for of in ("tokens_per_second", "peak_bytes"))
        times = f" ({_times(report, contender)})" if contender != "tutelage" else ""
        cells += [f"{speed:,.0f} tokens/s{times}", f"{memory / 1e9:.2f} GB"]
    cells.append(f"{report['products']['share']:.2f} of {report['products']['peak_tflops']:.2f} TFLOP/s")
    return _row(cells)


def _times(report: Mapping[str, Any], contender: str) -> str:
    return f"ours: {report['ratios'][contender]['times_as_fast']:.1f} ×"


def _effects(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    kind = report["settings"]["kind"]
    file = f"[{name}](../../benchmarks/results/{name})"
    for of, found in report["over_seeds"].items():
        what = WHAT.get((kind, of), f"{of}: {FALL}")
        yield _row([what, _figure(found, report, kind, of), str(found["seeds"]), file])


def _figure(found: Mapping[str, float], report: Mapping[str, Any], kind: str, of: str) -> str:
    if "low" in found:
        return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    (seed,) = report["seeds"].values()
    match kind:
        case "dpo":
            low, high = seed["interval"]
        case "kd":
            _, low, high = seed["sft - kd"][of]
        case "grpo":
            _, low, high = seed["grpo"][of]
        case _:
            _, low, high = seed[of]["fell"]
    return f"{found['mean']:.3f} ({low:.3f} to {high:.3f}, over rows)"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"
