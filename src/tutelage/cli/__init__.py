"""The command line. Exit codes: 0 done, 1 other error, 2 input or recipe, 3 model, 4 run directory, 5 storage,
6 engine or endpoint, 7 training, 8 missing extra, 130 interrupted."""

import errno
import sys

from tutelage.errors import TutelageError

INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with its exit code; errors are words, never tracebacks."""
    from tutelage.cli.app import app

    try:
        app(standalone_mode=False)
    except TutelageError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again to go on", INTERRUPTED)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}:
            raise
        _fail(f"{error.strerror}: {error.filename or 'storage'}. Free some space or choose another folder", 5)


def _fail(message: str, code: int) -> None:
    from tutelage.cli.console import fail

    fail(message)
    sys.exit(code)
