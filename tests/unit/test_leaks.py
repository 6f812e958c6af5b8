"""What is said of rows and items that no curation stood between, of rows that curation took away, and of rounding."""

import json
from pathlib import Path

import pytest

from tutelage.events import Event
from tutelage.models.bundle import Bundle
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.items import guarded_items, split_items
from tutelage.pipeline.leaks import beyond_guarded, shared_words
from tutelage.pipeline.shop import Shop
from tutelage.pipeline.stages import curate_stage, say_rounding
from tutelage.recipe import Recipe, parse_recipe
from tutelage.records import Example, Item, Lineage, Split, assistant, user
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks
from tutelage.tasks.rows import RowsTask

PLACES = ("river", "garden", "harbour", "bridge", "market", "castle", "forest", "island")


def question(n: int) -> str:
    place = PLACES[n % len(PLACES)]
    return f"Which {place} number {n} did traveller {n} see first when train {n} came to town {n} in spring {n}?"


def recipe_of_rows(folder: Path, *, settings: str = "") -> Recipe:
    rows = [{"prompt": question(n), "reference": f"Place {n}."} for n in range(200)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = "name: own\nmodel: {id: tiny}\nrounds: 1\nevaluate: {probe: 2, gate: 2, test: 3}\n" + settings
    text += "tasks: [{kind: rows, name: own, dimension: own, path: own.jsonl, check: contains}]\n"
    return parse_recipe(text, folder=folder)


def task_of(recipe: Recipe) -> RowsTask:
    task = build_tasks(recipe.tasks, recipe.folder)["own"]
    assert isinstance(task, RowsTask)
    return task


def example(name: str, asked: str, answer: str = "Yes.", paradigm: str = "expert") -> Example:
    lineage = Lineage.model_validate({"paradigm": paradigm, "source": "test", "author": "a person"})
    return Example(id=name, messages=(user(asked), assistant(answer)), lineage=lineage)


def rows_about(items: list[Item]) -> list[Example]:
    return [example(f"row-{n}", item.messages[-1].text) for n, item in enumerate(items)]


def test_rows_that_hold_an_item_are_counted_and_one_is_shown(tmp_path: Path) -> None:
    recipe = recipe_of_rows(tmp_path)
    task = task_of(recipe)
    drawn = {item.id for item in guarded_items(recipe, {"own": task})}
    kept_back = [item for item in task.all_items if item.split != "train"]
    not_drawn = [item for item in kept_back if item.id not in drawn]
    assert not_drawn, "the file holds more rows for measuring than a run draws"
    train = [item for item in task.all_items if item.split == "train"]
    rows = [*rows_about(train[:3]), example("leak", not_drawn[0].messages[-1].text), example("x", question(999))]
    found = shared_words(rows, recipe)
    assert found.startswith("1 of 5 rows share words")
    assert f"for example row 4: {not_drawn[0].id} ({not_drawn[0].split}) has " in found
    assert "trained on all the same" in found
    assert f"compared with {len(kept_back)} items" in found
    assert shared_words(rows[:3], recipe).startswith("No row shares 13 words")


def test_the_recipes_own_step_decides_what_is_shared(tmp_path: Path) -> None:
    item = next(item for item in task_of(recipe_of_rows(tmp_path)).all_items if item.split == "test")
    words = item.messages[-1].text.split()[:13]
    rows = [example("half", " ".join(words) + " or whatever else came to mind on that day")]
    assert shared_words(rows, recipe_of_rows(tmp_path)).startswith("1 of 1 rows")
    loose = recipe_of_rows(tmp_path, settings="curate: {steps: [{kind: contamination, ngram: 15}]}\n")
    assert shared_words(rows, loose).startswith("No row shares 15 words")
    without = recipe_of_rows(tmp_path, settings="curate: {steps: [{kind: exact_duplicates}]}\n")
    assert shared_words(rows, without).startswith("1 of 1 rows"), "a recipe without the step gets its defaults"


def test_rows_are_tuned_on_even_where_the_items_cannot_be_read(tmp_path: Path) -> None:
    recipe = recipe_of_rows(tmp_path)
    (tmp_path / "own.jsonl").unlink()
    found = shared_words([example("a", "Hello?")], recipe)
    assert found.startswith("The rows were not compared with evaluation items: ")
    assert "own.jsonl" in found


@pytest.mark.parametrize(
    ("split", "per_cell", "words"),
    [
        ("test", 3, None),
        ("test", 9, "6 of the 9 items were not guarded against contamination, since own draws 3 a cell from test"),
        ("train", 2, "2 of the 2 items were not guarded against contamination, since own learns from train"),
    ],
)
def test_items_beyond_the_numbers_of_the_recipe_are_said(
    tmp_path: Path, split: Split, per_cell: int, words: str | None
) -> None:
    recipe = recipe_of_rows(tmp_path)
    tasks = {"own": task_of(recipe)}
    items = split_items(recipe, tasks, split, per_cell)
    found = beyond_guarded(items, recipe=recipe, tasks=tasks, split=split, per_cell=per_cell)
    assert found is None if words is None else str(found).startswith(words)


def test_a_number_that_the_file_cannot_fill_asks_nothing_unguarded(tmp_path: Path) -> None:
    recipe = recipe_of_rows(tmp_path)
    recipe = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"test": 150})})
    tasks = {"own": task_of(recipe)}
    items = split_items(recipe, tasks, "test", 180)
    assert len(items) < 150
    assert beyond_guarded(items, recipe=recipe, tasks=tasks, split="test", per_cell=180) is None


def curated(tmp_path: Path, rows: list[Example]) -> list[str]:
    """The notes of the curation of a round."""
    heard: list[Event] = []
    recipe = parse_recipe("name: x\nmodel: {id: tiny}\ntasks: [{kind: safety}]\n")
    tasks = build_tasks(recipe.tasks, recipe.folder)
    with RunDirectory.create(tmp_path / "run", recipe) as run, Engines(recipe, offline=True) as engines:
        shop = Shop(recipe, run, tasks, (), engines, heard.append)
        kept = curate_stage(shop, "rounds/1/curate", rows, [], round=1)
        assert curate_stage(shop, "rounds/1/curate", rows, [], round=1) == kept
    notes = [event for event in heard if event.kind == "note"]
    assert {(event.stage, event.round) for event in notes} == {("curate", 1)}
    return [str(event.data["text"]) for event in notes]


def test_a_curation_that_drops_most_of_the_expert_rows_says_so_and_goes_on(tmp_path: Path) -> None:
    rows = [example(f"same-{n}", "What is the capital of France?", "It is Paris, on the Seine.") for n in range(6)]
    rows += [example("long", "Write a lot.", "word " * 9000), example("own", "What is a fjord?", "A drowned valley.")]
    made = [example(f"made-{n}", question(n), f"The answer is {n}.", "self") for n in range(9)]
    assert curated(tmp_path, [*rows, *made]) == [
        "17 rows in, 11 kept, 6 dropped",
        "6 of 8 expert rows were dropped, 5 of them by exact_duplicates: see dropped.jsonl",
    ]


def test_half_of_the_expert_rows_and_rows_of_models_are_dropped_without_a_word(tmp_path: Path) -> None:
    rows = [example(f"same-{n}", "What is the capital of France?", "It is Paris, on the Seine.") for n in range(2)]
    made = [example(f"made-{n}", "What is the capital of Spain?", "Madrid, on a plain.", "self") for n in range(9)]
    assert curated(tmp_path, [*rows, *made]) == ["11 rows in, 2 kept, 9 dropped"]


@pytest.mark.parametrize(("rounded", "said"), [(None, 0), (0.4, 0), (0.8, 1)])
def test_an_adapter_that_rounding_swallows_is_said(rounded: float | None, said: int) -> None:
    heard: list[Event] = []
    tiny = tiny_model()
    say_rounding(Bundle(tiny.model, tiny.tokenizer, tiny.template, tiny.source, rounded), heard.append)
    assert len(heard) == said
    assert all("to float32 moves the logits by 80% of what the adapter" in str(event.data["text"]) for event in heard)
