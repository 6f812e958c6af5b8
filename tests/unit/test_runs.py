"""The run directory: one recipe, one owner, stages that are finished or not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tutelage.errors import RunError
from tutelage.events import Event
from tutelage.recipe import parse_recipe
from tutelage.runs import Best, RunDirectory

RECIPE = parse_recipe("name: mine\ntasks: [{kind: safety}]\n")
OTHER = parse_recipe("name: mine\nseed: 3\ntasks: [{kind: safety}]\n")


def test_a_stage_is_finished_only_when_its_block_ended(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        with pytest.raises(KeyError), run.stage("rounds/1/construct") as folder:
            (folder / "half.txt").write_text("half")
            raise KeyError
        assert run.state("rounds/1/construct") is None
        with run.stage("rounds/1/construct") as folder:
            assert (folder / "half.txt").read_text() == "half"
        state = run.state("rounds/1/construct")
        assert state is not None
        assert list(state.files) == ["half.txt"]
        assert not run.finished
        manifest = run.finish(outcome="done", seconds=1.0)
        assert run.manifest == manifest
        assert manifest.stages == {"rounds/1/construct": state}


def test_another_recipe_is_refused_and_says_what_changed(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", RECIPE).close()
    RunDirectory.create(tmp_path / "run", RECIPE.relative_to(Path("elsewhere"))).close()
    with pytest.raises(RunError, match="seed: 0 → 3"):
        RunDirectory.create(tmp_path / "run", OTHER)


def test_a_foreign_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(RunError, match="not a run"):
        RunDirectory.create(tmp_path / "notes", RECIPE)
    with pytest.raises(RunError, match="in the way"):
        RunDirectory.create(tmp_path / "notes" / "diary.txt", RECIPE)
    with pytest.raises(RunError, match="no run here"):
        RunDirectory.open(tmp_path / "notes")
    assert sorted(p.name for p in (tmp_path / "notes").iterdir()) == ["diary.txt"]


def test_two_processes_cannot_own_one_run(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", RECIPE):
        code = (
            "import sys, pathlib; from tutelage.recipe import parse_recipe; from tutelage.runs import RunDirectory\n"
            f"RunDirectory.create(pathlib.Path({str(tmp_path / 'run')!r}), "
            "parse_recipe('name: mine\\ntasks: [{kind: safety}]\\n'))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "another process works in this run" in done.stderr


def test_events_are_kept_without_progress(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        run.log(Event("note", stage="tune", round=1, data={"text": "a"}))
        run.log(Event("progress", stage="tune", data={"done": 1}))
        run.promote(Best(round=1, weights="rounds/1/tune/weights"))
        assert run.best.round == 1
    (line,) = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert '"text": "a"' in line
