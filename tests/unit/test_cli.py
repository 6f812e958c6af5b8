"""The command line without a model: help, exit codes, errors in words, recipes."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tutelage.cli import main
from tutelage.recipe import parse_recipe

RECIPE = "name: small\nmodel: {id: tiny}\ntasks: [{kind: constraints}]\nevaluate: {probe: 2, gate: 2, test: 2}\n"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Call:
    """Calls the command line in this process, through its own ``main``."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str | Path) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["tutelage", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = self.capsys.readouterr()
        return Result(int(left.value.code or 0), said.out, said.err)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(capsys, monkeypatch)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(RECIPE)
    return file


def test_help_lists_every_command_and_costs_little() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    costs = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "tutelage", "--help"], capture_output=True, text=True, env=environment, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(costs) < 0.3
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert {"init", "preview", "run", "evaluate", "compare", "report", "chat", "runs", "recipe"} <= set(listed)
    assert {"construct", "curate", "tune", "reflect"} <= set(listed)


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys; sys.argv = ['tutelage', '--help']\n"
        "from tutelage.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'pydantic', 'rich.progress', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_and_version(call: Call) -> None:
    assert call().code == 0
    assert call("--version").out.startswith("tutelage ")
    assert "validate" in call("recipe").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("rnu",), "run"),
        (("run", "x.yaml", "--dryrun"), "--dry-run"),
        (("run",), "Missing argument 'RECIPE'"),
        (("evaluate", "tiny", "--split", "validation"), "'train', 'probe', 'gate', 'test'"),
        (("recipe", "vaildate"), "validate"),
    ],
)
def test_a_wrong_command_line_names_what_is_nearest(call: Call, arguments: tuple[str, ...], hint: str) -> None:
    found = call(*arguments)
    assert found.code == 2
    assert hint in found.err
    assert "Traceback" not in found.err


def test_an_unknown_key_is_named_with_its_line_and_the_nearest(call: Call, recipe: Path) -> None:
    recipe.write_text(RECIPE + "tune: {epoch: 2}\nrouds: 3\n")
    found = call("run", recipe)
    assert found.code == 2
    assert "line 5, tune.epoch" in found.err
    assert "'epochs'" in found.err
    assert "line 6, rouds" in found.err
    assert "'rounds'" in found.err


def test_a_missing_recipe_offers_the_nearest_file(call: Call, recipe: Path) -> None:
    found = call("recipe", "validate", "smal.yaml")
    assert found.code == 2
    assert "did you mean small.yaml" in found.err.lower()


def test_an_error_is_one_block_and_long_lines_stay_whole_in_a_pipe(call: Call, recipe: Path) -> None:
    long = "x" * 300
    recipe.write_text(RECIPE.replace("small", long))
    lines = call("recipe", "validate", recipe).err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("  - line 1, name:")


def test_set_overrides_and_show_gives_a_recipe_back(call: Call, recipe: Path) -> None:
    shown = call("recipe", "show", recipe, "--set", "tune.epochs=3", "--set", "tasks.0.weight=2")
    assert shown.code == 0
    again = parse_recipe(shown.out)
    assert again.tune.epochs == 3
    assert again.tasks[0].weight == 2
    assert json.loads(call("recipe", "show", recipe, "--json").out)["name"] == "small"
    wrong = call("recipe", "show", recipe, "--set", "tune.epochs=-1")
    assert wrong.code == 2
    assert "tune.epochs" in wrong.err


def test_validate_and_schema(call: Call, recipe: Path) -> None:
    assert "is valid: 2 rounds on constraints, model tiny" in call("recipe", "validate", recipe).out
    assert json.loads(call("recipe", "validate", recipe, "--json").out)["tasks"] == ["constraints"]
    assert "tasks" in json.loads(call("recipe", "schema").out)["properties"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("reflect", "nowhere"), 4),
        (("report", "nowhere"), 4),
        (("compare", "nowhere", "nowhere"), 4),
        (("evaluate", "./no-such-model", "--per-cell", "1"), 3),
        (("preview", "rows.jsonl"), 5),
        (("curate", "rows.jsonl"), 2),
        (("tune",), 2),
        (("tune", "--data", "rows.jsonl"), 2),
    ],
)
def test_exit_codes(call: Call, arguments: tuple[str, ...], code: int) -> None:
    found = call(*arguments)
    assert found.code == code
    assert found.err.startswith("error ")


def test_the_dry_run_writes_nothing_and_says_who_sees_what(call: Call, recipe: Path, tmp_path: Path) -> None:
    found = call("run", recipe, "--dry-run")
    assert found.code == 0
    assert "Nothing leaves this machine." in found.out
    assert "test split" in found.out
    assert sorted(tmp_path.iterdir()) == [recipe]
    stages = json.loads(call("run", recipe, "--dry-run", "--json").out)
    assert [stage["stage"] for stage in stages["stages"]] == [
        "evaluate (probe)",
        "construct",
        "tune",
        "gate",
        "final (test)",
    ]


def test_an_empty_list_of_runs_is_no_error(call: Call) -> None:
    found = call("runs")
    assert found.code == 0
    assert "no runs" in found.out


def test_a_damaged_run_is_listed_as_damaged(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "broken"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text("{")
    assert json.loads(call("runs", "--json").out)["state"] == "damaged"


def test_a_started_run_is_listed_as_interrupted(call: Call, recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(parse_recipe(RECIPE).model_dump_json())
    line = json.loads(call("runs", "--json").out)
    assert (line["state"], line["name"], line["before"]) == ("interrupted", "small", None)


def test_shown_recipes_are_yaml(call: Call, recipe: Path) -> None:
    assert yaml.safe_load(call("recipe", "show", recipe).out)["rounds"] == 2
