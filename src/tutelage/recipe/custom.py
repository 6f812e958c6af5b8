"""Objects of one's own, named in a recipe: ``package.module:name`` or ``file.py:name``."""

import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tutelage.errors import TutelageError

# What code of one's own may raise for a reason of its own; stopping the process is not among it.
OWN_CODE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


OWN_MODULE = "_tutelage_own_"
"""How the names of modules begin that were made of a user's files: no other process can import them by name."""


def load_object(path: str, folder: Path | None = None) -> object:
    """Return the object that ``path`` names; a relative file is looked for in ``folder``.

    The file or module is executed: it is the user's own code. Raises :class:`TutelageError` when it is not there,
    cannot be imported, or has no such name (the nearest one is offered).
    """
    source, colon, name = path.rpartition(":")
    if not colon or not source or not name:
        remedy = "write package.module:name or file.py:name"
        raise TutelageError("the path of an object of your own has another form", received=path, remedy=remedy)
    module = _from_file(Path(source), folder) if source.endswith(".py") else _from_package(source)
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = (
                [public for public in vars(found) if not public.startswith("_")] if hasattr(found, "__dict__") else []
            )
            near = difflib.get_close_matches(part, names, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(names)[:20]) or 'nothing'}"
            raise TutelageError(f"there is no {name!r} in it", where=source, remedy=remedy)
        found = getattr(found, part)
    return found


@contextmanager
def in_words(what: str, code: object) -> Iterator[None]:
    """Say in words what ``code`` of a user's own raises, and where; what code of this package raises is a traceback.

    Raises :class:`TutelageError` with the last line of the user's that was reached.
    """
    try:
        yield
    except OWN_CODE_ERRORS as error:
        if _module_of(code).partition(".")[0] == __name__.partition(".")[0]:
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = _line_in(code, error) or f"{last.filename}:{last.lineno}"
        raised = f"{what} raised {type(error).__name__}: {error}"
        raise TutelageError(raised, where=where, remedy="mend it and run again") from error


def make(maker: Callable[..., object], options: Mapping[str, object], path: str) -> object:
    """Return what a class or function of a user's own makes of the ``options`` in a recipe.

    Raises :class:`TutelageError` when it refuses them or raises for another reason, with the last line of the user's
    that was reached; ``path`` is its name in the recipe.
    """
    with in_words(path, maker):
        try:
            return maker(**options)
        except (TypeError, ValueError) as error:
            where = _line_in(maker, error) or path
            raise TutelageError(f"it refuses its options: {error}", where=where) from error


def _module_of(code: object) -> str:
    return str(getattr(code, "__module__", None) or type(code).__module__)


def _line_in(code: object, error: Exception) -> str:
    """The last line that ``error`` passed in the file of ``code``; "" if it did not get there."""
    module = _module_of(code)
    frames = [(frame.f_globals, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    # A process to which the code was sent by value has neither its module nor its file name, but what it is called.
    places = [f"{names.get('__file__', module)}:{line}" for names, line in frames if names.get("__name__") == module]
    return places[-1] if places else ""


def _from_file(file: Path, folder: Path | None) -> ModuleType:
    file = ((folder or Path()) / file).resolve()
    if not file.is_file():
        raise TutelageError("there is no such Python file", where=str(file), remedy="check the path")
    name = f"{OWN_MODULE}{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TutelageError("it cannot be loaded as Python", where=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up there
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, *OWN_CODE_ERRORS) as error:
        del sys.modules[name]
        raise _not_imported(error, str(file)) from error
    return module


def _from_package(source: str) -> ModuleType:
    try:
        return importlib.import_module(source)
    except ImportError as error:
        remedy = "install it, or name a file as file.py:name"
        raise TutelageError(f"it cannot be imported: {error}", where=source, remedy=remedy) from error
    except (SyntaxError, *OWN_CODE_ERRORS) as error:
        raise _not_imported(error, source) from error


def _not_imported(error: Exception, source: str) -> TutelageError:
    """Say why a file or module cannot be imported, and in which line of whose."""
    machinery = {__file__, importlib.__file__}
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno or 1}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if f.filename not in machinery and not f.filename.startswith("<frozen")]
        where = f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else source
    what = f"it cannot be imported: {type(error).__name__}: {error}"
    return TutelageError(what, where=where, remedy="mend the file")
