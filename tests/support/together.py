"""Tunes as one of several processes, with the variables that torchrun sets.

A job is ``{"out": path, "section": {...}}`` and, where wanted, ``"die": n`` (SIGKILL to every process after step n) or
``"fault": [rank, n]`` (an error of one process alone after step n).
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from tutelage.errors import TrainingError
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Step, Summary, train
from tutelage.tune.rows import Pair, Rated, Row
from tutelage.tune.training.processes import ALONE, Processes, joined

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


def work_together(jobs: list[dict[str, Any]]) -> int:
    """Do all jobs, one after another, and return the exit code."""
    try:
        with joined(torch.device("cpu")) as processes:
            for job in jobs:
                work(job, processes)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
