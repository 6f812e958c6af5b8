"""Runs command lines in children of a process that has everything imported: ``python commands.py JOBS.json``.

A job is ``{"argv": [...], "cwd": path}`` and, where wanted, ``file_bytes`` (largest file that it may write),
``more_memory`` (bytes that it may take beyond what it has) and ``interrupt_at`` (Ctrl-C when this file is there). Each
is answered with a line of JSON: exit code (99: an exception nobody caught), and what was written to the two outputs.

``python commands.py --serve SOCKET`` does the same for shells: ``python -S commands.py --ask SOCKET ARGS`` is then the
command ``tutelage ARGS``, here and in the environment of who asks, on its inputs and outputs.
"""

import json
import os
import socket
import sys

if __name__ == "__main__" and sys.argv[1] == "--ask":  # before anything large is imported
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(sys.argv[2])
        asked = {"argv": sys.argv[3:], "cwd": os.getcwd(), "environment": dict(os.environ)}
        socket.send_fds(asking, [json.dumps(asked).encode()], [0, 1, 2])
        sys.exit(int(asking.recv(8)))

import gc
import resource
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import tutelage.cli.app
import tutelage.cli.run
import tutelage.pipeline.run
import tutelage.report.page
from tutelage.cli import main as command

assert tutelage.cli.app
assert tutelage.cli.run
assert tutelage.pipeline.run
assert tutelage.report.page


def child(job: dict[str, Any], out: int, err: int) -> None:
    """Be the command line."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(job["cwd"])
    os.environ.update(job.get("environment", {}))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "file_bytes" in job:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"],) * 2)
    if "more_memory" in job:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + job["more_memory"],) * 2)
    sys.argv = ["tutelage", *job["argv"]]
    code = 0
    try:
        command()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Do all jobs, one after another."""
    gc.freeze()  # children share what was imported, and search no garbage in it
    for job in json.loads(Path(sys.argv[1]).read_text()):
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            pid = os.fork()
            if not pid:
                child(job, out.fileno(), err.fileno())
            if "interrupt_at" in job:
                file = Path(job["cwd"]) / job["interrupt_at"]
                while not file.exists():
                    time.sleep(0.01)
                os.kill(pid, signal.SIGINT)
            _, status = os.waitpid(pid, 0)
            out.seek(0)
            err.seek(0)
            row = {"code": os.waitstatus_to_exitcode(status), "out": out.read(), "err": err.read()}
        print(json.dumps(row), flush=True)


def serve(path: str) -> None:
    """Be the command of one shell after another."""
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while True:
            asking, _ = server.accept()
            with asking:
                job, descriptors, *_ = socket.recv_fds(asking, 2**18, 3)
                pid = os.fork()
                if not pid:
                    os.dup2(descriptors[0], 0)
                    child(json.loads(job), *descriptors[1:])
                _, status = os.waitpid(pid, 0)
                for descriptor in descriptors:
                    os.close(descriptor)
                asking.send(str(os.waitstatus_to_exitcode(status) % 256).encode())


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "--serve" else main()
