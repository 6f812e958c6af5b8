"""A run may be killed at any moment: the same command goes on, and in the end says what an uninterrupted run says."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RECIPE = f"""
name: words
seed: 3
rounds: 2
model: {{id: tiny}}
engines: {{chunk: 8, reference_batch: 4, threads: 1}}
tasks:
  - {{kind: custom, path: "{HERE / "words_task.py"}:Words"}}
construct:
  temperature: 0.8  # so that some of the tiny model's answers pass and some fail
  prompts: 10
  max_tokens: 110
  expert: {{per_cell: 3}}
  distill: {{shots: 1, samples: 4}}
  self_improve: {{samples: 4, revisions: 1}}
  rehearsal: {{prompts: 3}}
tune:
  batch_size: 2
  epochs: 2
  checkpoint_every: 2
  early_stopping: {{items: 2, every: 2, patience: 99, max_tokens: 8}}
reflect: {{gate: {{resamples: 1000}}}}
evaluate: {{probe: 3, gate: 3, test: 2, max_tokens: 8, general_prompts: 2}}
controls: {{few_shot: true, expert_only: true, placebo: true}}
"""
# Where to die: a pattern of the file that is being made durable, and how often it has to come before; "torn" where half
# a line is left.
MOMENTS = [
    (r"^\.recipe\.json", 1),  # before there is anything
    (r"rounds/0/evaluate/answers", 2),
    (r"rounds/0/evaluate/answers", 2, "torn"),
    (r"rounds/1/construct/teacher", 3, "torn"),
    (r"rounds/1/construct/teacher", 9),  # in the middle of a chunk
    (r"rounds/1/construct/\.preferences", 1),
    (r"rounds/1/construct$", 5),  # renamed, and not yet known to the disk
    (r"rounds/1/curate/\.dropped", 1),
    (r"rounds/1/tune/metrics", 3),
    (r"rounds/1/tune/metrics", 1, "torn"),
    (r"rounds/1/tune/looks", 1),
    (r"rounds/1/tune/checkpoints/\.0.*partial$", 1),
    (r"rounds/1/tune/\.weights", 1),
    (r"rounds/1/tune/\.summary", 1),
    (r"rounds/1/gate/before/general_answers", 1),
    (r"rounds/1/gate/after/answers", 4),
    (r"rounds/1/gate/\.verdict", 1),
    (r"\.probe_matrix", 1),
    (r"^events", 2, "torn"),
    (r"rounds/2/construct/attempts", 3),
    (r"rounds/2/gate/after/answers", 2, "torn"),
    (r"rounds/2/gate/\.stage", 1),
    (r"final/placebo-rows/placebo", 3),
    (r"final/placebo-tune/metrics", 2),
    (r"^\.outcome", 1),
    (r"^\.manifest", 1),
]
OF_THE_PROCESS = {"events.jsonl", "timing.jsonl", "manifest.json", "stage.json", "lock"}
"""Files about the work itself: a run that was killed has more of it."""
TIMED = {"seconds", "tokens_per_second", "peak_rss_bytes", "peak_device_bytes"}


@dataclass(frozen=True)
class Killed:
    """What became of a run directory: each child's kill, exit code and durable writes."""

    path: Path
    children: list[dict[str, Any]]

    @property
    def codes(self) -> list[int]:
        return [child["code"] for child in self.children]


def contents(run: Path) -> dict[str, Any]:
    """Return every file of a run by its name, without times; logs of answers by request, in whatever order."""
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("*")):
        name = str(file.relative_to(run))
        if file.is_dir() or file.name in OF_THE_PROCESS:
            continue
        if file.suffix == ".jsonl":
            rows = [untimed(json.loads(line)) for line in file.read_bytes().splitlines()]
            is_log = bool(rows) and "request_id" in rows[0]
            found[name] = sorted(rows, key=lambda row: row["request_id"]) if is_log else rows
        elif file.suffix == ".json":
            found[name] = untimed(json.loads(file.read_text(encoding="utf-8")))
        else:
            found[name] = file.read_bytes()
    return found


def untimed(value: Any) -> Any:
    """Return ``value`` without the keys that hold times or memory."""
    if isinstance(value, dict):
        return {key: untimed(part) for key, part in value.items() if key not in TIMED}
    return [untimed(part) for part in value] if isinstance(value, list) else value


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of files that are in one of the runs only, or say something else."""
    left, right = contents(one), contents(other)
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def work(folder: Path, jobs: Sequence[dict[str, Any]]) -> list[Killed]:
    """Do ``jobs`` of killing.py in one process that forks for each try."""
    (folder / "words.yaml").write_text(RECIPE)
    paths = [folder / job["out"] for job in jobs]
    written = [{**job, "recipe": str(folder / "words.yaml"), "out": str(folder / job["out"])} for job in jobs]
    (folder / "jobs.json").write_text(json.dumps(written))
    done = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), str(folder / "jobs.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [Killed(path, [row for row in rows if row["job"] == index]) for index, path in enumerate(paths)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Killed]:
    """One run left alone, one killed at every moment of ``MOMENTS``, one killed by the clock."""
    folder = tmp_path_factory.mktemp("resume")
    clock = random.Random(5)
    jobs = [
        {"out": "whole", "kills": []},
        {"out": "killed", "kills": MOMENTS},
        {"out": "clock", "kills": [[None, clock.uniform(0.3, 2.0)] for _ in range(4)]},
        {"out": "again", "kills": [], "copy": str(folder / "whole")},
        {"out": "reread", "kills": [], "copy": str(folder / "whole"), "without": ["manifest.json"]},
    ]
    return dict(zip([job["out"] for job in jobs], work(folder, jobs), strict=True))


def test_every_kill_hit_and_the_last_try_finished(runs: dict[str, Killed]) -> None:
    assert runs["whole"].codes == [0]
    hits = list(zip(runs["killed"].codes, runs["killed"].children, strict=True))
    assert [child["kill"] for code, child in hits if code != -signal.SIGKILL] == [None], "each moment came and killed"
    assert runs["clock"].codes[-1] == 0


@pytest.mark.parametrize("name", ["killed", "clock"])
def test_the_run_says_what_an_uninterrupted_one_says(runs: dict[str, Killed], name: str) -> None:
    assert differences(runs["whole"].path, runs[name].path) == []


def test_what_is_compared_is_a_whole_run(runs: dict[str, Killed]) -> None:
    """The comparison is worth something: every paradigm gave rows, lessons were revised, losses were logged."""
    found = contents(runs["whole"].path)
    rows = found["rounds/1/construct/records.jsonl"] + found["rounds/2/construct/records.jsonl"]
    assert {row["lineage"]["paradigm"] for row in rows} == {"expert", "distill", "self", "rehearsal"}
    assert found["rounds/1/construct/revisions.jsonl"]
    assert found["rounds/1/construct/preferences.jsonl"]
    assert all(step["loss"] > 0 for step in found["rounds/1/tune/metrics.jsonl"])
    assert len(found["rounds/1/tune/metrics.jsonl"]) >= 4, "so that a checkpoint lies between kill and end"
    assert len(found["rounds/1/tune/looks.jsonl"]) >= 3, "and looks on both sides of it"
    assert {"rounds/2/gate/verdict.json", "outcome.json", "matrix.json", "best.json"} - found.keys() <= {"best.json"}
    changed = {**found, "rounds/1/evaluate/scores.jsonl": []}
    assert changed != found


@pytest.mark.parametrize("name", ["killed", "clock"])
def test_nothing_is_left_over(runs: dict[str, Killed], name: str) -> None:
    path = runs[name].path
    assert list(path.rglob("*.partial")) == []
    assert list(path.rglob("checkpoints")) == []
    assert list(path.rglob("tune/best")) == []
    for log in path.rglob("*.jsonl"):
        assert log.read_bytes().endswith(b"\n") or not log.stat().st_size
        for line in log.read_bytes().splitlines():
            json.loads(line)


def test_an_answer_that_was_logged_is_never_asked_again(runs: dict[str, Killed]) -> None:
    for name in ("killed", "clock"):
        for log in runs[name].path.glob("rounds/*/*/*.jsonl"):
            ids = [json.loads(line).get("request_id") for line in log.read_bytes().splitlines()]
            asked = [found for found in ids if found is not None]
            assert len(set(asked)) == len(asked), log


def test_the_manifest_is_the_last_thing_a_run_writes(runs: dict[str, Killed]) -> None:
    writes = runs["whole"].children[0]["writes"]
    manifest = next(place for place, name in enumerate(writes) if name.startswith(".manifest.json"))
    assert set(writes[manifest + 1 :]) <= {".", "events.jsonl"}
    for stage in ("rounds/1/construct", "rounds/1/curate", "rounds/1/tune", "rounds/1/gate", "final/start"):
        of_stage = [name for name in writes if name.startswith(f"{stage}/")]
        assert of_stage[-1].startswith(f"{stage}/.stage.json"), "stage.json makes a stage finished, so it comes last"


def test_a_finished_run_is_only_read(runs: dict[str, Killed]) -> None:
    again = runs["again"]
    assert again.codes == [0]
    assert again.children[0]["writes"] == []
    for file in (found for found in runs["whole"].path.rglob("*") if found.name != "lock"):
        copy = again.path / file.relative_to(runs["whole"].path)
        assert file.is_dir() or (
            copy.read_bytes() == file.read_bytes() and copy.stat().st_mtime == file.stat().st_mtime
        )


def test_finished_stages_are_not_judged_again(runs: dict[str, Killed]) -> None:
    """A check may be a person or a model, and may have changed: what the plan rests on stays as it was."""
    reread = runs["reread"]
    assert reread.codes == [0]
    assert not [name for name in reread.children[0]["writes"] if name.startswith(("rounds/", "final/"))]
    assert differences(runs["whole"].path, reread.path) == []
