"""Packages that only some steps need."""

from importlib import import_module
from typing import Any

from tutelage.errors import MissingExtra


def load_extra(module: str, feature: str) -> Any:
    """Import a package of the extra ``curate``; raises :class:`MissingExtra` with the line that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(feature, "curate") from error
