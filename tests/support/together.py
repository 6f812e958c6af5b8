"""Tunes as one of several processes, with the variables that torchrun sets.

A job is ``{"out": path, "section": {...}}`` and, where wanted, ``"die": n`` (SIGKILL to every process after step n) or
``"fault": [rank, n]`` (an error of one process alone after step n). With ``"held": path`` it is one step, and every
process writes to ``path.RANK`` how many bytes it holds then.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from tutelage.errors import TrainingError
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Step, Summary, train
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.rows import Pair, Rated, Row
from tutelage.tune.training.attention import connect
from tutelage.tune.training.processes import ALONE, Processes, joined
from tutelage.tune.training.sharding import moving
from tutelage.tune.training.step import Batch, accumulate, update

QUESTIONS = ("What is the name?", "Where is the river?", "Is it stated?", "Say thanks.", "Write a title.")
ANSWERS = ("It is the river.", "In the garden.", "It is not stated.", "Thanks.", "<<The title>>")


def work(job: dict[str, Any], processes: Processes = ALONE) -> Summary:
    """Do a job on five rows and return its summary."""
    bundle, section = tiny_model(), TuneSection.model_validate(job["section"])
    documents = [bundle.template.encode((user(q), assistant(a))) for q, a in zip(QUESTIONS, ANSWERS, strict=True)]
    others = [bundle.template.encode((user(q), assistant(a))) for q, a in zip(QUESTIONS, ANSWERS[::-1], strict=True)]
    rows: list[Row] = list(documents)
    if section.objective.rows == "pairs":
        rows = [Pair(one, other) for one, other in zip(documents, others, strict=True)]
    if section.objective.rows == "unpaired":
        rows = [Rated(one, place % 2 == 0) for place, one in enumerate(documents)]
    for news in train(bundle, rows, section, folder=Path(job["out"]), seed=3, processes=processes):
        if isinstance(news, Step):
            if job.get("die") == news.step:
                os.kill(os.getpid(), signal.SIGKILL)
            if job.get("fault") == [processes.rank, news.step]:
                raise TrainingError("a fault of this process alone")
        elif isinstance(news, Summary):
            return news
    raise AssertionError("training ended without a summary")


def held(job: dict[str, Any], processes: Processes = ALONE) -> dict[str, Any]:
    """Make one step on two rows; return the bytes of weights, their float32 copies and moments that this process holds
    then, and what the model is afterwards."""
    bundle, section = tiny_model(), TuneSection.model_validate(job["section"])
    kind, size = type(bundle.model).__name__, sum(weight.numel() for weight in bundle.model.parameters())
    rows = [bundle.template.encode((user(q), assistant(a))) for q, a in zip(QUESTIONS[:2], ANSWERS, strict=False)]
    tuned = build_method(section.method)(bundle, 0)
    with (
        connect(tuned.model) as network,
        moving(tuned, network, section, processes=processes) as (network, optimizer),
    ):
        batch = Batch(1, Sft(), range(len(rows)), rows)
        accumulate(network, [batch], optimizer=optimizer, limit=64, seed=0, processes=processes)
        update(optimizer, batch, lr=1e-3, clip_norm=1.0)
        moments = [value for state in optimizer._torch.state.values() for value in state.values()]
        weights = [one.to_local() if isinstance(one, DTensor) else one for one in bundle.model.parameters()]
        kept = {one.data_ptr(): one.nbytes for one in (*weights, *optimizer.masters.values(), *moments) if one.numel()}
        found = {"bytes": sum(kept.values())}
    tuned.release()
    left = sum(weight.numel() for weight in bundle.model.parameters())
    hooked = any(module._forward_pre_hooks or module._forward_hooks for module in bundle.model.modules())
    return {**found, "is itself": type(bundle.model).__name__ == kind and not hooked, "has": left / size}


def work_together(jobs: list[dict[str, Any]]) -> int:
    """Do all jobs, one after another, and return the exit code."""
    try:
        with joined(torch.device("cpu")) as processes:
            for job in jobs:
                if "held" in job:
                    Path(f"{job['held']}.{processes.rank}").write_text(json.dumps(held(job, processes)))
                else:
                    work(job, processes)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
