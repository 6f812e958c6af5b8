"""Rows of a data set of the hub: fetched once, kept as one Parquet file of a commit."""

import contextlib
from importlib import import_module
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, is_offline_mode
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from tutelage.errors import DataError, MissingExtra, Problem
from tutelage.files import atomic_file, storage, write_atomic
from tutelage.launch import place
from tutelage.models.faults import InWords
from tutelage.models.gguf_file import cache_folder
from tutelage.models.quiet import quiet
from tutelage.recipe.data import DataSection
from tutelage.records import Record, content_id
from tutelage.runs import read_state

FILE = "hub.json"
ONLINE = "fetch it once without --offline"
LONGEST = 300


class RowsFile(Record):
    """A file of rows, and its ``name`` for people: of rows of the hub with their ``commit`` and the license of their
    card."""

    file: Path
    name: str
    commit: str = ""


class Pinned(Record):
    """What a tuning reads from the hub as long as its folder is there: the commit that it began with."""

    wanted: DataSection
    found: RowsFile


def pinned_rows(wanted: DataSection, folder: Path, *, out: Path, offline: bool) -> RowsFile:
    """Return what :func:`rows_file` returns, of the hub the commit that the tuning in ``out`` began with.

    It is noted there, so that a branch that has moved since makes no other rows of it.
    """
    if wanted.hub is None:
        return rows_file(wanted, folder, offline=offline)
    note = out / FILE
    before = read_state(note, Pinned) if note.is_file() else None
    if before is not None and before.wanted == wanted:
        if before.found.file.is_file():
            return before.found
        again = wanted.model_copy(update={"revision": before.found.commit})
        return rows_file(again, folder, offline=offline)
    found = rows_file(wanted, folder, offline=offline)
    if before is None and place().rank == 0:
        write_atomic(note, Pinned(wanted=wanted, found=found).model_dump_json() + "\n")
    return found


def rows_file(wanted: DataSection, folder: Path, *, offline: bool) -> RowsFile:
    """Return the rows of a section: its file, relative to ``folder``, or those of ``hub``, from the cache where their
    commit is there already.

    A branch or tag is looked up each time; ``offline`` (or ``HF_HUB_OFFLINE``) takes the commit that was fetched last.

    Raises
    ------
    DataError: there is no such data set, configuration, split or revision, it needs a token, it is not in the cache, or
    the hub cannot be reached. MissingExtra: the hub's library is not installed. StorageError: the cache cannot be
    written.
    """
    if wanted.hub is None:
        return RowsFile(file=folder / wanted.named, name=wanted.named)
    home = cache_folder() / "hub-rows" / wanted.hub.replace("/", "--")
    last = home / f"{content_id([wanted.config, wanted.split, wanted.revision])}.json"
    if offline or is_offline_mode():
        return _kept(wanted, last)
    commit, license = _looked_up(wanted)
    file = home / f"{commit[:12]}-{content_id([wanted.config, wanted.split])}.parquet"
    if not file.is_file():
        _fetch(wanted, commit, file)
    of = f"{wanted.named}, {wanted.split} at {commit[:12]}"
    found = RowsFile(file=file, name=f"{of} (license: {license})" if license else of, commit=commit)
    write_atomic(last, found.to_json() + "\n")
    return found


def _kept(wanted: DataSection, last: Path) -> RowsFile:
    if last.is_file():
        found = read_state(last, RowsFile)
        if found.file.is_file():
            return found
    raise _refused(wanted, "this data set is not in the cache, and nothing may be fetched", "", ONLINE)


def _looked_up(wanted: DataSection) -> tuple[str, str]:
    """Commit and license of the data set as it is there now."""
    later = "try again later; --offline takes what was fetched before"
    with InWords(lambda reason: _refused(wanted, "the hub cannot be reached", reason, later)):
        try:
            info = HfApi().dataset_info(str(wanted.hub), revision=wanted.revision)
        except GatedRepoError as error:
            remedy = "accept its terms on the hub, and put your token into the environment: export HF_TOKEN=..."
            raise _refused(wanted, "this data set is gated", str(error), remedy) from error
        except RevisionNotFoundError as error:
            raise _refused(wanted, "this data set has no such revision", str(wanted.revision), "check it") from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            remedy = "check the name (owner/name); a private one needs your token: export HF_TOKEN=..."
            raise _refused(wanted, "no such data set on the hub", str(error), remedy) from error
    return str(info.sha), str(getattr(info.card_data, "license", None) or "")


def _fetch(wanted: DataSection, commit: str, file: Path) -> None:
    """Write the rows of a commit as Parquet."""
    datasets = _datasets()
    # Of a split or configuration that is not there its words name those that are.
    remedy = "check tune.data.config and tune.data.split, or save the rows as a file and give its path"
    with quiet(), _without_bars(datasets):
        with InWords(lambda reason: _refused(wanted, "the data set cannot be read", reason, remedy)):
            rows = datasets.load_dataset(wanted.hub, name=wanted.config, split=wanted.split, revision=commit)
        with atomic_file(file) as partial, storage(file, "write the rows"):
            rows.to_parquet(str(partial))


@contextlib.contextmanager
def _without_bars(datasets: Any) -> Any:
    """Let the library draw no bars of its own."""
    drawn = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if drawn:
            datasets.enable_progress_bars()


def _datasets() -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise MissingExtra("reading data sets of the hub", "hub") from error


def _refused(wanted: DataSection, what: str, received: str, remedy: str) -> DataError:
    line = " ".join(received.split())
    return DataError(wanted.named, [Problem(what, "tune.data.hub", line[:LONGEST], remedy)])
