"""The run directory: one recipe, one owner, stages that are finished or not."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tutelage import origin as origin_module
from tutelage.errors import RunError, StorageError
from tutelage.events import Event
from tutelage.origin import ModelOrigin, Origin
from tutelage.recipe import Recipe, parse_recipe
from tutelage.runs import Best, RunDirectory

RECIPE = parse_recipe("name: mine\ntasks: [{kind: safety}]\n")
OTHER = parse_recipe("name: mine\nseed: 3\ntasks: [{kind: safety}]\n")


def _write_half(run: RunDirectory) -> None:
    with run.stage("rounds/1/construct") as folder:
        (folder / "half.txt").write_text("half")
        raise KeyError("killed in the middle")


def test_a_stage_is_finished_only_when_its_block_ended(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        with pytest.raises(KeyError):
            _write_half(run)
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
    with RunDirectory.create(tmp_path / "run", RECIPE) as run, run.stage("rounds/1/plan") as folder:
        (folder / "plan.json").write_text("{}")
    RunDirectory.create(tmp_path / "run", RECIPE.relative_to(Path("elsewhere"))).close()
    with pytest.raises(RunError, match="seed: 0 → 3"):
        RunDirectory.create(tmp_path / "run", OTHER)


def test_a_recipe_that_was_mended_before_anything_was_made_takes_the_folder(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", RECIPE).close()
    with RunDirectory.create(tmp_path / "run", OTHER) as run:
        assert run.recipe == OTHER
    with pytest.raises(RunError, match="another process"), RunDirectory.create(tmp_path / "run", OTHER):
        RunDirectory.create(tmp_path / "run", RECIPE)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / ".recipe.json.0123abcd.partial").write_text("{")  # killed while the recipe was written
    with RunDirectory.create(folder, RECIPE) as run:
        assert sorted(p.name for p in folder.iterdir()) == ["inputs.json", "lock", "origins.json", "recipe.json"]
        (folder / "rounds/1/tune/.weights.0123abcd.partial").mkdir(parents=True)
        (folder / "rounds/1/tune/.metrics.jsonl.0123abcd.partial").touch()
        run.log(Event("note", data={"text": "one"}))
        with (folder / "events.jsonl").open("a") as file:
            file.write('{"kind": "torn')
    with RunDirectory.create(folder, RECIPE) as run:
        run.log(Event("note", data={"text": "two"}))
        assert list(folder.rglob("*.partial")) == []
        assert [line.count('"text"') for line in (folder / "events.jsonl").read_text().splitlines()] == [1, 1]


def test_damaged_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with RunDirectory.create(folder, RECIPE) as run:
        with run.stage("rounds/1/plan"):
            pass
        stage = folder / "rounds/1/plan/stage.json"
        stage.write_text('{"stage": 3}')
        with pytest.raises(RunError, match=r"plan/stage\.json.*damaged.*Delete .*plan to make it again"):
            run.state("rounds/1/plan")
    (folder / "recipe.json").write_text('{"name": "mine", "tusks": []}')
    with pytest.raises(RunError, match=r"recipe\.json.*damaged"):
        RunDirectory.create(folder, RECIPE)
    with pytest.raises(StorageError, match="name is too long"):
        RunDirectory.open(tmp_path / ("n" * 300))


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


OWN = """
name: own
model: {id: tiny, template: chat.jinja}
tasks:
  - {kind: rows, path: data/rows.csv, check: "checks.py:near", checks: {far: "more/checks.py:far"}}
  - {kind: custom, path: "task.py:Mine"}
  - {kind: custom, path: "installed.module:Task"}
curate: {steps: [{kind: custom, path: "step.py:Short"}]}
reflect: {planner: {kind: custom, path: "planner.py:plan"}}
"""
OWN_FILES = ("chat.jinja", "checks.py", "data/rows.csv", "more/checks.py", "planner.py", "step.py", "task.py")


@pytest.fixture
def own(tmp_path: Path) -> Recipe:
    """A recipe that names a file in every way that a recipe can, and the files."""
    for name in OWN_FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}\n")
    return parse_recipe(OWN, folder=tmp_path)


def begin(folder: Path, recipe: Recipe) -> None:
    """Begin a run and make something of it."""
    with RunDirectory.create(folder, recipe) as run, run.stage("rounds/0/evaluate") as stage:
        (stage / "answers.jsonl").write_text("")


def test_the_identity_of_a_run_holds_every_file_that_the_recipe_names(own: Recipe, tmp_path: Path) -> None:
    begin(tmp_path / "run", own)
    with RunDirectory.create(tmp_path / "run", own) as run:
        expected = {name: hashlib.sha256(f"content of {name}\n".encode()).hexdigest() for name in OWN_FILES}
        assert run.inputs == expected
        assert run.finish(outcome="done", seconds=1.0).inputs == expected


@pytest.mark.parametrize("name", OWN_FILES)
def test_a_run_does_not_go_on_with_a_file_that_changed(name: str, own: Recipe, tmp_path: Path) -> None:
    begin(tmp_path / "run", own)
    before = (tmp_path / name).read_text()
    (tmp_path / name).write_text(before + " ")
    with pytest.raises(RunError, match=rf"1 file that .* changed .*received {name}\). Restore .*--out"):
        RunDirectory.create(tmp_path / "run", own)
    (tmp_path / name).write_text(before)
    RunDirectory.create(tmp_path / "run", own).close()
    begin(tmp_path / "another", own)


def test_every_changed_file_is_named_at_once(own: Recipe, tmp_path: Path) -> None:
    begin(tmp_path / "run", own)
    for name in ("task.py", "data/rows.csv"):
        (tmp_path / name).write_text("other")
    with pytest.raises(RunError, match=r"2 files .*received data/rows\.csv, task\.py"):
        RunDirectory.create(tmp_path / "run", own)


def test_files_may_be_mended_before_anything_was_made_of_them(own: Recipe, tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", own).close()
    (tmp_path / "task.py").write_text("mended")
    with RunDirectory.create(tmp_path / "run", own) as run:
        assert run.inputs["task.py"] == hashlib.sha256(b"mended").hexdigest()


def test_a_file_that_was_not_there_yet_may_come_and_one_that_is_gone_is_told_by_who_needs_it(
    own: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "planner.py").unlink()
    begin(tmp_path / "run", own)
    (tmp_path / "planner.py").write_text("new")
    (tmp_path / "task.py").unlink()
    RunDirectory.create(tmp_path / "run", own).close()
    (tmp_path / "planner.py").write_text("newer")
    (tmp_path / "task.py").write_text("other")
    with pytest.raises(RunError, match=r"received planner\.py, task\.py"):
        RunDirectory.create(tmp_path / "run", own)


ONE = ModelOrigin(model="default@0123", template="ab", dtype="bfloat16", device="cpu")


def _begin(folder: Path) -> None:
    with RunDirectory.create(folder, RECIPE) as run, run.stage("rounds/1/plan") as stage:
        run.require_model(ONE)
        (stage / "plan.json").write_text("{}")


def test_other_code_goes_on_and_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _begin(tmp_path / "run")
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        assert run.changed == ()
        (before,) = run.origins
    assert before.versions["torch"]
    after = before.model_copy(update={"code": "0" * 16, "versions": {**before.versions, "torch": "9.9"}})
    monkeypatch.setattr("tutelage.runs.origin", lambda: after)
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        assert run.changed == (
            f"code: {before.code} → {after.code}",
            f"versions.torch: {before.versions['torch']} → 9.9",
        )
        manifest = run.finish(outcome="done", seconds=1.0)
    assert manifest.origins == (before, after)
    assert manifest.model == ONE
    monkeypatch.setattr("tutelage.runs.origin", lambda: Origin(code="1" * 16))
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        assert run.origins == (before, after), "nothing is made of a finished run any more"


def test_before_anything_was_made_other_code_just_takes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunDirectory.create(tmp_path / "run", RECIPE).close()
    monkeypatch.setattr("tutelage.runs.origin", lambda: Origin(code="1" * 16))
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        assert run.changed == ()
        assert run.origins == (Origin(code="1" * 16),)


@pytest.mark.parametrize(
    "other", [{"model": "default@4567"}, {"template": "cd"}, {"dtype": "float32"}, {"device": "cuda"}]
)
def test_another_starting_model_is_refused(tmp_path: Path, other: dict[str, str]) -> None:
    _begin(tmp_path / "run")
    with RunDirectory.create(tmp_path / "run", RECIPE) as run:
        run.require_model(ONE)
        ((key, value),) = other.items()
        with pytest.raises(RunError, match=f"{key}: {getattr(ONE, key)} → {value}"):
            run.require_model(ONE.model_copy(update=other))
        assert run.model == ONE


def test_the_code_has_one_digest_and_every_file_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "tutelage"
    shutil.copytree(Path(origin_module.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(origin_module, "files", lambda package: tmp_path / package)
    assert origin_module.code_digest.__wrapped__() == origin_module.code_digest()
    (copied / "tasks" / "demonstrations" / "safety.jsonl").write_text("{}")
    assert origin_module.code_digest.__wrapped__() != origin_module.code_digest()


def test_how_an_endpoint_is_asked_may_change_and_what_it_is_may_not(tmp_path: Path) -> None:
    start = "name: r\ntasks: [{kind: safety}]\n"
    teacher = '{kind: endpoint, base_url: "http://127.0.0.1:1/v1", model: m%s}'
    text = f"{start}construct: {{distill: {{teacher: {teacher}}}}}\n"
    path = tmp_path / "r"
    first = parse_recipe(text % ", concurrency: 4, ceiling: {tokens: 5}")
    with RunDirectory.create(path, first) as run, run.stage("rounds/1/construct") as folder:
        (folder / "teacher.jsonl").write_text("")
    for more in (", concurrency: 9, ceiling: {tokens: 50}", ", price: {prompt: 1, completion: 2}", ""):
        raised = parse_recipe(text % more)
        with RunDirectory.create(path, raised) as run:
            assert run.recipe == raised
    with pytest.raises(RunError, match=r"model: m → mother"):
        RunDirectory.create(path, parse_recipe(text % "other"))
    with pytest.raises(RunError, match=r"teacher"):
        RunDirectory.create(path, parse_recipe(start))


def test_a_run_that_lost_too_many_rows_goes_on_with_another_limit(tmp_path: Path) -> None:
    text = "name: mine\ntasks: [{kind: safety}]\ncurate: {max_loss: %s}\n"
    with RunDirectory.create(tmp_path, parse_recipe(text % 0.1)) as run, run.stage("rounds/1/construct") as folder:
        (folder / "records.jsonl").write_text("")
    raised = parse_recipe(text % 0.5)
    with RunDirectory.create(tmp_path, raised) as run:
        assert run.recipe == raised
    with pytest.raises(RunError, match=r"curate\.steps"):
        RunDirectory.create(
            tmp_path, parse_recipe((text % 0.5).replace("max_loss", "steps: [{kind: validate}], max_loss"))
        )


def test_files_of_a_folder_of_rows_that_come_go_or_change_are_told(tmp_path: Path) -> None:
    recipe = parse_recipe("name: mine\ntasks: [{kind: rows, path: data, check: none}]\n").relative_to(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text('{"prompt": "1"}\n')
    with RunDirectory.create(tmp_path / "run", recipe) as run, run.stage("rounds/1/plan") as folder:
        (folder / "plan.json").write_text("{}")
    RunDirectory.create(tmp_path / "run", recipe).close()
    (tmp_path / "data/b.jsonl").write_text('{"prompt": "2"}\n')
    with pytest.raises(RunError, match=r"1 file that the recipe names changed .*data/b\.jsonl"):
        RunDirectory.create(tmp_path / "run", recipe)
    (tmp_path / "data/b.jsonl").unlink()
    (tmp_path / "data/a.jsonl").write_text('{"prompt": "3"}\n')
    with pytest.raises(RunError, match=r"data/a\.jsonl"):
        RunDirectory.create(tmp_path / "run", recipe)
