"""Starts the processes of :mod:`together` as torchrun would, and waits for their ends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tutelage.tune import Step

SCRIPT = Path(__file__).parent / "together.py"
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


def start(folder: Path, jobs: list[dict[str, Any]], count: int = 2) -> list[subprocess.Popen[str]]:
    """Start processes that do ``jobs`` together, as torchrun would."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder / "jobs.json")],
            env={**os.environ, **common, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Wait for all and return their exit codes and errors; none of them outlives the test."""
    try:
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, errors) for process, errors in zip(processes, said, strict=True)]


def steps(of: dict[str, Any]) -> list[Step]:
    return [Step.from_json(line) for line in (Path(of["out"]) / "metrics.jsonl").read_text().splitlines()]
