"""The Python interface as a notebook uses it, cell by cell, on the tiny model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tutelage
from tutelage.errors import DataError, RunError
from tutelage.evaluate.general_texts import general_documents, general_prompts
from tutelage.events import Event
from tutelage.models.load import load_bundle
from tutelage.pipeline.items import final_items, probe_items
from tutelage.pipeline.single import curate_round, tune_round
from tutelage.pipeline.standalone import scores_of
from tutelage.recipe import parse_recipe
from tutelage.recipe.tune import TuneSection
from tutelage.records import Example, Item, Lineage, assistant, user
from tutelage.records.importers import import_examples
from tutelage.records.jsonl import read_records
from tutelage.seeds import derive_seed
from tutelage.tasks.build import build_tasks
from tutelage.tune import Summary, train

RECIPE = """
name: notebook
rounds: 2
model: {id: tiny}
engines: {threads: 1}
tasks: [{kind: constraints}]
construct:
  {prompts: 4, max_tokens: 8, rehearsal: {prompts: 2}, distill: {samples: 1, shots: 1},
   self_improve: {samples: 1, revisions: 1}}
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 3, max_tokens: 8, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "recipe.yaml").write_text(RECIPE)
    rows = [
        {"prompt": f"How many legs do {n} spiders have?", "completion": f"{n} spiders have {8 * n} legs."}
        for n in range(2, 22)
    ]
    rows += [rows[0], {"prompt": "Go on.", "completion": "round and round we go again " * 30}]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_notebook_from_rows_to_a_comparison(place: Path) -> None:
    curated = tutelage.curate(place / "rows.jsonl", out=place / "curated")
    assert (curated.ledger.rows_in, curated.ledger.kept) == (22, 20)
    assert len(curated.dropped) == 2

    heard: list[Event] = []
    tuned = tutelage.tune(curated.kept, out=place / "tuned", model="tiny", emit=heard.append)
    assert tuned.rows == 20
    assert (place / "tuned" / "weights" / "adapter_model.safetensors").is_file()
    assert [event.data["done"] for event in heard if event.kind == "progress"][-1] == tuned.steps
    again = tutelage.tune(curated.kept, out=place / "tuned", model="tiny")
    assert again.losses == tuned.losses

    recipe = tutelage.load_recipe(place / "recipe.yaml")
    before = tutelage.evaluate(recipe, per_cell=2)
    after = tutelage.evaluate(recipe, adapter=place / "tuned" / "weights", per_cell=2, label="tuned")
    assert before.summary.engine != after.summary.engine
    found = tutelage.compare(before, after)
    assert (found.before, found.after, found.split) == ("start", "tuned", "test")
    assert found.macro.n == sum(not score.transfer for score in before.scores)


def test_rows_that_hold_a_text_of_the_guards_are_not_trained_on(place: Path) -> None:
    asked, read = general_prompts(), general_documents()
    texts = [(prompt, "Surely.") for prompt in asked] + [("Go on.", document) for document in read]
    rows = [
        Example(
            id=f"row-{index}",
            messages=(user(prompt), assistant(answer)),
            lineage=Lineage(paradigm="expert", source="test", author="expert"),
        )
        for index, (prompt, answer) in enumerate([*texts, ("How many legs have two spiders?", "Sixteen.")])
    ]
    recipe = tutelage.load_recipe(place / "recipe.yaml", ["curate.steps=[{kind: contamination}]"])
    curated = tutelage.curate(rows, recipe=recipe)
    assert [row.id for row in curated.kept] == [rows[-1].id]
    assert "general prompt 1 has" in curated.dropped[0].reason
    assert any(f"and {len(texts)} general texts" in note for note in curated.ledger.notes)


def test_tuning_rows_takes_the_chat_template_and_the_threads_of_the_recipe(place: Path) -> None:
    """``tune`` on rows is the tuning of a run of the same recipe, down to the losses."""
    folder = place / "own-template"
    folder.mkdir()
    marked = "{% for m in messages %}<|im_start|>[{{ m.role }}] {{ m.content }}<|im_end|>\n{% endfor %}"
    marked += "{% if add_generation_prompt %}<|im_start|>[assistant] {% endif %}"
    (folder / "chat.jinja").write_text(marked)
    threads: list[int] = []

    def listen(event: Event) -> None:
        if event.kind == "step":
            threads.append(torch.get_num_threads())

    def tuned(name: str, template: str) -> Summary:
        text = f"name: {name}\nmodel: {{id: tiny, template: {template}}}\nengines: {{threads: 3}}\nseed: 4\n"
        recipe = parse_recipe(text + "tasks: [{kind: safety}]\ntune: {epochs: 2}\n", folder=folder)
        return tutelage.tune(place / "rows.jsonl", out=folder / name, model=recipe, emit=listen)

    before = torch.get_num_threads()
    own, usual = tuned("own", "chat.jinja"), tuned("usual", "null")
    assert set(threads) == {3}
    assert torch.get_num_threads() == before
    assert len(threads) == own.steps + usual.steps == 4 * -(-22 // 16)
    assert own.losses != usual.losses
    bundle = load_bundle("tiny", template=folder / "chat.jinja")
    rows = [bundle.template.encode(row.messages) for row in import_examples(place / "rows.jsonl", author="expert")]
    *_, expected = train(bundle, rows, TuneSection(epochs=2), folder=folder / "direct", seed=derive_seed(4, "tune"))
    assert isinstance(expected, Summary)
    assert own.losses == pytest.approx(expected.losses, rel=1e-5)
    assert own.total_tokens == expected.total_tokens != usual.total_tokens


def test_single_stages_are_the_stages_of_the_run(place: Path) -> None:
    recipe = tutelage.load_recipe(place / "recipe.yaml")
    out = place / "runs" / "notebook"
    with pytest.raises(RunError, match="no rows from construct"):
        curate_round(recipe, out=out)
    made = tutelage.construct(recipe, round=1, out=out)
    kept = curate_round(recipe, out=out)
    assert {row.id for row in kept} <= {row.id for row in made.rows}
    weights = tune_round(recipe, out=out)
    stamp = (weights / "adapter_model.safetensors").stat().st_mtime_ns
    with pytest.raises(RunError, match="round 1 is not finished"):
        tutelage.construct(recipe, round=2, out=out)
    with pytest.raises(RunError, match="2 rounds"):
        tutelage.construct(recipe, round=3, out=out)

    outcome = tutelage.run(recipe, out)
    assert len(outcome.verdicts) == 2
    assert (weights / "adapter_model.safetensors").stat().st_mtime_ns == stamp
    run = tutelage.open_run(out)
    assert run.finished
    assert run.best.round == outcome.promoted_round

    tasks = build_tasks(recipe.tasks, recipe.folder)
    assert read_records(out / "rounds/0/evaluate/items.jsonl", Item) == probe_items(recipe, tasks)
    assert read_records(out / "final/start/items.jsonl", Item) == final_items(recipe, tasks)

    start, last = scores_of(out, "start"), scores_of(out, "round 2")
    expected = next(one for one in outcome.comparisons if {one.before, one.after} >= {"start", "round 2"})
    assert tutelage.compare(start, last).macro.estimate == pytest.approx(expected.macro.estimate)
    measured = tutelage.evaluate(recipe, per_cell=3)
    assert [score.counted for score in measured.scores] == [score.counted for score in start.scores]


def test_models_scored_on_other_items_are_not_compared(place: Path) -> None:
    recipe = tutelage.load_recipe(place / "recipe.yaml")
    one = tutelage.evaluate(recipe, per_cell=1, out=place / "one")
    two = tutelage.evaluate(recipe, per_cell=2)
    with pytest.raises(DataError, match="one of the two models only"):
        tutelage.compare(one, two)
    gate = tutelage.evaluate(recipe, split="gate", per_cell=1)
    with pytest.raises(DataError, match="different splits"):
        tutelage.compare(one, gate)
    with pytest.raises(RunError, match="something else"):
        tutelage.evaluate(recipe, per_cell=2, out=place / "one")
    other = tutelage.load_recipe(place / "recipe.yaml", ["tasks=[{kind: grounded}]"])
    with pytest.raises(RunError, match="something else"):
        tutelage.evaluate(other, per_cell=1, out=place / "one")
    assert scores_of(place / "one").summary == one.summary


def test_tuning_on_what_is_asked_is_said_where_it_is_done_and_where_it_is_scored(place: Path) -> None:
    recipe = tutelage.load_recipe(place / "recipe.yaml")
    asked = final_items(recipe, build_tasks(recipe.tasks, recipe.folder))[0].messages[-1].text
    rows = [
        Example(
            id=f"row-{index}",
            messages=(user(prompt), assistant("Surely.")),
            lineage=Lineage(paradigm="expert", source="test", author="expert"),
        )
        for index, prompt in enumerate(["How many legs have two spiders?", asked])
    ]
    heard: list[Event] = []
    out = place / "leaked"
    summary = tutelage.tune(rows, out=out, model=recipe, section=TuneSection(max_steps=1), emit=heard.append)
    assert summary.rows == 2, "nothing is dropped"
    read, shared, *_ = (str(event.data["text"]) for event in heard if event.kind == "note")
    assert read == "2 rows: conversations, whose answers are learned."
    assert shared.startswith("1 of 2 rows share words")
    assert "for example row 2" in shared
    ledger = json.loads((out / "ledger.json").read_text())
    assert (ledger["kept"], ledger["notes"]) == (2, [shared])

    def said(per_cell: int, adapter: Path | None) -> str:
        heard.clear()
        tutelage.evaluate(recipe, adapter=adapter, per_cell=per_cell, emit=heard.append)
        return " ".join(str(event.data["text"]) for event in heard if event.kind == "note")

    assert "items were not guarded against contamination, since notebook draws 3 a cell from test" in said(
        4, out / "weights"
    )
    assert said(3, out / "weights") == ""
    assert said(4, None) == "", "the start has learned nothing from the recipe"


def test_importing_is_light_and_the_verbs_stay_functions() -> None:
    code = (
        "import sys, tutelage\n"
        "assert not {'torch', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "import tutelage.curate.sieve, tutelage.tune, tutelage.evaluate.run\n"
        "from tutelage.curate import Step\n"
        "assert all(callable(getattr(tutelage, name)) for name in tutelage.__all__)\n"
        "assert set(tutelage.__all__) <= set(dir(tutelage))\n"
        "from tutelage import curate, run\n"
        "assert curate.__module__ == 'tutelage.pipeline.standalone'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no_such_verb"):
        tutelage.no_such_verb  # noqa: B018
