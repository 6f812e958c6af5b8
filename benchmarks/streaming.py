"""How much memory and time ``tutelage curate`` takes for a file, and what it takes when the rows are held.

    python benchmarks/streaming.py --data rows.json --rows 10000 100000 --output benchmarks/results/streaming.json

The rows are those of ``benchmarks/duplicates.py``: sentences of real ones, each fifth row a changed copy, in a file of
JSON Lines. ``way`` is ``streamed``, the command with as many ``--workers``, or ``held``: the same steps by
``tutelage.curate``, which returns the rows and takes all cores from 20,000 of them on. Each is measured in a process of
its own, looked at from outside five times a second: ``peak_mb`` is the largest resident memory of that process (VmHWM),
``all_mb`` the largest sum of it and of its workers, whose shared pages count for each. ``nothing`` curates ten rows:
what the program itself takes. ``kept`` is a digest of the kept rows: equal for all ways.

``--bytes`` adds files of at least so many bytes in place of numbers of rows; those are only streamed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duplicates import made

from tutelage.files import sha256_file, write_atomic

HELD = "import sys, tutelage; from pathlib import Path; tutelage.curate(sys.argv[1], out=Path(sys.argv[2]))"
LOOK_S = 0.2


def write_rows(data: Path, file: Path, *, rows: int = sys.maxsize, size: int = sys.maxsize) -> int:
    """Write at most ``rows`` rows, until the file has ``size`` bytes, and return how many they are."""
    count = written = 0
    with file.open("w") as out:
        for row in made(data, rows):
            written += out.write(row.to_json() + "\n")
            count += 1
            if written >= size:
                break
    return count


def resident(pid: int) -> tuple[int, int]:
    """The largest resident memory of a process so far, and that of it and its descendants now, in kB."""
    peak = total = 0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            children = [
                Path(f"/proc/{one}/task/{task}/children").read_text() for task in os.listdir(f"/proc/{one}/task")
            ]
        except OSError:  # it has ended
            continue
        found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        total += int(found.get("VmRSS", 0))
        if one == pid:
            peak = int(found.get("VmHWM", 0))
        waiting += [int(child) for line in children for child in line.split()]
    return peak, total


def measure(command: Sequence[str], out: Path) -> dict[str, Any]:
    """Run a command and return its seconds, its memory and what it kept."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = total = 0
    while process.poll() is None:
        now, all_now = resident(process.pid)
        peak, total = max(peak, now), max(total, all_now)
        time.sleep(LOOK_S)
    if process.returncode:
        assert process.stderr is not None
        raise SystemExit(process.stderr.read().decode())
    ledger = json.loads((out / "ledger.json").read_text())
    return {
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": round(peak / 1024),
        "all_mb": round(total / 1024),
        "rows": ledger["rows_in"],
        "rows_kept": ledger["kept"],
        "kept": sha256_file(out / "records.jsonl")[:16],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rows in any form that tutelage reads")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--bytes", type=float, nargs="*", default=[])
    parser.add_argument("--workers", type=int, nargs="+", default=[os.cpu_count() or 1])
    parser.add_argument("--without-held", action="store_true", help="measure no rows in memory")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    runs: list[dict[str, Any]] = []
    jobs = [("nothing", {"rows": 10}), *(("rows", {"rows": rows}) for rows in given.rows)]
    jobs += [("bytes", {"size": int(size)}) for size in given.bytes]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        for kind, wanted in jobs:
            write_rows(given.data, file, **wanted)
            ways = {} if given.without_held or kind == "bytes" else {"held": [sys.executable, "-c", HELD]}
            for workers in [1] if kind == "nothing" else given.workers:
                command = [sys.executable, "-m", "tutelage", "curate", "--quiet", "--workers", str(workers)]
                ways[f"streamed by {workers}"] = command
            for way, command in ways.items():
                out = Path(folder) / f"out{len(runs)}"
                flag = [] if way == "held" else ["-o"]
                found = measure([*command, str(file), *flag, str(out)], out)
                name = "nothing" if kind == "nothing" else f"{file.stat().st_size / 1e6:,.0f} MB"
                runs.append({"file": name, "way": way, **found})
                print(json.dumps(runs[-1]), flush=True)
    words = (Path(word).name if word in (str(given.data), sys.argv[0]) else word for word in sys.argv)
    said = {"machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}", "runs": runs}
    said["command"] = "python benchmarks/" + " ".join(words)
    if given.output is not None:
        write_atomic(given.output, json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
