"""Debian's PostgreSQL on loopback, for as long as a test file takes: made with initdb, stopped by its folder."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USERS = ("postgres", "nobody")  # the server refuses to run as root


def binaries() -> Path:
    """Where initdb and pg_ctl lie; skips the test if they do not."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if folders and (folders[-1] / "initdb").exists():
        return folders[-1]
    if found := shutil.which("initdb"):
        return Path(found).parent
    pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """Give the URL of an empty database of a server of its own.

    Its files lie in a temporary folder that belongs to the account it runs under: pytest keeps its own to one account.
    """
    bin_, port, user = binaries(), free_port(), None
    if os.geteuid() == 0:
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = next((name for name in USERS if name in known), None)
        if user is None:
            pytest.skip("PostgreSQL does not run as root, and there is no other account")
    with tempfile.TemporaryDirectory(prefix="tutelage-postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        with _served(Path(folder) / "cluster", bin_, port=port, user=user):
            yield f"postgresql://tutelage@127.0.0.1:{port}/postgres"


@contextmanager
def _served(data: Path, bin_: Path, *, port: int, user: str | None) -> Iterator[None]:
    def call(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, user=user, cwd="/", timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    call(str(bin_ / "initdb"), "-D", str(data), "-U", "tutelage", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=50"
    log = data / "server.log"
    call(str(bin_ / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(log), "-w", "-t", "60", "start")
    try:
        yield
    finally:
        call(str(bin_ / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
