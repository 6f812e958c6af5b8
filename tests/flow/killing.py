"""Runs a recipe in child processes and kills them at chosen moments: ``python killing.py JOBS.json``.

A job is ``{"recipe": path, "out": path, "kills": [[pattern, n], ...]}``: for each of its kills a child works in the run
directory until it makes the ``n``-th durable write (fsync) to a file whose path below ``out`` matches ``pattern``, and
dies there with SIGKILL; with a pattern of null it is killed after ``n`` seconds. A last child is left alone. After
``[pattern, n, "torn"]`` the line being appended is cut in half first. With ``"copy": path`` the directory begins as a
copy of another, without the files of ``"without"``.

Each child's end is printed as a line of JSON: exit code or minus the signal, and the durable writes it made.
"""

import gc
import json
import os
import re
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tutelage.errors import TutelageError
from tutelage.events import silent
from tutelage.pipeline.run import run
from tutelage.recipe import load_recipe


def watch(out: Path, pattern: str | None, number: int, torn: bool, report: int) -> None:
    """Count durable writes from now on, and die at the chosen one."""
    fsync, write = os.fsync, os.write
    seen = 0

    def name_of(descriptor: int) -> str:
        return os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), out)

    def due(descriptor: int) -> bool:
        nonlocal seen
        if pattern is None or re.search(pattern, name_of(descriptor)) is None:
            return False
        seen += 1
        return seen == number

    def watched_fsync(descriptor: int) -> None:
        write(report, (name_of(descriptor) + "\n").encode())
        if not torn and due(descriptor):
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    def watched_write(descriptor: int, block: Any) -> int:
        if torn and due(descriptor):
            write(descriptor, bytes(block)[: len(block) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, block)

    os.fsync, os.write = watched_fsync, watched_write


def child(job: dict[str, Any], kill: list[Any] | None, report: int) -> None:
    """Work in the run until the end or the kill, and leave."""
    out = Path(job["out"]).resolve()
    pattern, number, *how = kill if kill is not None else (None, 0)
    watch(out, pattern, number, how == ["torn"], report)
    try:
        run(load_recipe(job["recipe"]), out, emit=silent)
    except TutelageError as error:
        print(error, file=sys.stderr)
        os._exit(error.exit_code)
    except BaseException:
        traceback.print_exc()
        os._exit(99)
    os._exit(0)


def main() -> None:
    """Do all jobs, one after another."""
    gc.freeze()  # children share what was imported, and search no garbage in it
    for number, job in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        if "copy" in job:
            shutil.copytree(job["copy"], job["out"])
        for name in job.get("without", []):
            (Path(job["out"]) / name).unlink()
        for kill in [*job["kills"], None]:
            trace = Path(job["out"] + ".trace")
            report = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            pid = os.fork()
            if not pid:
                child(job, kill, report)
            if kill is not None and kill[0] is None:
                time.sleep(kill[1])
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            os.close(report)
            code = os.waitstatus_to_exitcode(status)
            writes = trace.read_text().splitlines()
            print(json.dumps({"job": number, "kill": kill, "code": code, "writes": writes}), flush=True)


if __name__ == "__main__":
    main()
