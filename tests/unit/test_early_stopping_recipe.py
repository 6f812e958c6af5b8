"""What early stopping asks of a recipe: items, refusals, and what people are told of it."""

import json
from pathlib import Path

import pytest

from support.letters import Letters
from tutelage.errors import RecipeError
from tutelage.events import Event
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.asking import probe_of, reward_of
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.items import guarded_items, probe_items, stopping_items
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.tracking import Measures, measures_of
from tutelage.pipeline.training import words_of_look, words_of_stopping
from tutelage.recipe import Recipe
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.recipe.tune import TuneSection
from tutelage.report.artifact import tuning
from tutelage.tasks.build import build_tasks
from tutelage.tune import Look, Probe, Stopping
from tutelage.tune.training.checkpoint import fingerprint_of


def recipe(section: str, tasks: str = "{kind: constraints}, {kind: safety}", more: str = "") -> Recipe:
    return parse_recipe(f"name: a\ntasks: [{tasks}]\ntune: {{early_stopping: {section}{more}}}\n")


def test_the_items_are_of_the_probe_split_and_guarded() -> None:
    wanted = recipe("{items: 3, tasks: [constraints], levels: [basic, expert]}")
    tasks = build_tasks(wanted.tasks, wanted.folder)
    items = stopping_items(wanted, tasks, wanted.tune.early_stopping)
    assert {item.split for item in items} == {"probe"}
    assert [(item.task, item.level) for item in items] == [("constraints", "basic")] * 3 + [
        ("constraints", "expert")
    ] * 3
    assert stopping_items(wanted, tasks, wanted.tune.early_stopping) == items
    ids = {item.id for item in items}
    assert ids <= {item.id for item in guarded_items(wanted, tasks)}, "no row that shares words with them is learned"
    assert not ids & {item.id for item in probe_items(wanted, tasks)}, "the plan is steered by others"
    without = recipe("null")
    assert not ids & {item.id for item in guarded_items(without, tasks)}
    assert probe_of(without, without.tune, tasks) is None


def test_a_name_that_no_task_has() -> None:
    wanted = recipe("{tasks: [constraint]}")
    tasks = build_tasks(wanted.tasks, wanted.folder)
    with pytest.raises(RecipeError, match=r"tune\.early_stopping\.tasks.*Did you mean 'constraints'"):
        stopping_items(wanted, tasks, wanted.tune.early_stopping)
    with pytest.raises(RecipeError, match=r"tune\.early_stopping\.tasks.*Did you mean 'constraints'"):
        preflight(wanted)  # a run would meet it after hours


def test_there_must_be_something_to_ask() -> None:
    with pytest.raises(RecipeError, match="asks probe items of the recipe's tasks, and there are none"):
        parse_recipe("name: a\ntune: {data: {path: rows.jsonl}, early_stopping: {}}\n")
    letters = {"letters": Letters()}
    section = EarlyStoppingSection(levels=("expert",))
    with pytest.raises(RecipeError, match=r"early_stopping\.levels.*no task of this recipe has this level.*basic"):
        stopping_items(recipe("null"), letters, section)


def test_settings_items_and_checks_are_what_a_training_is() -> None:
    model, items = tiny_model().model, Letters().items("probe", "basic", 3, 0)
    reward = reward_of({"letters": Letters()}, "one check")

    def found(section: EarlyStoppingSection | None, probe: Probe | None = None) -> str:
        identity = probe.identity if probe is not None else ""
        return fingerprint_of(model, [], TuneSection(early_stopping=section), seed=0, reward=identity)

    plain, other = EarlyStoppingSection(), EarlyStoppingSection(patience=4)
    probes = [Probe(items, reward), Probe(items[:2], reward), Probe(items, reward_of({}, "another check"))]
    assert len({found(None), found(plain), found(other), *(found(plain, probe) for probe in probes)}) == 6


def test_it_is_said_what_a_look_saw_and_what_was_kept() -> None:
    look = Look(run="r", step=20, score=0.5, answers=12, unscored=2, ended=1.0, best=20, seconds=1.0)
    start = look.model_copy(update={"step": 0, "score": 0.25, "best": 0, "unscored": 0})
    assert words_of_look(look) == "Probe score after 20 steps: 0.500, the best so far (12 answers, 2 unscored)"
    assert words_of_look(start) == "Probe score before the first step: 0.250, the best so far (12 answers)"
    worse = look.model_copy(update={"step": 40, "score": 0.4})
    assert "0.400, not above that at step 20" in words_of_look(worse)
    stopping = Stopping(kept=20, score=0.5, planned=200, why="patience", looks=(start, look, worse))
    said = words_of_stopping(stopping, made=40)
    assert said.startswith(
        "Stopped after step 40 of 200. The weights after step 20 are saved: probe score 0.500, 0.250"
    )
    assert "chosen among 3" in said
    unmoved = stopping.model_copy(update={"kept": 0, "score": 0.25})
    assert "None of the weights answered the probe items better" in words_of_stopping(unmoved, made=40)
    assert words_of_stopping(stopping, made=200).startswith("All 200 steps were made.")


def test_a_card_says_how_the_weights_were_chosen() -> None:
    chosen = "the weights whose answers to probe items were best"
    assert chosen in tuning(TuneSection(early_stopping=EarlyStoppingSection()), seed=0, rows=3, steps=5)
    assert chosen not in tuning(TuneSection(), seed=0, rows=3, steps=5)


def test_trackers_hear_of_looks() -> None:
    look = Event("look", data={"step": 20, "score": 0.5, "text": "..."})
    assert measures_of(look) == Measures(20, {"tune/probe": 0.5})
    assert measures_of(Event("look", round=2, data=look.data)) == Measures(20, {"round 2/tune/probe": 0.5})


def test_the_estimate_counts_the_answers() -> None:
    wanted = recipe("{items: 4, every: 10}", tasks="{kind: safety}", more=", max_steps: 25")
    tasks = build_tasks(wanted.tasks, wanted.folder)
    found = next(stage for stage in estimate_run(wanted, tasks).stages if stage.stage == "tune (looks)")
    items = len(stopping_items(wanted, tasks, wanted.tune.early_stopping))
    assert items == 4 * len(tasks["safety"].levels)
    assert found.what == f"at most 4 looks × {items} probe items", "at steps 0, 10, 20 and 25"
    assert found.answers == 4 * items * wanted.rounds
    assert all(stage.stage != "tune (looks)" for stage in estimate_run(recipe("null"), tasks).stages)


def test_levels_that_are_estimated_later_cannot_be_named(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "reference": "x"} for n in range(400)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = recipe("{levels: [basic]}", f"{{kind: rows, path: {tmp_path / 'rows.jsonl'}, check: exact}}")
    tasks = build_tasks(wanted.tasks, wanted.folder)
    with pytest.raises(RecipeError, match=r"early_stopping\.levels.*estimated when the run begins.*state them"):
        stopping_items(wanted, tasks, wanted.tune.early_stopping)


def test_a_part_of_the_tasks_guards_its_own_part() -> None:
    wanted = recipe("{tasks: [constraints, safety], levels: [basic]}")
    tasks = build_tasks(wanted.tasks, wanted.folder)
    asked = {item.id: item.task for item in stopping_items(wanted, tasks, wanted.tune.early_stopping)}
    guarded = {item.id for item in guarded_items(wanted, {"safety": tasks["safety"]})}
    assert {asked[name] for name in guarded & asked.keys()} == {"safety"}
    other = recipe("{tasks: [constraints]}")
    assert guarded_items(other, {"safety": tasks["safety"]})
