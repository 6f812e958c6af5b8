"""Prompts that sources are given: as many of each task and level, rows without a check too, each round the next."""

from pathlib import Path

from support.classroom import Shout
from support.revising import write_rows
from tutelage.construct.given import prompts_of_file, prompts_of_tasks
from tutelage.recipe.rows import RowsSection
from tutelage.tasks.rows import RowsTask

ONLY_TRAIN = {"train": 1, "probe": 0, "gate": 0, "test": 0}


def rows_task(folder: Path, number: int, **keys: object) -> RowsTask:
    rows = [{"prompt": f"What is {n} plus 1?", "reference": str(n + 1), "level": "basic"} for n in range(number)]
    write_rows(folder / "rows.jsonl", rows)
    section = {"kind": "rows", "path": "rows.jsonl", "shares": ONLY_TRAIN, **keys}
    return RowsTask(RowsSection.model_validate(section), folder)


def test_each_task_and_level_gives_as_many(tmp_path: Path) -> None:
    tasks = {"shout": Shout(), "rows": rows_task(tmp_path, 20)}
    found = prompts_of_tasks(tasks, 8, round=1, seed=3)
    counts: dict[tuple[str, str], int] = {}
    for one in found:
        counts[one.item.task, one.item.level] = counts.get((one.item.task, one.item.level), 0) + 1
    assert counts == {("shout", "basic"): 3, ("shout", "advanced"): 3, ("rows", "basic"): 2}
    assert all(one.item.split == "train" and one.level == one.item.level for one in found)


def test_rows_without_a_check_are_given_and_known_as_such(tmp_path: Path) -> None:
    unchecked = prompts_of_tasks({"rows": rows_task(tmp_path, 3)}, 8, round=1, seed=3)
    assert [one.checked for one in unchecked] == [False] * 3
    checked = prompts_of_tasks({"rows": rows_task(tmp_path, 3, check="numeric")}, 8, round=1, seed=3)
    assert [one.checked for one in checked] == [True] * 3


def test_the_next_round_has_others(tmp_path: Path) -> None:
    tasks = {"shout": Shout(), "rows": rows_task(tmp_path, 20)}
    rounds = [{one.item.id for one in prompts_of_tasks(tasks, 9, round=round, seed=3)} for round in (1, 2)]
    assert [len(one) for one in rounds] == [9, 9]
    assert not rounds[0] & rounds[1]
    assert {one.item.id for one in prompts_of_tasks(tasks, 9, round=2, seed=3)} == rounds[1]


def test_a_file_has_its_labels_and_no_level_where_it_states_none(tmp_path: Path) -> None:
    rows = [{"prompt": "A?", "level": "expert", "task": "mine"}, {"prompt": "B?"}]
    first, second = prompts_of_file(write_rows(tmp_path / "a.jsonl", rows), "constitution")
    assert (first.level, first.item.task, first.checked) == ("expert", "mine", False)
    assert (second.level, second.item.task, second.item.level) == (None, "constitution", "basic")
