"""Preferences from a file of one's own to weights, through the Python API and the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tutelage
from tutelage.cli.app import app
from tutelage.errors import DataError, RecipeError
from tutelage.events import Event
from tutelage.pipeline.items import guarded_items
from tutelage.pipeline.leaks import shared_words
from tutelage.pipeline.preflight import preflight
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import DpoObjective, KtoObjective, Objective, SftObjective
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, TuneSection
from tutelage.records import UnpairedPreference, assistant
from tutelage.records.importers import import_preferences
from tutelage.tasks.build import build_tasks

WORDS = ("garden", "river", "name", "passage", "answer", "title", "point", "sentence")
RECIPE = """
name: pairs
model: {id: tiny}
tune:
  data: {path: pairs.jsonl}
  objective: {kind: sum, parts: [{weight: 1, objective: {kind: dpo}}, {weight: 0.1, objective: {kind: sft}}]}
  batch_size: 4
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Name a {word}.", "chosen": f"The {word}.", "rejected": f"No {word} " * 3} for word in WORDS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def section(objective: Objective) -> TuneSection:
    optimizer = AdamWOptimizer(kind="adamw", lr=1e-2)
    return TuneSection(
        objective=objective, method=LoraMethod(kind="lora", r=4), optimizer=optimizer, batch_size=4, epochs=4
    )


@pytest.mark.parametrize("objective", [DpoObjective(kind="dpo", beta=0.5), KtoObjective(kind="kto", beta=0.5)])
def test_rows_are_read_as_what_the_objective_learns_from(tmp_path: Path, pairs: Path, objective: Objective) -> None:
    heard: list[Event] = []
    summary = tutelage.tune(pairs, out=tmp_path / "out", model="tiny", section=section(objective), emit=heard.append)
    notes = [event.data["text"] for event in heard if event.kind == "note"]
    said = {
        "dpo": f"8 rows of {pairs}: pairs of answers, the chosen one and the rejected one.",
        "kto": f"16 answers of {pairs}: 8 are wanted, 8 are not.",
    }
    assert notes[0] == said[objective.kind]
    assert summary.rows == {"dpo": 8, "kto": 16}[objective.kind]
    assert summary.told[-1]["accuracy"] > 0.9
    assert (tmp_path / "out" / "weights" / "adapter_model.safetensors").is_file()
    assert json.loads((tmp_path / "out" / "ledger.json").read_text())["kept"] == summary.rows
    labels = [event.data["label"] for event in heard if event.kind == "progress"]
    assert labels.index("reference") < labels.index("steps")


def test_pairs_that_are_too_long_are_in_the_ledger(tmp_path: Path, pairs: Path) -> None:
    long = {"prompt": "Name a city.", "chosen": "The city.", "rejected": "no " * 1500}
    pairs.write_text(pairs.read_text() + json.dumps(long) + "\n")
    summary = tutelage.tune(pairs, out=tmp_path / "out", model="tiny", section=section(DpoObjective(kind="dpo")))
    assert summary.rows == 8
    (dropped,) = [json.loads(line) for line in (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()]
    assert dropped["reason"].startswith("unusable for training: rejected: ")
    assert json.loads(dropped["row"])["rejected"]


def test_a_file_of_another_kind_is_refused_with_what_to_do(tmp_path: Path, pairs: Path) -> None:
    with pytest.raises(DataError, match=r"the objective learns from examples.*pairs.*set tune.objective to dpo, ipo"):
        tutelage.tune(pairs, out=tmp_path / "out", model="tiny", section=section(SftObjective(kind="sft")))
    examples = tmp_path / "examples.jsonl"
    examples.write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    with pytest.raises(DataError, match=r"the objective learns from pairs.*examples.*a question, chosen and rejected"):
        tutelage.tune(examples, out=tmp_path / "out", model="tiny", section=section(DpoObjective(kind="dpo")))
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text(json.dumps({"prompt": "a", "completion": "b", "label": False}) + "\n")
    for objective in (SftObjective(kind="sft"), DpoObjective(kind="dpo")):
        with pytest.raises(DataError, match=r"received unpaired.*set tune.objective to kto"):
            tutelage.tune(labelled, out=tmp_path / "out", model="tiny", section=section(objective))
    assert not (tmp_path / "out").exists()


def test_the_loop_learns_from_examples_alone() -> None:
    recipe = parse_recipe("name: a\nmodel: {id: tiny}\ntasks: [{kind: safety}]\ntune: {objective: {kind: dpo}}\n")
    with pytest.raises(RecipeError, match=r"tune.objective.*tutelage tune"):
        preflight(recipe)


def test_a_recipe_with_pairs_from_the_command_line(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pairs.parent)
    Path("pairs.yaml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["tune", "pairs.yaml"])
    assert done.exit_code == 0, done.output
    assert "pairs of answers" in done.output
    assert "accuracy" in done.output
    assert "preferences usually want a hundredth" in " ".join(done.output.split())
    summary = json.loads(Path("runs/pairs/tune/summary.json").read_text())
    assert summary["rows"] == 8
    assert summary["told"][0].keys() == {"accuracy", "margin", "chosen", "rejected"}


def test_words_shared_with_what_is_scored_are_found_in_either_answer(tmp_path: Path, pairs: Path) -> None:
    recipe = parse_recipe(
        "name: a\nmodel: {id: tiny}\ntasks: [{kind: safety}]\nevaluate: {probe: 2, gate: 2, test: 2}\n"
    )
    item = guarded_items(recipe, build_tasks(recipe.tasks, recipe.folder))[0]
    pair = import_preferences(pairs, author="a")[0]
    leaky = pair.model_copy(update={"id": "leaky", "rejected": assistant(item.prompt)})
    assert shared_words([pair], recipe).startswith("No row shares")
    assert shared_words([pair, leaky], recipe).startswith("1 of 2 rows share words")
    single = UnpairedPreference(id="u", prompt=pair.prompt, answer=leaky.rejected, wanted=False, lineage=pair.lineage)
    assert shared_words([single], recipe).startswith("1 of 1 rows share words")
