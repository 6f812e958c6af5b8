"""Words of the command line that are no UTF-8: Python keeps their bytes as lone surrogates, which nothing can store."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

from tutelage.errors import DataError, Problem

UTF8 = "set the terminal and the locale to UTF-8, or rename the file"


class Readable(TyperGroup):
    """Commands whose words are all UTF-8: others are refused before any command runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what cannot be read, then go on as typer does."""
        check_readable(args)
        return super().parse_args(ctx, args)


def check_readable(arguments: Sequence[str]) -> None:
    """Raise :class:`DataError` for what was typed in bytes that are no UTF-8, which no store and no file could keep."""
    problems = [
        Problem("it is not UTF-8", received=one.encode("utf-8", "backslashreplace").decode()[:60], remedy=UTF8)
        for one in arguments
        if any("\ud800" <= character <= "\udfff" for character in one)
    ]
    if problems:
        raise DataError("the command line", problems)
