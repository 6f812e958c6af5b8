"""Keep the figures of a finished run in one small archive, so that a table made from it can be made again.

    python benchmarks/keep.py runs/proof-0 --out benchmarks/results/proof-0.tar.gz

Kept are the recipe, the outcome, the manifest (versions, machine, seconds), what every model scored on every test item,
the verdicts of the gate and the report. Weights, answers and training rows stay in the run, which the same recipe
makes again. ``benchmarks/replicate.py`` reads such an archive as it reads the run itself. The same run gives the same
bytes.
"""

import argparse
import gzip
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tutelage.errors import RunError, TutelageError
from tutelage.files import write_atomic
from tutelage.runs import RunDirectory

REPORT = "report/index.html"
KEPT = (
    "recipe.json",
    "outcome.json",
    "manifest.json",
    "final/*/scores.jsonl",
    "rounds/*/gate/verdict.json",
    REPORT,
)


def kept_files(run: Path) -> Iterator[Path]:
    """Yield the files to keep, in a fixed order."""
    for pattern in KEPT:
        yield from sorted(run.glob(pattern))


def archive(run: Path) -> bytes:
    """Return the archive of a finished run, without times and owners of files.

    Raises RunError for a folder that holds no run, one that has not finished, or one without its report.
    """
    if not RunDirectory.open(run).finished:
        raise RunError("the run has not finished", where=str(run), remedy="give the command that began it again")
    if not (run / REPORT).is_file():
        raise RunError("its report is not there", where=str(run / REPORT), remedy=f"tutelage report {run}")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as whole:
        for file in kept_files(run):
            member = tarfile.TarInfo(str(file.relative_to(run)))
            member.size = file.stat().st_size
            with file.open("rb") as content:
                whole.addfile(member, content)
    return gzip.compress(plain.getvalue(), mtime=0)


def main() -> None:
    """Write the archive; say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="the archive to write, .tar.gz")
    given = parser.parse_args()
    try:
        content = archive(given.run)
        write_atomic(given.out, content)
    except TutelageError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(f"{given.out}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
