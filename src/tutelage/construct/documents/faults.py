"""Why a document cannot be read, and the packages that read documents."""

from importlib import import_module
from typing import Any

from tutelage.errors import MissingExtra, Problem

EXTRA = "documents"


class Unreadable(ValueError):
    """A file of which no text comes: ``what`` is wrong, what was ``received``, what to do."""

    def __init__(self, what: str, received: str = "", remedy: str = "") -> None:
        super().__init__(f"{what} ({received})" if received else what)
        self.what, self.received, self.remedy = what, received, remedy

    def at(self, name: str) -> Problem:
        """The problem of the file ``name``."""
        return Problem(self.what, name, self.received, self.remedy)


def load_extra(module: str) -> Any:
    """Import a package that reads documents; raises :class:`MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra("reading documents other than plain text", EXTRA) from error
