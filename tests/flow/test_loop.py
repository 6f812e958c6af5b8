"""The whole loop on the tiny model: what a finished run directory holds, and that every shipped recipe runs."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from safetensors import safe_open

from tutelage.events import Event
from tutelage.files import sha256_file
from tutelage.pipeline.items import final_items
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe, load_recipe
from tutelage.records import Dropped, Example, Item, Ledger, Lesson, Preference
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import GateVerdict, ItemScore, ScoreSummary
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
"""Those of capacity gaps need an endpoint: tests/flow/test_gaps.py."""
SMALL = [
    "model.id=tiny",
    "engines.threads=1",
    "engines.reference_batch=16",
    "construct.prompts=12",
    "construct.max_tokens=8",
    "evaluate.probe=2",
    "evaluate.gate=2",
    "evaluate.max_tokens=6",
    "evaluate.general_prompts=1",
    "reflect.gate.resamples=1000",
]
DISTILLED = ["construct.distill.shots=1", "construct.distill.samples=1", "construct.expert.per_cell=2"]


def shrunk(path: Path) -> Recipe:
    """A shipped recipe on the tiny model, with everything that takes time made small; its structure stays."""
    whole = load_recipe(path)
    settings = [*SMALL, *(DISTILLED if whole.construct.distill is not None else [])]
    settings += [f"tasks.{at}.answer_tokens=8" for at, task in enumerate(whole.tasks) if task.answer_tokens]
    if not whole.construct.verify:
        # Few answers of a random model end, and nearly all of those hold broken characters.
        settings += ["construct.max_tokens=64", "construct.prompts=48", "curate.steps=[{kind: exact_duplicates}]"]
    if whole.evaluate.test:
        settings.append("evaluate.test=2")
    return load_recipe(path, settings)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunOutcome, list[Event]]:
    """The proof recipe, shrunk: two rounds, three tasks, every control."""
    path = tmp_path_factory.mktemp("loop") / "proof"
    events: list[Event] = []
    outcome = run(shrunk(ROOT / "recipes" / "proof.yaml"), path, emit=events.append)
    return path, outcome, events


def test_the_proof_measures_as_many_items_as_its_table_asks_for() -> None:
    recipe = load_recipe(ROOT / "recipes" / "proof.yaml")
    ordinary = [item for item in final_items(recipe, build_tasks(recipe.tasks, ROOT)) if not item.transfer]
    cells = Counter((item.dimension, item.level) for item in ordinary)
    rates = Counter(item.facet for item in ordinary if item.dimension == "safety")
    assert len(cells) == 12
    assert min(cells.values()) >= 100, cells
    assert min(rates.values()) >= 200, rates


def test_every_stage_of_the_run_is_finished_and_its_files_are_as_stated(
    proof: tuple[Path, RunOutcome, list[Event]],
) -> None:
    path, _, _ = proof
    manifest = RunDirectory.open(path).manifest
    rounds = {f"rounds/{k}/{stage}" for k in (1, 2) for stage in ("plan", "construct", "curate", "tune", "gate")}
    rounds |= {f"rounds/{k}/evaluate" for k in (0, 1, 2)}
    final = {f"final/{name}" for name in ("start", "round-1", "round-2", "few-shot", "expert-only", "placebo")}
    final |= {f"final/{name}" for name in ("expert-only-curate", "expert-only-tune", "placebo-tune", "placebo-rows")}
    assert rounds | final <= manifest.stages.keys()
    for name, state in manifest.stages.items():
        found = {str(p.relative_to(path / name)) for p in (path / name).rglob("*") if p.is_file()} - {"stage.json"}
        assert found == state.files.keys()
        assert all(sha256_file(path / name / file) == digest for file, digest in state.files.items()), name
    newest = max(
        (p for p in path.rglob("*") if p.is_file() and p.name != "events.jsonl"), key=lambda p: p.stat().st_mtime_ns
    )
    assert newest.name == "manifest.json", "written last"
    assert manifest.recipe_sha256 == sha256_file(path / "recipe.json")
    assert {"torch", "transformers", "peft", "tutelage"} <= manifest.versions.keys()


def test_ledgers_add_up_and_say_where_each_row_went(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, _, _ = proof
    before: list[Example] = []
    for round in (1, 2):
        made = read_records(path / f"rounds/{round}/construct/records.jsonl", Example)
        kept = read_records(path / f"rounds/{round}/curate/records.jsonl", Example)
        dropped = read_records(path / f"rounds/{round}/curate/dropped.jsonl", Dropped)
        ledger = Ledger.from_json((path / f"rounds/{round}/curate/ledger.json").read_bytes())
        verdict = GateVerdict.from_json((path / f"rounds/{round}/gate/verdict.json").read_bytes())
        assert ledger.rows_in == len(kept) + len(dropped) == ledger.kept + sum(ledger.dropped.values())
        assert {row.id for row in kept} | {row.id for row in dropped} == {row.id for row in [*before, *made]}
        assert all(row.reason and Example.from_json(row.row).id == row.id for row in dropped)
        tuned = Ledger.from_json((path / f"rounds/{round}/tune/ledger.json").read_bytes())
        assert tuned.rows_in == len(kept)
        before = kept if verdict.outcome == "promoted" else before


def test_every_row_says_where_it_comes_from(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, _, _ = proof
    for round in (1, 2):
        folder = path / f"rounds/{round}/construct"
        rows = read_records(folder / "records.jsonl", Example)
        assert any(row.lineage.paradigm == "expert" for row in rows)
        logged = {
            json.loads(line)["request_id"]
            for name in ("teacher", "attempts", "revisions", "fallback", "rehearsal")
            for line in (folder / f"{name}.jsonl").read_text().splitlines()
        }
        for row in rows:
            assert row.lineage.author
            assert row.lineage.source
            assert row.messages[-1].role == "assistant"
            if row.lineage.paradigm == "expert":
                assert row.lineage.author == ("task grounded" if row.lineage.source == "reference" else "project")
            else:
                assert row.lineage.round == round
                assert row.lineage.parents[-1] in logged, "the answer itself is in the log"
            if row.lineage.paradigm in ("distill", "self"):
                assert row.lineage.verdicts[-1].passed
        lessons = read_records(folder / "lessons.jsonl", Lesson)
        assert lessons
        assert all(
            lesson.turns[0].critique for lesson in lessons if lesson.kept in {"revision", "teacher", "part", "nothing"}
        )
        made = {pair.id for pair in read_records(folder / "preferences.jsonl", Preference)}
        curated = path / f"rounds/{round}/curate"
        kept = {pair.id for pair in read_records(curated / "preferences.jsonl", Preference)}
        gone = {pair.id for pair in read_records(curated / "dropped_preferences.jsonl", Dropped)}
        counts = Ledger.from_json((curated / "preferences_ledger.json").read_bytes())
        assert made == kept | gone
        assert (counts.rows_in, counts.kept) == (len(made), len(kept))


def test_splits_share_no_item(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, _, _ = proof
    seen: dict[str, str] = {}
    for name in ("rounds/0/evaluate", "rounds/1/gate/before", "rounds/2/gate/before", "final/start"):
        items = read_records(path / name / "items.jsonl", Item)
        texts = {item.prompt for item in items}
        assert not texts & seen.keys(), f"{name} repeats {[seen[text] for text in texts & seen.keys()]}"
        seen |= dict.fromkeys(texts, name)
    train = {
        row.prompt[-1].text for k in (1, 2) for row in read_records(path / f"rounds/{k}/curate/records.jsonl", Example)
    }
    assert not train & seen.keys()


def test_models_of_a_split_answered_the_same_items(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, outcome, _ = proof
    names = ["start", "round-1", "round-2", "few-shot", "expert-only", "placebo"]
    scored = {name: read_records(path / f"final/{name}/scores.jsonl", ItemScore) for name in names}
    for name, scores in scored.items():
        assert [s.item_id for s in scores] == [s.item_id for s in scored["start"]], name
        summary = ScoreSummary.from_json((path / f"final/{name}/summary.json").read_bytes())
        assert summary.n + summary.unscored == len(scores)
        assert summary.engine.engine == "transformers"
    assert outcome.scores.keys() == {name.replace("round-", "round ") for name in names}
    assert len(outcome.verdicts) == 2
    assert {comparison.before for comparison in outcome.comparisons} >= {"start", "few-shot", "expert-only", "placebo"}


def test_the_placebo_has_a_row_for_each_row_that_it_can_answer(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, _, _ = proof
    rows = read_records(path / "final/placebo-rows/records.jsonl", Example)
    parents = {row.lineage.parents[0] for row in rows}
    rivals = {row.id for row in read_records(path / "rounds/2/curate/records.jsonl", Example)}
    rivals |= {row.id for row in read_records(path / "rounds/1/curate/records.jsonl", Example)}
    assert parents <= rivals
    assert len(rows) == len(parents) > 0


def test_weights_are_safetensors_of_finite_numbers_and_losses_are_numbers(
    proof: tuple[Path, RunOutcome, list[Event]],
) -> None:
    path, _, _ = proof
    for round in (1, 2):
        folder = path / f"rounds/{round}/tune"
        with safe_open(folder / "weights/adapter_model.safetensors", "pt") as file:
            assert all(bool(file.get_tensor(name).isfinite().all()) for name in file.keys())  # noqa: SIM118
        steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
        assert all(math.isfinite(step["loss"]) for step in steps)


def test_events_tell_the_story_in_order(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, outcome, events = proof
    logged = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    assert [row["kind"] for row in logged] == [event.kind for event in events if event.kind != "progress"]
    assert logged[0]["kind"] == "run_started"
    assert logged[-1]["kind"] == "run_finished"
    assert logged[-1]["text"] == outcome.words
    verdicts = [row["outcome"] for row in logged if row["kind"] == "verdict"]
    assert tuple(verdicts) == outcome.verdicts


def test_the_second_run_only_reads(proof: tuple[Path, RunOutcome, list[Event]]) -> None:
    path, outcome, _ = proof
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file() and p.name != "lock"}
    again: list[Event] = []
    assert run(RunDirectory.open(path).recipe, path, emit=again.append) == outcome
    assert again == []
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before


@pytest.mark.parametrize(
    "path",
    [p for p in RECIPES if p.stem not in {"proof", "grpo"} and not p.stem.startswith("gap-")],
    ids=lambda p: p.stem,
)
def test_every_shipped_recipe_runs(path: Path, tmp_path: Path) -> None:
    recipe = shrunk(path)
    outcome = run(recipe, tmp_path / recipe.name)
    assert len(outcome.verdicts) == recipe.rounds
    assert (tmp_path / recipe.name / "manifest.json").is_file()
    if recipe.name.startswith("refused"):
        assert outcome.promoted_round == 0
        assert RunDirectory.open(tmp_path / recipe.name).best.round == 0
