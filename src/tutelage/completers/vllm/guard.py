"""Runs a command that cannot outlive whoever started it: ``python guard.py COMMAND ARGUMENT...``.

The command ends when the guard's standard input does: closed on purpose, or by the operating system because the process
at its other end was killed. The whole group goes, for a server has workers of its own. Imports the standard library
alone, so that it is there at once and holds no memory.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_S = 20.0
"""Seconds between the request to end and the end."""


def main(command: list[str]) -> int:
    """Run ``command`` and return its exit code, of a signal 128 and more."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: _end(child))
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    code = child.wait()
    _send(child, signal.SIGKILL)  # workers that it left
    return code if code >= 0 else 128 - code


def _watch(child: "subprocess.Popen[bytes]") -> None:
    while os.read(0, 1024):
        pass
    _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    _send(child, signal.SIGTERM)
    killing = threading.Timer(GRACE_S, _send, (child, signal.SIGKILL))
    killing.daemon = True
    killing.start()


def _send(child: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
