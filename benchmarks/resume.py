"""Kill a real run in every stage and compare what it says with an uninterrupted one.

    python benchmarks/resume.py recipes/quickstart.yaml --work runs/resume --output benchmarks/results/resume.json

The recipe runs once undisturbed. Then it runs again in another folder: in each of the five stages of round 1 the
process is killed with SIGKILL at a random moment of that stage, and the same command is given again. At the end
every record, answer, score, loss and weight of the two runs is compared, and the model card; times, the event log,
the manifest and the report page (which tells times) are not.

``--set`` overrides keys of the recipe, as in ``tutelage run``.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tutelage.files import sha256_file, write_atomic
from tutelage.runs import RunDirectory

STAGES = ("construct", "curate", "tune", "evaluate", "gate")
OF_THE_PROCESS = {"events.jsonl", "timing.jsonl", "manifest.json", "stage.json", "lock", "index.html"}
TIMED = {"seconds", "tokens_per_second", "peak_rss_bytes", "peak_device_bytes"}


def command(recipe: Path, out: Path, settings: list[str]) -> list[str]:
    """The command that both runs are given."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "tutelage", "run", str(recipe), "--out", str(out), "--quiet", *overrides]


def kill_in(stage: str, after: float, *, asked: list[str], out: Path) -> float | None:
    """Start the run, kill it ``after`` seconds into a stage of round 1; None if the stage was over before."""
    folder = out / "rounds" / "1" / stage
    process = subprocess.Popen(asked, start_new_session=True)
    while not folder.is_dir():
        if process.poll() is not None:
            raise SystemExit(f"the run ended by itself with {process.returncode} before {stage}")
        time.sleep(0.01)
    began = time.monotonic()
    while time.monotonic() - began < after and not (folder / "stage.json").is_file():
        time.sleep(0.01)
    at = None if (folder / "stage.json").is_file() else round(time.monotonic() - began, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return at


def contents(run: Path) -> dict[str, object]:
    """Every file of a run by name: records without times, logs of answers by request, other files by their hash."""
    found: dict[str, object] = {}
    for file in sorted(path for path in run.rglob("*") if path.is_file() and path.name not in OF_THE_PROCESS):
        name = str(file.relative_to(run))
        if file.suffix == ".jsonl":
            rows = [_untimed(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
            found[name] = sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
        elif file.suffix == ".json":
            found[name] = _untimed(json.loads(file.read_text(encoding="utf-8")))
        else:
            found[name] = sha256_file(file)
    return found


def _untimed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _untimed(part) for key, part in value.items() if key not in TIMED}
    return [_untimed(part) for part in value] if isinstance(value, list) else value


def main() -> None:
    """Run, kill, compare; exits with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="a folder for both runs")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    whole, killed = given.work / "whole", given.work / "killed"
    subprocess.run(command(given.recipe, whole, given.settings), check=True)
    stages = RunDirectory.open(whole).stages()
    moments = random.Random(given.seed)
    kills: dict[str, float | None] = {}
    asked = command(given.recipe, killed, given.settings)
    for stage in STAGES:
        after = moments.uniform(0.1, 0.9) * stages[f"rounds/1/{stage}"].seconds
        kills[stage] = kill_in(stage, after, asked=asked, out=killed)
        print(f"killed in {stage} after {kills[stage]} s" if kills[stage] else f"{stage} was over", flush=True)
    subprocess.run(asked, check=True)
    left, right = contents(whole), contents(killed)
    differing = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    print(f"{len(left)} files compared, {len(differing)} differ", *differing, sep="\n  ")
    if given.output:
        figures = {
            "recipe": str(given.recipe),
            "settings": given.settings,
            "seed": given.seed,
            "killed_after_seconds": kills,
            "files": len(left),
            "differing": differing,
        }
        write_atomic(given.output, json.dumps(figures, indent=1) + "\n")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
