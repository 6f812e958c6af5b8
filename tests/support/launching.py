"""Starts the processes of :mod:`together` as torchrun would, and waits for their ends."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.forked import Child
from support.together import ANSWERS, QUESTIONS, work_together
from tutelage.tune import Step

PATIENCE_S = 120
COMMON: dict[str, Any] = {
    "optimizer": {"kind": "adamw", "lr": 1e-3},
    "batch_size": 2,  # of five rows: the last step of an epoch has one, and one process none
    "epochs": 2,
    "max_tokens": 200,
    "micro_batch_tokens": 64,
    "dtype": "float32",
    "checkpoint_every": 2,
}


def start(folder: Path, jobs: list[dict[str, Any]], count: int = 2) -> list[Child]:
    """Start processes that do ``jobs`` together, as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [
        Child(work_together, jobs, said=folder / f"{rank}.errors", environment={**common, "RANK": str(rank)})
        for rank in range(count)
    ]


def ended(processes: list[Child]) -> list[tuple[int | None, str]]:
    """Wait for all and return their exit codes and errors; none of them outlives the test."""
    try:
        return [process.wait(PATIENCE_S) for process in processes]
    finally:
        for process in processes:
            process.kill()


def by_torchrun(folder: Path, tune: str) -> subprocess.CompletedProcess[str]:
    """What the command said, of a recipe with this ``tune`` section on five rows, under torchrun with two processes."""
    rows = [{"prompt": q, "completion": a} for q, a in zip(QUESTIONS, ANSWERS, strict=True)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(
        f"name: together\nmodel: {{id: tiny}}\ntune: {{data: {{path: rows.jsonl}}, {tune}}}\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tutelage"]
    command = [*launch, "tune", "recipe.yaml", "-o", "out"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def steps(of: dict[str, Any]) -> list[Step]:
    return [Step.from_json(line) for line in (Path(of["out"]) / "metrics.jsonl").read_text().splitlines()]
