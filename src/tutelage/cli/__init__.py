"""The command line. Exit codes: 0 done, 1 other error, 2 input or recipe, 3 model, 4 run directory, 5 storage,
6 engine or endpoint, 7 training, 8 missing extra, 130 interrupted."""

import errno
import re
import sys

from tutelage.errors import TutelageError

INTERRUPTED = 130
_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def main() -> None:
    """Run the command line and leave with its exit code; errors are words, never tracebacks."""
    import typer
    from pydantic_core import PydanticSerializationError

    from tutelage.cli.app import app

    try:
        code = app(standalone_mode=False)
    except TutelageError as error:
        _fail(str(error), error.exit_code)
    except typer.TyperException as error:  # a command or an option that does not exist or lacks its value
        said = re.sub(r" \(Possible options: (.*)\)", r". Did you mean \1?", error.format_message())
        _fail(f"{said}\nAll commands and options: tutelage --help, tutelage COMMAND --help", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except PydanticSerializationError as error:
        if not str(error).rstrip(": ").endswith(KeyboardInterrupt.__name__):  # it wraps even an interrupt
            raise
        code = INTERRUPTED
    except MemoryError:
        _fail("the memory does not suffice; what was finished is kept. Choose a smaller model or batch", 1)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        _fail(f"{error.strerror}: {error.filename or 'storage'}. Free some space or choose another folder", 5)
    if code == INTERRUPTED:
        _fail("interrupted; what was finished is kept: the same command goes on from there, or anew", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    from tutelage.cli.console import fail
    from tutelage.launch import place

    here = place()
    fail(message if here.count == 1 else f"in process {here.rank}: {message}")
    sys.exit(code)
