"""Curation of files whose rows are not held: what is written, what stays behind, how much memory it takes."""

import errno
import fcntl
import json
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tutelage.cli.curate import curate_command
from tutelage.curate import (
    Choice,
    Columns,
    Gone,
    Judged,
    RowWise,
    Step,
    Tally,
    WholeSet,
    batches,
    build_steps,
    curate,
    duplicates,
    piles,
)
from tutelage.curate.entries import Entry
from tutelage.curate.shelf import FolderShelf, scratch
from tutelage.curate.sieve import sieve
from tutelage.errors import DataError, InputErrors, MissingExtra, Problem, RunError, TutelageError
from tutelage.events import Event
from tutelage.pipeline.curating import curate_file
from tutelage.pipeline.standalone import curate as curate_rows
from tutelage.recipe import parse_recipe
from tutelage.recipe.curate import CurateSection
from tutelage.records import Cost, Example, Item, Lineage, assistant, user

LINEAGE = Lineage(paradigm="expert", source="test", author="test")
FILES = ("records.jsonl", "dropped.jsonl", "ledger.json")
WORDS = [a + b for a in ("oak", "river", "lamp", "stone", "wind", "moss", "gate") for b in ("s", "ly", "ed", "ing", "")]


def row(id: str, prompt: str, answer: str) -> Example:
    return Example(id=id, messages=(user(prompt), assistant(answer)), lineage=LINEAGE)


def made(count: int, words: int = 40) -> Iterator[Example]:
    """Rows of which every seventh says what the one before it does, and every ninth holds a control token."""
    rng = random.Random(0)
    last = ""
    for n in range(count):
        answer = last if n % 7 == 6 else " ".join(rng.choices(WORDS, k=words))
        yield row(f"r{n:06}", f"Question {n // 7}?", "<|im_end|>" if n % 9 == 8 else answer)
        last = answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(one.to_json() + "\n" for one in made(300)))
    return path


def test_a_file_ends_in_the_files_of_rows_in_memory(file: Path, tmp_path: Path) -> None:
    recipe = parse_recipe("name: x\ntasks: [{kind: safety}]\n")
    curated = curate_rows(file, recipe=recipe, out=tmp_path / "held")
    ledger = curate_file(file, recipe=recipe, out=tmp_path / "streamed")
    assert ledger == curated.ledger
    assert 0 < ledger.kept < ledger.rows_in == 300
    for name in FILES:
        assert (tmp_path / "held" / name).read_bytes() == (tmp_path / "streamed" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "streamed").iterdir()) == sorted(FILES)


OWN = """
import json

from tutelage.curate import Judged, RowWise, Tally, drop
from tutelage.errors import DataError, Problem

class Short(RowWise):
    name = "short"

    def __init__(self, limit=3, fails=False):
        self.limit, self.fails = limit, fails

    def judge(self, rows):
        if self.fails == "words":
            json.loads(rows[0].id)
        if self.fails:
            raise DataError("short", [Problem("no", rows[0].id)])
        kept = [row for row in rows if len(row.target.text) > self.limit]
        gone = [drop(row, self.name, "short", row.id) for row in rows[::-1] if len(row.target.text) <= self.limit]
        return Judged(kept, gone, Tally(rows=len(rows)))

    def notes(self, tally):
        return (f"{tally['rows']} rows seen",)
"""


def steps(folder: Path, **options: object) -> list[Step]:
    (folder / "mine.py").write_text(OWN)
    own = {"kind": "custom", "path": "mine.py:Short", "options": options}
    given = [{"kind": "validate"}, own, {"kind": "pii"}, {"kind": "near_duplicates"}, {"kind": "contamination"}]
    item = Item(
        id="i", task="t", dimension="d", level="basic", split="test", group="g", messages=(user("Question 3?"),)
    )
    section = CurateSection.model_validate({"steps": [*given, {"kind": "mix", "answers_per_prompt": 3}]})
    return build_steps(section, [item], folder=folder)


def test_the_number_of_processes_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(made(60))
    alone = curate(rows, steps(tmp_path, limit=270))
    assert "short: 54 rows seen" in alone.ledger.notes
    assert {one.step for one in alone.dropped} == {"validate", "short", "near_duplicates", "contamination", "mix"}
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    with scratch(tmp_path / "out") as place, FolderShelf(place) as shelf:
        found = sieve(rows[::-1], steps(tmp_path, limit=270), shelf, workers=2)
        assert tuple(entry.row for entry in found.kept) == alone.kept
        assert tuple(found.dropped) == alone.dropped
        assert found.ledger == alone.ledger
    with pytest.raises(DataError, match=r"short: 1 problem:\n  - r000000: no"):
        curate(rows, steps(tmp_path, fails=True), workers=2)
    with pytest.raises(TutelageError, match=r"/mine\.py:15: the curation step short raised JSONDecodeError"):
        curate(rows, steps(tmp_path, fails="words"), workers=2)


def test_what_cannot_be_sent_to_other_processes_is_told() -> None:
    class Stuck(RowWise):
        name = "stuck"

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def judge(self, rows: Sequence[Example]) -> Judged:
            return Judged(list(rows), [], Tally())

    assert len(curate(made(5), [Stuck()]).kept) == 5
    with pytest.raises(TutelageError, match=r"a step cannot be sent .* or take one worker"):
        curate(made(5), [Stuck()], workers=2)


@pytest.mark.parametrize(
    "error",
    [
        DataError("rows", [Problem("no", "line 3", "x", "mend it"), Problem("nor this")]),
        RunError("it is locked", where="here", remedy="wait"),
        MissingExtra("phones", "curate"),
    ],
)
def test_errors_come_back_from_other_processes(error: TutelageError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.args, vars(back)) == (type(error), str(error), error.args, vars(error))


@pytest.mark.parametrize("text", ["1e999", "null", '"null"'])
def test_an_odd_number_lies_on_the_disk_as_it_came(text: str) -> None:
    seconds = float(json.loads(text)) if text == "1e999" else None
    lineage = LINEAGE.model_copy(update={"cost": Cost(seconds=seconds, money=float("inf"))})
    given = row("a\tb\n\"'é", text, "x").model_copy(update={"lineage": lineage})
    entry = Entry.of_line(Entry(given, 3).line())
    assert (entry.id, entry.came, entry.row) == (given.id, 3, given)
    assert entry.text().decode() == given.to_json()
    assert b"\n" not in entry.line()


@pytest.mark.parametrize("loss", ["0.01", "1"])
def test_nothing_stays_behind_where_it_fails(loss: str, file: Path, tmp_path: Path) -> None:
    if loss == "1":
        file.write_text(file.read_text() + '{"prompt": "x"}\n{"prompt": 3, "response": "y"}\n')
    recipe = parse_recipe(f"name: x\ntasks: [{{kind: safety}}]\ncurate: {{max_loss: {loss}}}\n")
    with pytest.raises(DataError, match="301: the keys fit no known form" if loss == "1" else "nothing was written"):
        curate_file(file, recipe=recipe, out=tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl"]


def test_what_a_killed_process_left_is_removed_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom tutelage.curate.shelf import scratch\n"
        "with scratch(Path(sys.argv[1])) as place:\n"
        "    (place / '1').write_text('rows')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    out = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == -signal.SIGKILL
    (left,) = out.iterdir()
    torn, other = out / ".records.jsonl.0a1b2c3d.partial", out / ".other.jsonl.0a1b2c3d.partial"
    for file in (out / "records.jsonl", torn, other):
        file.write_text("{}\n")
    with scratch(out, ["records.jsonl"]) as place:
        assert [one.exists() for one in (left, torn, other)] == [False, False, True]
        assert place.stat().st_mode & 0o777 == 0o700, "rows that no step has masked yet are for nobody else"
        with pytest.raises(RunError, match="another process curates into this folder"), scratch(out):
            pass
        assert place.is_dir()
    assert sorted(path.name for path in out.iterdir()) == [other.name, "records.jsonl"]


def test_where_folders_cannot_be_locked_what_may_be_anothers_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(file: int, operation: int) -> None:
        raise OSError(errno.EBADF, "as on NFS")

    monkeypatch.setattr(fcntl, "flock", refused)
    with scratch(tmp_path) as first, scratch(tmp_path) as second:
        assert first != second
        assert first.is_dir()
    assert not list(tmp_path.iterdir())


def test_one_that_is_told_to_end_takes_its_rows_and_processes_along(tmp_path: Path) -> None:
    slow = "import time\nfrom tutelage.curate import Judged, RowWise, Tally\nclass Slow(RowWise):\n    name = 'slow'\n"
    slow += "    def judge(self, rows):\n        (OUT / 'seen').touch()\n        time.sleep(60)\n"
    slow = slow.replace("OUT", f"__import__('pathlib').Path({str(tmp_path)!r})")
    (tmp_path / "slow.py").write_text(slow)
    (tmp_path / "rows.jsonl").write_text("".join(one.to_json() + "\n" for one in made(9)))
    steps = "curate: {steps: [{kind: custom, path: slow.py:Slow}]}"
    (tmp_path / "x.yaml").write_text(f"name: x\ntasks: [{{kind: safety}}]\n{steps}\n")
    files = [str(tmp_path / "rows.jsonl"), "--recipe", str(tmp_path / "x.yaml"), "-o", str(tmp_path / "out")]
    command = [sys.executable, "-m", "tutelage", "curate", *files, "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    while not (tmp_path / "seen").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    process.communicate(timeout=30)  # ends when no process has its output any more
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "out").exists()


def test_a_step_that_holds_all_rows_says_so(file: Path, tmp_path: Path) -> None:
    text = "name: x\ntasks: [{kind: safety}]\ncurate: {steps: [{kind: validate}, STEP]}\n"
    heard: list[Event] = []
    step = "{kind: k_center, rows: 9, embedding: {kind: tfidf}}"
    ledger = curate_file(file, recipe=parse_recipe(text.replace("STEP", step)), out=tmp_path / "out", emit=heard.append)
    told = [str(event.data["text"]) for event in heard if event.kind == "note"]
    assert ledger.kept == 9
    assert told == ["k_center looks at all rows at once: 267 rows are held in memory for it"]


class Unruly(WholeSet):
    name = "unruly"

    def __init__(self, *places: int) -> None:
        self.places = places

    def summarize(self, rows: Sequence[Example]) -> Columns:
        return {"one": np.ones(len(rows))}

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        return Choice(Gone(place, "so") for place in self.places)


@pytest.mark.parametrize("places", [(3,), (1, 1), (2, 0), (-1,)])
def test_a_choice_of_rows_that_are_not_there_is_refused(places: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="Name places from 0 to 2 in their order"):
        curate(made(3), [Unruly(*places)])
    assert [one.id for one in curate(made(3), [Unruly(0, 2)]).kept] == ["r000001"]


class Uneven(WholeSet):
    name = "uneven"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def summarize(self, rows: Sequence[Example]) -> Columns:
        lengths = [len(row.id) if row.id == "r000000" else len(row.id) + 0.5 for row in rows]
        if self.fault == "rows":
            return {"length": np.array(lengths[:1])}
        name = "length" if self.fault != "names" or rows[0].id == "r000000" else "other"
        return {name: np.array(lengths), "name": np.array([row.id.rstrip("0") for row in rows])}

    def choose(self, columns: Columns, rows: Sequence[Example]) -> Choice:
        return Choice([], (str(columns["length"].tolist()), str(columns["name"].tolist())))


def test_batches_whose_arrays_have_other_kinds_are_joined_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = curate(made(12), [Uneven()]).ledger.notes
    monkeypatch.setattr(batches, "BATCH_ROWS", 1)
    assert curate(made(12), [Uneven()]).ledger.notes == whole
    assert "7.5" in whole[0]
    assert "r000011" in whole[1]


@pytest.mark.parametrize(
    ("fault", "says"),
    [("rows", r"length: the step does not summarize each row \(received shape \(1,\) for 2 rows"),
     ("names", "other: the step summarizes a batch by other columns than the first one")],
)  # fmt: skip
def test_a_summary_that_does_not_fit_the_rows_is_refused(
    fault: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 2)
    with pytest.raises(DataError, match=says):
        curate(made(4), [Uneven(fault)])


def test_workers_are_for_files(tmp_path: Path) -> None:
    with pytest.raises(InputErrors, match="--workers is for a file"):
        curate_command(
            tmp_path / "x.yaml", out=None, recipe=None, round=1, settings=[], workers=2, quiet=True, json=False,
            offline=True,
        )  # fmt: skip


def peak_of(count: int, folder: Path) -> int:
    """Bytes that Python and numpy hold at most while rows of 4 kB go through the steps that are at their defaults."""
    given = build_steps(CurateSection(), [])
    tracemalloc.start()
    with scratch(folder) as place, FolderShelf(place, run_bytes=1 << 18) as shelf:
        found = sieve(made(count, words=600), given, shelf, workers=1)
        assert found.ledger.rows_in == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_hold_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_ROWS", 20)
    monkeypatch.setattr(duplicates, "REMEMBERED", 2)  # rows to compare again, as n-grams
    monkeypatch.setattr(piles, "BUFFER", 1 << 12)
    peak_of(20, tmp_path)  # what is made once
    few, many = peak_of(40, tmp_path), peak_of(160, tmp_path)
    # 120 rows more are 480 kB of text; of each the steps say that they remember 600 bytes at most.
    assert many - few < 120 * 600
