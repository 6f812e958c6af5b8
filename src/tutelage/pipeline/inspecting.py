"""A file of rows, read and inspected. Free of torch: what needs a chat template is in ``coverage``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tutelage.curate.inspection import Wishes, inspect_rows
from tutelage.records.importers import Imported, import_rows
from tutelage.records.importers.benchmarks import Benchmark, read_benchmark
from tutelage.records.inspection import Inspection

AUTHOR = "expert"


def read_benchmarks(files: Sequence[Path]) -> list[Benchmark]:
    """Return the benchmarks of ``files``, called by the names of these, or by their paths where two have one name.

    Raises what :func:`read_benchmark` raises.
    """
    names = [file.name.partition(".")[0] for file in files]
    often = Counter(names)
    called = [name if often[name] == 1 else str(file) for name, file in zip(names, files, strict=True)]
    return [read_benchmark(file, name=name.replace(":", " ")) for file, name in zip(files, called, strict=True)]


def inspect_file(data: Path, wishes: Wishes, *, name: str = "") -> tuple[Imported, Inspection]:
    """Return the rows of a file or folder that ``name`` (default: its path) is called by, and their figures.

    Raises
    ------
    DataError: with every fault of the file. StorageError: it cannot be read.
    """
    imported = import_rows(data, author=AUTHOR)
    return imported, inspect_rows(imported, wishes, name=name or str(data))
