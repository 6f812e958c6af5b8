"""``tutelage runs``."""

import fcntl
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tutelage.cli.console import OUT, say, say_json, table
from tutelage.errors import TutelageError
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import GateVerdict, ScoreSummary
from tutelage.runs import RunDirectory, read_state

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Line:
    """One run: its state is running, finished, interrupted or damaged; ``before`` and ``after`` are macro scores."""

    name: str
    path: str
    state: str
    round: int
    before: float | None
    after: float | None
    split: str
    verdicts: tuple[str, ...]
    age_s: int


def runs_command(folder: Path, *, json: bool) -> None:
    """List the runs in a folder, the newest first."""
    found = sorted((_line(file.parent) for file in folder.glob("*/recipe.json")), key=lambda line: line.age_s)
    if json:
        for line in found:
            say_json({**asdict(line), "verdicts": list(line.verdicts)})
        return
    if not found:
        say(f"There are no runs in {folder}. Start one with: tutelage run RECIPE")
        return
    shown = table("run", "state", "round", "macro", "verdicts", "age", right=("round", "age"))
    for line in found:
        shown.add_row(line.name, line.state, str(line.round), _macro(line), ", ".join(line.verdicts), age(line.age_s))
    OUT.print(shown)


def age(seconds: int) -> str:
    """Return a time span in its largest unit."""
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds // size} {unit}"


def _line(path: Path) -> Line:
    run = RunDirectory.open(path)
    newest = max(file.stat().st_mtime for file in (path / "recipe.json", path / "events.jsonl") if file.is_file())
    seconds = max(0, int(time.time() - newest))
    rounds = [int(folder.name) for folder in path.glob("rounds/*") if folder.name.isdigit()]
    try:
        name = run.recipe.name
        before, after, split = _scores(run)
        verdicts = _verdicts(run)
    except (TutelageError, OSError):
        return Line(path.name, str(path), "damaged", max(rounds, default=0), None, None, "", (), seconds)
    state = "finished" if run.finished else "running" if _is_owned(path) else "interrupted"
    shown = name if name == path.name else f"{path.name} ({name})"
    return Line(shown, str(path), state, max(rounds, default=0), before, after, split, verdicts, seconds)


def _scores(run: RunDirectory) -> tuple[float | None, float | None, str]:
    """Macro of the start and of the promoted model: on test if the run is finished, else on probe."""
    best = run.best.round
    if run.finished:
        outcome = read_state(run.path / "outcome.json", RunOutcome)
        if "start" in outcome.scores:
            after = outcome.scores[f"round {best}" if best else "start"]
            return outcome.scores["start"].macro.value, after.macro.value, "test"
    found = []
    for number in (0, best):
        file = run.round(number) / "evaluate" / "summary.json"
        found.append(read_state(file, ScoreSummary).macro.value if file.is_file() else None)
    return found[0], found[1], "probe" if found[0] is not None else ""


def _verdicts(run: RunDirectory) -> tuple[str, ...]:
    files = sorted(run.path.glob("rounds/*/gate/verdict.json"), key=lambda file: int(file.parts[-3]))
    return tuple(read_state(file, GateVerdict).outcome for file in files)


def _is_owned(path: Path) -> bool:
    """Whether a process holds the run's lock."""
    file = path / "lock"
    if not file.is_file():
        return False
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
    return False


def _macro(line: Line) -> str:
    if line.before is None or line.after is None:
        return "–"
    return f"{line.before:.3f} → {line.after:.3f} ({line.split})"
