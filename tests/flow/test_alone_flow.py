"""A run with texts that get requests, pairs that a model judges itself, reasons, and requests out of nothing: told
before it begins, made once, learned."""

import json
from itertools import count
from pathlib import Path

import pytest

from support.endpoint import endpoint
from support.humpback import handbook
from support.humpback import reply as reply_of_whale
from support.pupils import kind_of, seed_file
from support.pupils import reply as reply_of_pupil
from tutelage.errors import RecipeError, RunError
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.records import Example, Ledger
from tutelage.records.jsonl import read_records

RECIPE = """
name: alone
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.jsonl}]
construct:
  max_tokens: 8
  expert: {per_cell: 4}
  self_improve: null
  rehearsal: null
  sources:
    - {kind: back_translation, by: teacher, path: docs, seeds: seeds.jsonl, passage_words: 60}
    - {kind: self_rewarding, by: teacher, seeds: seeds.jsonl, tasks: 3, prompts: 1, proposals: 3, novelty: 0.9}
    - {kind: star, demonstrations: reasons.jsonl, items: 2, max_tokens: 32}
    - {kind: magpie, requests: 3, max_tokens: 32}
  distill:
    teacher: {kind: endpoint, base_url: "URL", model: m, price: {prompt: 1, completion: 10}}
tune: {epochs: 1}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
controls: {placebo: false}
"""
REASONS = {"prompt": "Is ice cold?", "reasoning": "Ice is water below zero, and that is cold.", "answer": "Yes."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with rows that a program can check, documents, seed tasks and a question with reasons."""
    rows = [
        {"prompt": f"Say {word}.", "reference": f"{word} it is.", "level": "basic", "check": "contains"}
        for word in "abcdefghijklmnopqrst"
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "reasons.jsonl").write_text(json.dumps(REASONS) + "\n")
    seed_file(tmp_path / "seeds.jsonl")
    handbook(tmp_path, 4)
    return tmp_path


def test_what_each_source_makes_is_told_made_once_and_learned(folder: Path) -> None:
    file, out, numbers = folder / "recipe.yaml", folder / "run", count()

    def reply(prompt: str) -> str:
        if prompt.startswith("You judge one answer"):
            return json.dumps({"reason": "So.", "score": 5 if prompt.count("once more") % 2 else 3})
        if prompt.startswith(("People asked", "Somebody has put")):
            return reply_of_whale(prompt)
        said = reply_of_pupil(prompt)
        return f"{said} I say it {'once more, ' * (next(numbers) % 4)}to you." if kind_of(prompt) == "answer" else said

    with endpoint(reply=reply) as server:
        file.write_text(RECIPE.replace("URL", server.url))
        recipe = load_recipe(file)
        estimate = estimate_run(recipe, preflight(recipe))
        made = construct(recipe, out=out)
        paid = server.paid.total()
        run(recipe, out)
        assert server.paid.total() == paid, "what is made is not made again"
        (folder / "docs/handbook.md").write_text((folder / "docs/handbook.md").read_text() + "\nMore.\n")
        with pytest.raises(RunError, match=r"1 file that the recipe names changed .*handbook\.md"):
            construct(recipe, out=out)
    told = {stage.stage: stage.what for stage in estimate.stages if stage.stage.startswith("construct (")}
    assert told == {
        "construct (back_translation)": "a round: requests for 4 of 4 passages of 1 documents, and a grade for each, "
        "5 at least",
        "construct (self_rewarding)": "a round: 3 new instructions × 4 answers, each judged 3 times",
        "construct (star)": "a round: up to 2 items × 1, with reasons, and with the known answer told where they are "
        "wrong",
        "construct (magpie)": "a round: 3 requests out of nothing, each × 1 answers",
    }
    sees = " ".join(estimate.sees)
    assert "The student writes for itself; it sees up to 2 train items a round, 1 question with reasons" in sees
    assert "4 passages of documents a round, and the requests that it wrote for them" in sees
    sources = {name: [row for row in made.rows if row.lineage.source == name] for name in ("back_translation", "star")}
    assert len(sources["back_translation"]) == 4
    pairs = [pair for pair in made.preferences if pair.lineage.source == "self_rewarding"]
    assert len(pairs) == 3
    assert all("once more" in pair.chosen.text for pair in pairs)
    found = {
        kind: {one.stage: one for one in read_records(out / f"rounds/1/construct/{kind}/ledger.jsonl", Ledger)}
        for kind in ("back_translation", "self_rewarding", "star", "magpie")
    }
    assert found["back_translation"]["curation"].kept == 4
    assert found["self_rewarding"]["pairs"].kept == 3
    assert found["star"]["items"].kept == 2, "the tiny model writes no JSON"
    assert found["star"]["rationalizations"].rows_in == 2
    assert found["magpie"]["requests"].rows_in == 3
    learned = {row.id for row in read_records(out / "rounds/1/curate/records.jsonl", Example)}
    assert {row.id for row in sources["back_translation"]} <= learned


def test_what_cannot_be_used_is_told_before_anything_begins(folder: Path) -> None:
    file = folder / "recipe.yaml"
    (folder / "reasons.jsonl").write_text('{"prompt": "Is ice cold?"}\n')
    (folder / "docs/handbook.md").unlink()
    text = RECIPE.replace("URL", "http://127.0.0.1:1/v1").replace("items: 2", "items: 2, tasks: [sums]")
    file.write_text(text.replace("seeds: seeds.jsonl, tasks", "seeds: gone.jsonl, tasks"))
    with pytest.raises(RecipeError) as refused:
        preflight(load_recipe(file))
    said = str(refused.value)
    assert "construct.sources.0: docs: there is no file in it" in said
    assert "gone.jsonl" in said
    assert "no task of this recipe has this name" in said
    assert "reasons.jsonl" in said
