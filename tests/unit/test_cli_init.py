"""``tutelage init``: what it writes is whole, runs, and is never written over something else."""

import csv
import json
from pathlib import Path

import pytest

from tutelage.cli.columns import propose
from tutelage.cli.init import Wishes, init_command
from tutelage.construct.expert import expert_rows
from tutelage.curate import build_steps, curate
from tutelage.errors import DataError, InputErrors
from tutelage.pipeline.items import guarded_items
from tutelage.recipe import load_recipe
from tutelage.recipe.construct import ExpertSection
from tutelage.records import LEVELS, SPLITS, Answer
from tutelage.records.tables import Row
from tutelage.tasks.build import build_tasks, demonstrations_of
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask


def make(folder: Path, wishes: Wishes) -> dict[str, Task]:
    init_command(folder, wishes, ask=False)
    recipe = load_recipe(folder / "recipe.yaml")
    return build_tasks(recipe.tasks, recipe.folder)


def rows_of(*values: dict[str, object]) -> list[Row]:
    return [Row(number, dict(value)) for number, value in enumerate(values, start=1)]  # type: ignore[arg-type]


def test_without_flags_there_are_sample_rows_that_can_be_learned(tmp_path: Path) -> None:
    tasks = make(tmp_path / "own", Wishes(model="tiny"))
    (task,) = tasks.values()
    assert isinstance(task, RowsTask)
    assert {item.split for item in task.all_items} == set(SPLITS)
    assert len(demonstrations_of([task])) > 20
    recipe = load_recipe(tmp_path / "own" / "recipe.yaml")
    assert (recipe.name, recipe.model.id) == ("own", "tiny")
    assert recipe.controls.few_shot


@pytest.mark.parametrize("name", ["2024-05-01", "2024", "yes", "null"])
def test_any_folder_name_is_a_name(tmp_path: Path, name: str) -> None:
    make(tmp_path / name, Wishes(model="tiny"))
    assert load_recipe(tmp_path / name / "recipe.yaml").name == name


def test_rows_are_copied_in_and_their_columns_named(tmp_path: Path) -> None:
    file = tmp_path / "my rows.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["Question", "Label"])
        writer.writerows([f"What is {number} + 1?", number + 1] for number in range(80))
    tasks = make(tmp_path / "own", Wishes(data=file))
    assert list(tasks) == ["my-rows"]
    copied = tmp_path / "own" / "data" / "my rows.csv"
    assert copied.read_bytes() == file.read_bytes()
    (task,) = tasks.values()
    item = task.items("train", "basic", 1, seed=0)[0]
    assert item.kinds == ("numeric",)
    assert task.check([item], [Answer(request_id=item.id, text=f"It is {item.spec['reference']}.")])[0].passed


def test_an_own_check_decides_and_its_reason_is_the_critique(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (task,) = make(tmp_path / "own", Wishes(own_check=True)).values()
    assert "own/checks.py as it stands: write your check there" in capsys.readouterr().out
    item = task.items("train", "basic", 1, seed=0)[0]
    right = Answer(request_id=item.id, text=str(item.spec["reference"]))
    wrong = Answer(request_id=item.id, text="I do not know")
    assert item.kinds == ("checks.py:check_answer",)
    verdicts = task.check([item, item], [right, wrong])
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0]
    assert str(item.spec["reference"]) in verdicts[1].reason


def test_an_own_task_keeps_the_contract(tmp_path: Path) -> None:
    (task,) = make(tmp_path / "own", Wishes(own_task=True)).values()
    asked = {
        split: {good for item in task.items(split, "expert", 20, 1) for good in item.group.split(", ")}
        for split in SPLITS
    }
    for split in SPLITS:
        assert not any(asked[split] & asked[other] for other in SPLITS if other != split)
    for level in LEVELS:
        items = task.items("test", level, 30, seed=3)
        assert len({item.id for item in items}) == 30
        assert items[:10] == task.items("test", level, 10, seed=3)
        right = [Answer(request_id=item.id, text=f"{item.spec['total']}") for item in items]
        assert all(verdict.passed for verdict in task.check(items, right))
        assert all(verdict.passed for verdict in task.audit(items, right))
        wrong = [Answer(request_id=item.id, text="0") for item in items]
        assert not any(verdict.passed for verdict in task.check(items, wrong))
    shown = demonstrations_of([task])
    assert len(shown) == 32
    answers = [Answer(request_id=one.item.id, text=one.answer) for one in shown]
    assert all(verdict.passed for verdict in task.check([one.item for one in shown], answers))


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(InputErrors, match="exists already"):
        init_command(folder, Wishes(), ask=False)
    assert [file.name for file in folder.iterdir()] == ["letter.txt"]
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a", "reference": "1"}\n{"prompt": ""}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:2: prompt"):
        init_command(tmp_path / "other", Wishes(data=bad), ask=False)
    assert not (tmp_path / "other").exists()


def test_contradictions_are_all_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputErrors) as caught:
        init_command(tmp_path / "own", Wishes(check="exat", own_check=True), ask=False)
    said = str(caught.value)
    assert "exclude each other" in said
    assert "Did you mean exact?" in said
    assert "--data" in said


def test_without_answers_there_is_no_few_shot_control(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Say {word}"}) + "\n" for word in "abcdefghij"))
    make(tmp_path / "own", Wishes(data=file))
    assert not load_recipe(tmp_path / "own" / "recipe.yaml").controls.few_shot


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ([{"question": "1+1", "expected": str(n)} for n in range(10)], "numeric"),
        ([{"text": f"t{n}", "label": ["yes", "no"][n % 2]} for n in range(40)], "choice"),
        ([{"prompt": f"p{n}", "answer": f"word {n}x"} for n in range(40)], "contains"),
        ([{"prompt": f"p{n}", "output": "one two three four five six " * 3 + str(n)} for n in range(9)], "none"),
        ([{"prompt": "p"}], "none"),
        ([{"prompt": "p", "check": "exact", "reference": "r"}], ""),
    ],
)
def test_the_check_fits_the_references(values: list[dict[str, object]], check: str) -> None:
    assert propose(rows_of(*values)).check == check


def test_columns_are_found_by_name_and_used_once() -> None:
    found = propose(
        rows_of(*({"Instruction": f"i{n}", "input": "about this", "output": f"o{n}", "Patient": "x"} for n in range(9)))
    )
    assert found.columns == {
        "prompt": "Instruction",
        "passage": "input",
        "answer": "output",
        "reference": "output",
        "group": "Patient",
    }


@pytest.mark.parametrize("wishes", [Wishes(), Wishes(own_check=True), Wishes(own_task=True)])
def test_what_comes_with_init_survives_its_own_curation(tmp_path: Path, wishes: Wishes) -> None:
    """Train rows share no run of words with evaluation items but the phrases of the task."""
    tasks = make(tmp_path / "own", wishes)
    recipe = load_recipe(tmp_path / "own" / "recipe.yaml", ["evaluate.probe=2", "evaluate.gate=4", "evaluate.test=4"])
    rows = expert_rows(demonstrations_of(list(tasks.values())), ExpertSection(), tasks={}, seed=0)
    kept = curate(rows, build_steps(recipe.curate, guarded_items(recipe, tasks))).kept
    assert len(kept) == len(rows)
