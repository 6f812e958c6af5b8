"""Eight people at once on one annotation store: judgments a second, and whether any is lost or doubled.

    python benchmarks/annotation.py --judgments 5000 --output benchmarks/results/annotation.json

Each person is a process with a token of their own that takes an item, saves a draft, submits a rating and sends it a
second time, until nothing is left. ``--kills`` of them are killed with SIGKILL, one every ``--kill-every`` seconds, and
come back at once. Every judgment that a process was told to be stored is looked for afterwards.

SQLite is a file in a temporary folder; ``postgresql`` a server that is started for this alone, from Debian's binaries
(``apt-get install postgresql``), on loopback. Both write through to the disk before they answer. ``--stores`` names
those to measure.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Rating
from tutelage.annotation.sql.progress import status
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Project
from tutelage.annotation.work import RateWork
from tutelage.files import write_atomic
from tutelage.records import user

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from support.postgres import postgres  # noqa: E402  the tests' own server

WORKER = TESTS / "support" / "annotating.py"
PEOPLE = 8


def filled(place: str, judgments: int, overlap: int) -> tuple[Store, list[str]]:
    """A store with one project, and the tokens of its people."""
    store = Store(place, create=True)
    store.new_project(Project(name="p", work=RateWork(), overlap=overlap))
    answer = (Candidate(key="a", text="Because the pump was off. " * 20),)
    count = judgments // overlap
    store.add_items("p", [WorkItem(id=f"i{n}", messages=(user(f"Why {n}?"),), answers=answer) for n in range(count)])
    return store, [store.invite("p", f"person {n}")[1] for n in range(PEOPLE)]


def started(place: str, token: str, folder: Path, number: int, life: int) -> subprocess.Popen[bytes]:
    with open(folder / f"{number}-{life}.txt", "wb") as told:
        command = [sys.executable, str(WORKER), place, token, str(1000 * number + life)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told)


def worked(place: str, tokens: list[str], folder: Path, kills: int, every_s: float) -> int:
    """Let the people work until nothing is left; return how many were killed."""
    lives = [0] * PEOPLE
    people = [started(place, token, folder, number, 0) for number, token in enumerate(tokens)]
    killed, last = 0, time.monotonic()
    try:
        while any(person.poll() is None for person in people):
            time.sleep(0.05)
            victim = killed % PEOPLE
            if killed < kills and time.monotonic() - last > every_s and people[victim].poll() is None:
                people[victim].kill()
                people[victim].wait()
                lives[victim] += 1
                people[victim] = started(place, tokens[victim], folder, victim, lives[victim])
                killed, last = killed + 1, time.monotonic()
    finally:
        for person in people:
            person.kill()
            person.wait()
    assert all(person.returncode == 0 for person in people), "a person could not go on"
    return killed


def measured(place: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    store, tokens = filled(place, options.judgments, options.overlap)
    start = time.perf_counter()
    killed = worked(place, tokens, folder, options.kills, options.kill_every)
    seconds = time.perf_counter() - start
    said = store.judgments("p", history=True)
    kept = {
        (int(one.annotator.removeprefix("annotator-")) - 1, one.item): one.response.scores["quality"]
        for one in said
        if isinstance(one.response, Rating)
    }
    told = {}
    for file in folder.glob("*.txt"):
        number = int(file.stem.partition("-")[0])
        lines = [line.split() for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        told |= {(number, item): int(score) for item, score in lines[1:]}  # the first says that they are there
    counts = Counter(Counter(one.item for one in said).values())
    found = status(store, "p")
    store.close()
    return {
        "judgments": len(said),
        "confirmed": len(told),
        "lost": sum(kept.get(key) != score for key, score in told.items()),
        "doubled": len(said) - len(kept),
        "items_by_judgments": {str(count): n for count, n in sorted(counts.items())},
        "items": found.items,
        "beyond": found.beyond,
        "killed": killed,
        "seconds": round(seconds, 1),
        "judgments_per_second": round(len(said) / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judgments", type=int, default=5000)
    parser.add_argument("--overlap", type=int, default=2)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--kill-every", type=float, default=8.0)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that people and servers are stopped, and folders removed
    results: dict[str, Any] = {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
        "people": PEOPLE,
        "overlap": options.overlap,
        "stores": {},
    }
    for kind in options.stores:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            lines = folder / "told"
            lines.mkdir()
            file = nullcontext(str(folder / "store.db"))
            with file if kind == "sqlite" else postgres() as place:
                results["stores"][kind] = {**measured(place, lines, options), "load": os.getloadavg()[0]}
        print(kind, json.dumps(results["stores"][kind]))
        if options.output is not None:
            write_atomic(options.output, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
