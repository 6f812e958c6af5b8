import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.recipe.rows import RowsSection, SharesSection
from tutelage.records import LEVELS, SPLITS
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask, estimate_levels

ROWS = st.lists(
    st.fixed_dictionaries(
        {"prompt": st.sampled_from([f"Question {n}?" for n in range(30)]), "reference": st.sampled_from("abc")},
        optional={
            "group": st.sampled_from([f"g{n}" for n in range(8)]),
            "passage": st.sampled_from([f"Passage {n}." for n in range(8)]),
        },
    ),
    min_size=1,
    max_size=40,
)
EVEN = SharesSection(train=0.25, probe=0.25, gate=0.25, test=0.25)


def task(rows: list[dict[str, str]]) -> RowsTask:
    with TemporaryDirectory() as folder:
        (Path(folder) / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return RowsTask(RowsSection(kind="rows", path="rows.jsonl", check="exact", shares=EVEN), Path(folder))


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_no_group_passage_or_question_is_in_two_splits(rows: list[dict[str, str]]) -> None:
    items = task(rows).all_items
    assert len({item.id for item in items}) == len(items)
    assert len(items) == len({(row["prompt"], row["reference"], row.get("passage")) for row in rows})
    splits: dict[str, set[str]] = {}
    for item in items:
        for source in (item.group, item.passage, item.prompt):
            if source:
                splits.setdefault(source, set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 99), st.integers(0, 20), st.integers(0, 20))
def test_items_are_nested_draws(rows: list[dict[str, str]], seed: int, n: int, m: int) -> None:
    made = task(rows)
    assert isinstance(made, Task)
    for split in SPLITS:
        few, many = (made.items(split, "basic", size, seed) for size in sorted((n, m)))
        assert many[: len(few)] == few
        assert {item.split for item in many} <= {split}
    whole = [item for split in SPLITS for item in made.items(split, "basic", 1000, seed)]
    assert sorted(item.id for item in whole) == sorted(item.id for item in made.all_items)


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_new_groups_move_no_row_to_another_split(rows: list[dict[str, str]]) -> None:
    before = {item.id: item.split for item in task(rows).all_items}
    added = [{"prompt": f"New {n}?", "reference": "a", "group": f"new {n}"} for n in range(5)]
    after = {item.id: item.split for item in task([*added, *rows]).all_items}
    assert all(after[id] == split for id, split in before.items())


def test_shares_are_kept_on_average() -> None:
    items = task([{"prompt": f"{n}?", "reference": "a"} for n in range(4000)]).all_items
    for split in SPLITS:  # four standard deviations of a binomial share
        assert abs(sum(item.split == split for item in items) / 4000 - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


@given(st.lists(st.floats(0, 1), max_size=150), st.integers(1, 40))
def test_estimated_levels_are_monotone_and_no_cell_is_small(rates: list[float], min_cell: int) -> None:
    by_id = {f"r{n}": rate for n, rate in enumerate(rates)}
    levels = estimate_levels(by_id, min_cell)
    assert set(levels) == set(by_id)
    easiest_first = sorted(by_id, key=lambda id: -by_id[id])
    ranks = [LEVELS.index(levels[id]) for id in easiest_first]
    assert ranks == sorted(ranks)
    sizes = [list(levels.values()).count(level) for level in set(levels.values())]
    assert len(sizes) <= 1 or min(sizes) >= min_cell
