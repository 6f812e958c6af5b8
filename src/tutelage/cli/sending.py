"""A folder that was written goes to a hub, if that is asked for and somebody says yes."""

from dataclasses import dataclass
from pathlib import Path

import typer

from tutelage.cli.console import ERR, say, table
from tutelage.errors import InputErrors, Problem
from tutelage.pipeline.hub_push import Holds, files_to_send, push, require_push


@dataclass(frozen=True, slots=True)
class Sending:
    """Where the folder is sent to afterwards; None: nowhere. ``sure``: without asking."""

    repository: str | None
    sure: bool

    def require(self, *, offline: bool, command: str) -> None:
        """See before anything is made that it can be sent, and that somebody can say yes."""
        if self.repository is None:
            return
        require_push(self.repository, offline=offline, command=command)
        if not self.sure and not ERR.is_terminal:
            remedy = "add --yes if all of it may leave this machine"
            raise InputErrors(command, [Problem("nobody is here to say yes", "--push", self.repository, remedy)])

    def send(self, out: Path, *, holds: Holds, quiet: bool) -> None:
        """Say what would be sent, ask, and send it."""
        if self.repository is None:
            return
        files = files_to_send(out)
        if not self.sure:
            shown = table("file", "bytes", right=("bytes",))
            for name, size in files:
                shown.add_row(name, f"{size:,}")
            ERR.print(f"\nThis would be sent to {self.repository} (made private if it is not there):", markup=False)
            ERR.print(shown)
            typer.confirm(f"Send {len(files)} files, {sum(size for _, size in files):,} bytes?", abort=True, err=True)
        address = push(out, self.repository, holds=holds)
        if not quiet:
            say(f"Sent to {address}")
