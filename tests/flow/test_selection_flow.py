"""Steps that read rows with a model, as people call them: a file, a round of a run, a dry run, and with mistakes."""

import json
from pathlib import Path

import pytest

import tutelage
from tutelage.cli.curate import curate_command
from tutelage.errors import RecipeError
from tutelage.evaluate.general_texts import general_texts
from tutelage.events import Event
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.lengths import row_tokens
from tutelage.pipeline.own_rows import read_rows
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.shop import Shop
from tutelage.pipeline.stages import curate_stage
from tutelage.recipe import load_recipe, parse_recipe
from tutelage.recipe.inputs import input_files
from tutelage.records import Ledger
from tutelage.records.jsonl import read_records
from tutelage.records.readings import RowScore
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

HEAD = "name: chosen\nmodel: {id: tiny}\nrounds: 1\ntasks: [{kind: safety}]\nevaluate: {probe: 2, gate: 2, test: 2}\n"
HEAD += "engines: {threads: 1}\n"
STEPS = """
curate:
  steps:
    - {kind: validate}
    - {kind: perplexity, share: 0.75}
    - {kind: semantic_duplicates, cosine: 1, embedding: {kind: start, max_tokens: 32}}
    - {kind: facility_location, rows: 12, embedding: {kind: start, max_tokens: 32}}
    - {kind: score_first, quality: {kind: file, path: scores.csv, column: stars}, rows: 8, max_cosine: 1,
       embedding: {kind: tfidf}}
    - {kind: mixture, by: paradigm, temperature: 2, rows: 5}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    things = ["river", "garden", "bridge", "city", "title", "reader", "passage", "answer"]
    answers = [f"The {things[n * 3 % 8]} is " + "old " * (n % 5 + 1) for n in range(24)]
    rows = [{"prompt": f"What of the {things[n % 8]} {n}?", "response": answer} for n, answer in enumerate(answers)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "scores.csv").write_text("id,stars\n" + "".join(f"r{n},{n % 5}\n" for n in range(24)))
    (tmp_path / "recipe.yaml").write_text(HEAD + STEPS)
    return tmp_path


def test_a_file_is_curated_and_what_was_read_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = load_recipe(folder / "recipe.yaml"), folder / "out"
    names = [row.id for row in read_rows(folder / "rows.jsonl")]
    (folder / "scores.csv").write_text("id,stars\n" + "".join(f"{id},{n % 5}\n" for n, id in enumerate(names)))
    heard: list[Event] = []
    first = tutelage.curate(folder / "rows.jsonl", recipe=recipe, out=out, emit=heard.append)
    assert len(first.kept) == 5
    assert first.ledger.rows_in == 24 == len(first.kept) + len(first.dropped)
    labels = {str(event.data["label"]) for event in heard}
    assert {"steps", "rows read", "texts read", "facility location"} <= labels
    scores = read_records(out / "scores.jsonl", RowScore)
    assert {(score.step, score.name) for score in scores} == {
        ("perplexity", "perplexity"), ("score_first", "ifd"), ("score_first", "stars of scores.csv"),
    }  # fmt: skip
    heard.clear()
    again = tutelage.curate(folder / "rows.jsonl", recipe=recipe, out=out, emit=heard.append)
    assert again == first
    assert not {"rows read", "texts read"} & {str(event.data["label"]) for event in heard}
    curate_command(
        folder / "rows.jsonl", out=out, recipe=folder / "recipe.yaml", round=1, settings=[], quiet=False, json=False,
        offline=True,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "what was measured in scores.jsonl" in said
    assert "mixture: by paradigm: expert 5 of 8" in said
    tutelage.curate(folder / "rows.jsonl", out=out)
    assert not (out / "scores.jsonl").exists()


def test_a_round_of_a_run_reads_once_for_all_its_stages(folder: Path) -> None:
    steps = "curate: {steps: [{kind: ifd, below: 3, rows: 6}]}\n"
    recipe = parse_recipe(HEAD + steps, folder=folder)
    rows = read_rows(folder / "rows.jsonl")
    with RunDirectory.create(folder / "run", recipe) as run, Engines(recipe, offline=True, run=run) as engines:
        heard: list[Event] = []
        shop = Shop(recipe, run, build_tasks(recipe.tasks, recipe.folder), [], engines, heard.append)
        kept = curate_stage(shop, "rounds/1/curate", rows, [], round=1)
        read = [event for event in heard if event.data.get("label") == "rows read"]
        assert len(kept) == 6
        assert read[-1].data["done"] == 24
        assert read[-1].stage == "curate"
        heard.clear()
        assert len(curate_stage(shop, "final/expert-only-curate", rows, [], round=0)) == 6
        assert not [event for event in heard if event.data.get("label") == "rows read"]
    ledger = Ledger.from_json((folder / "run" / "rounds" / "1" / "curate" / "ledger.json").read_text())
    assert ledger.kept == 6
    assert len(read_records(folder / "run" / "rounds" / "1" / "curate" / "scores.jsonl", RowScore)) == 24


def test_all_that_steps_name_is_looked_for_before_a_run(folder: Path) -> None:
    (folder / "scores.csv").write_text("id,stars\nr1,many\n")
    steps = """
curate:
  steps:
    - {kind: score_first, quality: {kind: file, path: scores.csv, column: stars}, rows: 8}
    - {kind: score_first, quality: {kind: file, path: gone.csv, column: stars}, rows: 8}
    - {kind: k_center, rows: 3, embedding: {kind: encoder, path: nowhere}}
    - {kind: mixture, by: dimension, weights: {safty: 1}}
"""
    recipe = parse_recipe(HEAD + steps, folder=folder)
    assert {"scores.csv", "gone.csv"} <= input_files(recipe).keys()
    with pytest.raises(RecipeError) as caught:
        preflight(recipe)
    told = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "scores.csv:2: stars: expected a number of 0 or more (received many)" in told
    assert "gone.csv" in told
    assert "curate.steps.2.embedding.path" in told
    assert "Did you mean 'safety'?" in told
    with pytest.raises(RecipeError) as caught:
        tutelage.curate(folder / "rows.jsonl", recipe=recipe)
    assert len(caught.value.problems) == 3


def test_a_dry_run_counts_what_would_be_read(folder: Path) -> None:
    recipe = parse_recipe(HEAD.replace("tiny", "default") + STEPS, folder=folder)
    stages = {stage.stage: stage for stage in estimate_run(recipe, build_tasks(recipe.tasks, folder)).stages}
    reading, tuning = stages["curate (reading)"], stages["tune"]
    # One round: every row one and a half times for likelihoods, and 32 tokens of it once for embeddings.
    rows = tuning.tokens / recipe.tune.epochs
    general = sum(map(len, general_texts().values())) / 4
    length = row_tokens(build_tasks(recipe.tasks, folder))
    assert reading.tokens == pytest.approx(1.5 * rows + rows * 32 / length + general, rel=0.01)
    assert "embeddings by the start" in reading.what
    assert reading.minutes is not None
    plain = parse_recipe(HEAD, folder=folder)
    assert "curate (reading)" not in {
        stage.stage for stage in estimate_run(plain, build_tasks(plain.tasks, folder)).stages
    }
