"""The run directory: the contract between stages, the report, the studio and people.

    runs/<name>/
      recipe.json  inputs.json  origins.json  model.json  events.jsonl
      manifest.json (written last: versions, seeds, hashes, stage states)  matrix.json  best.json
      rounds/<k>/<stage>/...  stage.json (written last, makes the stage finished)
      final/<stage>/...
      report/index.html

A stage works in its own folder, writes its files atomically and ``stage.json`` last. A stage whose ``stage.json`` is
there is never run again; one without it goes on from what its folder holds. One process owns a run at a time; a kill
releases it, and the next owner removes what the killed one left unfinished (``*.partial``).
"""

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError

from tutelage.errors import RunError
from tutelage.events import Event
from tutelage.files import PARTIAL, append_line, remove_partial, sha256_file, storage, write_atomic
from tutelage.origin import ModelOrigin, Origin, Origins, machine, origin, versions
from tutelage.recipe import Recipe
from tutelage.recipe.endpoint import HOW_IT_IS_ASKED
from tutelage.recipe.inputs import files_of_folders, input_files
from tutelage.recipe.vllm import HOW_IT_IS_REACHED
from tutelage.records import Record

R = TypeVar("R", bound=Record)


class StageState(Record):
    """What ``stage.json`` says: the stage is finished, how long it took, what it wrote and what to know about it."""

    stage: str
    seconds: float
    files: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Best(Record):
    """Which weights are promoted: ``round`` 0 is the starting model, which has no weights of its own."""

    round: int = 0
    weights: str | None = None


class Inputs(Record):
    """SHA-256 of every file that the recipe names (rows, code, chat template), by name; empty: it is not there yet."""

    sha256: dict[str, str] = Field(default_factory=dict)


class Manifest(Record):
    """What a finished run was made of. ``origins`` is empty where it was not recorded; the last one ended the run."""

    name: str
    seed: int
    recipe_sha256: str
    inputs: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str]
    machine: dict[str, JsonValue]
    origins: tuple[Origin, ...] = ()
    model: ModelOrigin | None = None
    stages: dict[str, StageState]
    outcome: str
    seconds: float


class RunDirectory:
    """A folder that holds one run of one recipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed: tuple[str, ...] = ()
        """In what the code, packages or machine that go on now differ from those before: ``key: old → new``."""
        self._lock: IO[str] | None = None

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> Self:
        """Make the folder, or open it if it is of the same recipe and data, and own it until :meth:`close`.

        Raises
        ------
        RunError: the folder belongs to another recipe, files that the recipe names have changed since something was
        made of them, the folder is not a run, is damaged, or another process works in it.
        StorageError: the folder cannot be made or written to.
        """
        run = cls(path)
        recipe_file = path / "recipe.json"
        with storage(path, "make the run's folder"):
            if path.exists() and not path.is_dir():
                raise RunError("a file is in the way", where=str(path), remedy="choose another --out")
            if path.is_dir() and not recipe_file.is_file() and any(_is_foreign(entry) for entry in path.iterdir()):
                raise RunError("this folder is not a run", where=str(path), remedy="choose an empty folder with --out")
            path.mkdir(parents=True, exist_ok=True)
        run._own()
        try:
            remove_partial(path)
            if recipe_file.is_file():
                run._same_recipe(recipe)
            else:
                write_atomic(recipe_file, recipe.model_dump_json(indent=2) + "\n")
            run._same_inputs(recipe)
            run._note_origin()
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing run for reading."""
        with storage(path, "open the run"):
            if not (path / "recipe.json").is_file():
                raise RunError("there is no run here", where=str(path), remedy="list them with: tutelage runs")
        return cls(path)

    def _own(self) -> None:
        place = self.path / "lock"
        with storage(place, "lock the run"):
            self._lock = place.open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise RunError(
                    "another process works in this run", where=str(self.path), remedy="wait for it, or end it first"
                ) from None
            except OSError:
                self.close()
                raise

    def _same_recipe(self, recipe: Recipe) -> None:
        place = {"folder", "trackers"}  # where the file lies and who listens does not change what it says
        kept = self.recipe
        before, now = kept.model_dump(mode="json", exclude=place), recipe.model_dump(mode="json", exclude=place)
        if before == now:
            return
        if _what_is_made(kept) == _what_is_made(recipe):  # for example a ceiling was raised
            if not self.finished:
                write_atomic(self.path / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
            return
        if not self._has_work:  # the recipe was mended after its first error
            write_atomic(self.path / "recipe.json", recipe.model_dump_json(indent=2) + "\n")
            return
        changed = [f"{key}: {old} → {new}" for key, old, new in _differences(before, now)]
        shown = "; ".join(changed[:5]) + ("; …" if len(changed) > 5 else "")
        raise RunError(
            "this run directory belongs to another recipe",
            where=str(self.path),
            received=shown,
            remedy="give the recipe another name, choose another folder with --out, or delete this one to start over",
        )

    def _same_inputs(self, recipe: Recipe) -> None:
        """Remember what the files that the recipe names hold; refuse to go on with other content."""
        before = self.inputs
        now = {name: sha256_file(file) if file.is_file() else "" for name, file in input_files(recipe).items()}
        changed = [name for name, digest in now.items() if digest and before.get(name) not in {None, "", digest}]
        changed += self._come_and_gone(recipe, before, now)
        if changed and self._has_work:
            number = f"{len(changed)} file{'s' if len(changed) > 1 else ''}"
            raise RunError(
                f"{number} that the recipe names changed since the run began",
                where=str(self.path),
                received=", ".join(changed),
                remedy="restore what was there to go on, or start over in another folder with --out",
            )
        kept = {name: (before.get(name, "") if self._has_work else "") or digest for name, digest in now.items()}
        if kept != before or not (self.path / "inputs.json").is_file():
            write_atomic(self.path / "inputs.json", Inputs(sha256=kept).model_dump_json(indent=1) + "\n")

    @staticmethod
    def _come_and_gone(recipe: Recipe, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
        """Files that a folder of the recipe has now and had not, or the other way round."""
        now_there = set(files_of_folders(recipe))
        if not now_there or not before:
            return []
        return sorted({*(now_there - before.keys()), *(before.keys() - now.keys())})

    def _note_origin(self) -> None:
        """Remember what works on the run from here on, unless it is done."""
        if self.finished:
            return
        known = self.origins if self._has_work else ()
        now = origin()
        if known and known[-1] == now:
            return
        if known:
            pairs = _differences(known[-1].model_dump(mode="json"), now.model_dump(mode="json"))
            self.changed = tuple(f"{key}: {old} → {new}" for key, old, new in pairs)
        write_atomic(self.path / "origins.json", Origins(origins=(*known, now)).model_dump_json(indent=1) + "\n")

    def require_model(self, now: ModelOrigin) -> None:
        """Remember the starting model, or see that it is still the one that the run began with.

        Raises
        ------
        RunError: it is another one, or computes in another arithmetic or on another kind of device.
        """
        before = self.model
        if before == now:
            return
        if before is None or not self._has_work:
            write_atomic(self.path / "model.json", now.model_dump_json(indent=1) + "\n")
            return
        changed = _differences(before.model_dump(mode="json"), now.model_dump(mode="json"))
        raise RunError(
            "the starting model is not the one that this run began with",
            where=str(self.path),
            received="; ".join(f"{key}: {old} → {new}" for key, old, new in changed),
            remedy="bring back what it began with, or start over in another folder with --out",
        )

    @property
    def _has_work(self) -> bool:
        """Whether anything was made yet."""
        return any(self.path.glob("rounds/*/*/*"))

    def close(self) -> None:
        """Give up ownership."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe that this run is of."""
        file = self.path / "recipe.json"
        try:
            with storage(file, "read the run's recipe"):
                return Recipe.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise _damaged(file, error, "choose another folder with --out, or delete this one to start over") from error

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of the files that the recipe names, as they were when the run began."""
        file = self.path / "inputs.json"
        return read_state(file, Inputs).sha256 if file.is_file() else {}

    @property
    def origins(self) -> tuple[Origin, ...]:
        """All that worked on the run, in order; nothing where it was not recorded."""
        file = self.path / "origins.json"
        return read_state(file, Origins).origins if file.is_file() else ()

    @property
    def model(self) -> ModelOrigin | None:
        """The starting model as it was loaded first; None if it was not yet, or it was not recorded."""
        file = self.path / "model.json"
        return read_state(file, ModelOrigin) if file.is_file() else None

    @property
    def finished(self) -> bool:
        """Whether the manifest is there."""
        with storage(self.path, "open the run"):
            return (self.path / "manifest.json").is_file()

    @property
    def manifest(self) -> Manifest:
        """The manifest of a finished run."""
        return read_state(self.path / "manifest.json", Manifest)

    @property
    def best(self) -> Best:
        """Which weights are promoted."""
        file = self.path / "best.json"
        return read_state(file, Best) if file.is_file() else Best()

    def promote(self, best: Best) -> None:
        """Make ``best`` the promoted weights."""
        write_atomic(self.path / "best.json", best.model_dump_json() + "\n")

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return self.path / "rounds" / str(number)

    def log(self, event: Event) -> None:
        """Append an event to ``events.jsonl``; progress is for the eye and is not kept."""
        if event.kind != "progress":
            append_line(self.path / "events.jsonl", event.to_json())

    def state(self, stage: str) -> StageState | None:
        """What ``stage.json`` of a stage such as ``rounds/1/tune`` says; None if the stage is not finished."""
        file = self.path / stage / "stage.json"
        return read_state(file, StageState) if file.is_file() else None

    def stages(self) -> dict[str, StageState]:
        """All finished stages by their path in the run."""
        files = sorted(self.path.glob("rounds/*/*/stage.json")) + sorted(self.path.glob("final/*/stage.json"))
        return {
            str(file.parent.relative_to(self.path)): read_state(file, StageState)
            for file in sorted(files, key=lambda f: f.stat().st_mtime_ns)
        }

    @contextmanager
    def stage(self, stage: str) -> Iterator[Path]:
        """Work on a stage: yields its folder; ``stage.json`` is written when the block ends without an error."""
        folder = self.path / stage
        with storage(folder, "make the stage's folder"):
            folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        yield folder
        files = {
            str(file.relative_to(folder)): sha256_file(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file() and file.name != "stage.json"
        }
        state = StageState(stage=stage, seconds=round(time.monotonic() - started, 3), files=files)
        write_atomic(folder / "stage.json", state.model_dump_json(indent=2) + "\n")

    def finish(self, *, outcome: str, seconds: float) -> Manifest:
        """Write the manifest: the run is done."""
        recipe_file = self.path / "recipe.json"
        manifest = Manifest(
            name=self.recipe.name,
            seed=self.recipe.seed,
            recipe_sha256=sha256_file(recipe_file),
            inputs=self.inputs,
            versions=versions(),
            machine=machine(),
            origins=self.origins,
            model=self.model,
            stages=self.stages(),
            outcome=outcome,
            seconds=round(seconds, 1),
        )
        write_atomic(self.path / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        return manifest


def read_state(file: Path, kind: type[R]) -> R:
    """Return the one record that ``file`` of a run holds.

    Raises
    ------
    RunError: it holds none, or one of another version. StorageError: it cannot be read.
    """
    try:
        with storage(file, "read the file"):
            return kind.from_json(file.read_bytes())
    except ValidationError as error:
        made_whole = file.parent if (file.parent / "stage.json").is_file() else file
        raise _damaged(file, error, f"delete {made_whole} to make it again") from error


def _what_is_made(recipe: Recipe) -> JsonValue:
    """What a recipe says, without its place, who listens, how others are asked, and how many rows may be lost."""
    how: dict[str, bool] = dict.fromkeys(HOW_IT_IS_ASKED, True)
    aside: dict[str, Any] = {"folder": True, "trackers": True, "curate": {"max_loss": True}}
    aside["construct"] = {"distill": {"teacher": how}, "judge": {"by": how}}
    aside["engines"] = {"sampling": dict.fromkeys(HOW_IT_IS_REACHED, True)}
    said: JsonValue = recipe.model_dump(mode="json", exclude=aside)
    return said


def _damaged(file: Path, error: ValidationError, remedy: str) -> RunError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return RunError(
        "the file is damaged, or of another version of tutelage",
        where=str(file),
        received=f"{key}: {first['msg']}" if key else first["msg"],
        remedy=remedy,
    )


def _is_foreign(entry: Path) -> bool:
    """Whether something in a folder without a recipe was not left there by a run killed at its very start."""
    return entry.name != "lock" and not (entry.name.startswith(".recipe.json.") and entry.name.endswith(PARTIAL))


def _differences(before: JsonValue, now: JsonValue, at: str = "") -> Iterator[tuple[str, JsonValue, JsonValue]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{at}.{key}" if at else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, f"{at}.{index}")
    elif before != now:
        yield at, before, now
