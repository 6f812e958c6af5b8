"""Leaving sources out of a finished run: what is learned without them, what is asked once, what cannot be told."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from support.endpoint import endpoint
from tutelage.errors import InputErrors, RunError
from tutelage.evaluate.compare import adjusted
from tutelage.events import Event
from tutelage.pipeline.ablation import ablate, planned
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe, load_recipe
from tutelage.records import Example
from tutelage.records.ablation import Ablation
from tutelage.records.jsonl import read_records
from tutelage.records.scores import ScoreSummary
from tutelage.report.names import PARADIGMS
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory

RECIPE = """
name: sources
model: {id: tiny}
engines: {threads: 1}
rounds: 1
tasks: [{kind: rows, path: rows.csv, check: numeric, level_samples: 0}]
construct:
  prompts: 12
  max_tokens: 6
  self_improve: null
  rehearsal: null
  distill: {shots: 1, samples: 1, teacher: {kind: endpoint, base_url: "URL", model: m, retries: 1, timeout_s: 5}}
tune: {max_steps: 3, optimizer: {kind: adamw, lr: 0.01}}
evaluate: {probe: 4, gate: 4, test: 20, max_tokens: 6, general_prompts: 0}
reflect: {gate: {resamples: 1000}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A finished run whose rows are of experts and of a teacher."""
    folder = tmp_path_factory.mktemp("sources")
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "reference"])
        for n in range(60):
            writer.writerow([f"What is {n} plus {n}?", 2 * n])
    with endpoint(reply=lambda question: f"It is {2 * int(question.split()[2])}.") as server:
        (folder / "recipe.yaml").write_text(RECIPE.replace("URL", server.url), encoding="utf-8")
        recipe = load_recipe(folder / "recipe.yaml")
        run(recipe, folder / "run")
    return recipe, folder / "run"


def learned(out: Path) -> list[Example]:
    return read_records(out / "rounds/1/curate/records.jsonl", Example)


def test_each_group_is_left_out_and_compared_with_everything(done: tuple[Recipe, Path]) -> None:
    recipe, out = done
    counts = Counter(row.lineage.paradigm for row in learned(out))
    assert len(counts) == 2, "the recipe makes rows of two paradigms"

    found = ablate(recipe, out=out, matched=True)
    assert {group.name: group.rows for group in found.groups} == counts
    assert found.rows == counts.total()
    assert found == Ablation.from_json((out / "ablation/paradigm.json").read_bytes())
    whole = ScoreSummary.from_json((out / "final/round-1/summary.json").read_bytes()).macro.value
    for group in found.groups:
        place = out / "ablation/paradigm" / group.name
        without = ScoreSummary.from_json((place / "test/summary.json").read_bytes()).macro.value
        macro = group.contribution.macro
        assert (macro.before, macro.after) == (pytest.approx(without), pytest.approx(whole))
        assert whole is not None
        assert without is not None
        assert macro.estimate == pytest.approx(whole - without)
        assert group.matched is not None
        assert group.matched.macro.before == pytest.approx(without)
    # of the teacher's rows each is learned once, so what is left without the experts is just these
    summary = json.loads((out / "ablation/paradigm/expert/tune/summary.json").read_text(encoding="utf-8"))
    assert summary["rows"] == counts["distill"]
    assert {group.name: group.p_holm for group in found.groups} == adjusted({g.name: g.p for g in found.groups})
    assert "One seed" in found.words


def test_the_same_call_makes_nothing_again_and_another_adds_to_it(done: tuple[Recipe, Path]) -> None:
    recipe, out = done
    first = ablate(recipe, out=out, only=["expert"])
    events: list[Event] = []
    again = ablate(recipe, out=out, only=["expert"], emit=events.append)
    assert again == first
    assert not [event for event in events if event.kind in {"step", "scores"}]
    both = ablate(recipe, out=out, only=["distill"])
    assert {group.name for group in both.groups} == {"expert", "distill"}
    assert RunDirectory.open(out).finished


def test_sources_are_told_apart_and_the_plan_starts_nothing(done: tuple[Recipe, Path]) -> None:
    _, out = done
    counts = Counter(f"{row.lineage.paradigm}/{row.lineage.source}" for row in learned(out))
    plans = planned(RunDirectory.open(out), by="source")
    assert {plan.name: plan.rows for plan in plans} == counts
    assert all(plan.left == counts.total() - plan.rows for plan in plans)
    once = planned(RunDirectory.open(out), by="source", matched=True)
    assert [2 * plan.seconds for plan in plans if plan.seconds] == pytest.approx([plan.seconds for plan in once])
    assert not (out / "ablation/source").exists()


def test_the_report_has_the_table(done: tuple[Recipe, Path]) -> None:
    recipe, out = done
    found = ablate(recipe, out=out)
    page = write_report(RunDirectory.open(out)).read_text(encoding="utf-8")
    assert "What each paradigm gave" in page
    for group in found.groups:
        assert f'<th scope="row">{PARADIGMS[group.name]}</th><td class="num">{group.rows}' in page


def test_what_cannot_be_told_is_said(done: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, out = done
    with pytest.raises(InputErrors, match="no row that round 1 learned from is of this paradigm") as wrong:
        ablate(recipe, out=out, only=["self", "elf"])
    assert [problem.received for problem in wrong.value.problems] == ["self", "elf"]
    with pytest.raises(RunError, match="there is no run here"):
        ablate(recipe, out=tmp_path / "nowhere")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/recipe.json").write_text(recipe.model_dump_json(), encoding="utf-8")
    with pytest.raises(RunError, match="only of a finished run"):
        ablate(recipe, out=tmp_path / "begun")
