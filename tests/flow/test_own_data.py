"""A user's own rows in the loop, on the tiny model: levels, finite sets, references without a check, mixtures."""

import csv
import json
import random
from pathlib import Path

import pytest
import torch
from pydantic import JsonValue

from tutelage.errors import TrainingError
from tutelage.evaluate.heldout import measure_losses
from tutelage.evaluate.imitation import compare_losses
from tutelage.events import Event, silent
from tutelage.models.load import load_bundle
from tutelage.pipeline.gating import gate_rule
from tutelage.pipeline.levels import EstimatedLevels
from tutelage.pipeline.run import run
from tutelage.pipeline.standalone import evaluate
from tutelage.recipe import Recipe
from tutelage.records import Engine, assistant
from tutelage.records.heldout import RowLoss
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import GateScores, GateVerdict, ItemScore, Matrix
from tutelage.reflect.gate import GateRule, decide
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

WORDS = (
    "pump valve filter hose motor gauge switch lamp cable fan belt gear shaft wheel frame cover screw spring lever "
    "handle turn stop leak rattle heat cool fill drain open close lift hold"
)
SMALL: dict[str, JsonValue] = {
    "seed": 0,
    "rounds": 1,
    "model": {"id": "tiny"},
    "engines": {"threads": 1},
    "construct": {"prompts": 4, "max_tokens": 4},
    "evaluate": {"probe": 4, "gate": 200, "test": 200, "max_tokens": 4, "general_prompts": 0},
    "reflect": {"gate": {"resamples": 1000}},
}
OWN_CHECK = "def ease(prompt, answer, reference, row):\n    return float(row['ease'])\n"
ENGINE = Engine(model="m", engine="e")


def write_rows(folder: Path, number: int, columns: tuple[str, ...] = ("prompt", "reference")) -> None:
    draw = random.Random(0)
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for index in range(number):
            one, other, *answer = draw.sample(WORDS.split(), 8)
            ease = (1.0, 0.6, 0.3, 0.0)[index % 4]
            row = {"prompt": f"What of {one} and {other} {index}?", "reference": " ".join(answer), "ease": ease}
            writer.writerow({column: row[column] for column in columns})


def recipe(folder: Path, *tasks: dict[str, JsonValue], **changed: JsonValue) -> Recipe:
    found = Recipe.model_validate({"name": "own", **SMALL, "tasks": list(tasks), **changed})
    return found.relative_to(folder)


def rows_task(**changed: JsonValue) -> dict[str, JsonValue]:
    return {"kind": "rows", "path": "rows.csv", "name": "faq", **changed}


def numbers_are_numbers(folder: Path) -> None:
    for file in folder.rglob("*.json*"):
        assert "NaN" not in file.read_text(encoding="utf-8"), file
        assert "Infinity" not in file.read_text(encoding="utf-8"), file


@pytest.fixture(scope="module")
def leveled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path, RunOutcome, list[str]]:
    """A finished run on 200 rows whose pass rates are known: 1, 0.6, 0.3 and 0, a quarter of the rows each."""
    folder = tmp_path_factory.mktemp("leveled")
    write_rows(folder, 200, ("prompt", "reference", "ease"))
    (folder / "own.py").write_text(OWN_CHECK, encoding="utf-8")
    shares: JsonValue = {"train": 0.2, "probe": 0.1, "gate": 0.1, "test": 0.6}
    own = recipe(folder, rows_task(check="own.py:ease", level_samples=1, shares=shares), rounds=2)
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    return own, folder / "run", run(own, folder / "run", emit=listen), notes


def test_levels_are_estimated_frozen_and_marked(leveled: tuple[Recipe, Path, RunOutcome, list[str]]) -> None:
    own, path, outcome, notes = leveled
    frozen = EstimatedLevels.from_json((path / "rounds/0/levels/faq.json").read_bytes())
    tasks = build_tasks(own.tasks, own.folder)
    expected = {1.0: "basic", 0.6: "intermediate", 0.3: "advanced", 0.0: "expert"}
    assert len(frozen.pass_rates) == 200
    assert all(frozen.levels[item] == expected[rate] for item, rate in frozen.pass_rates.items())
    assert not tasks["faq"].levels[1:]  # the file itself states none
    assert outcome.estimated_levels == ("faq",)
    assert any("estimated" in note and "frozen" in note for note in notes)
    items = (path / "final/start/items.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["spec"]["level_estimated"] for line in items)
    cells = outcome.scores["start"].cells
    rate = {level: fraction for fraction, level in expected.items()}
    scores = [ItemScore.from_json(line) for line in (path / "final/start/scores.jsonl").read_bytes().splitlines()]
    assert all(score.score == pytest.approx(rate[score.level]) for score in scores)
    assert {cell.level for cell in cells} == set(rate)
    assert min(cell.n for cell in cells) >= 20


def test_a_resumed_run_reads_the_levels(leveled: tuple[Recipe, Path, RunOutcome, list[str]]) -> None:
    own, path, outcome, _ = leveled
    file = path / "rounds/0/levels/faq.json"
    before = file.stat().st_mtime_ns
    (path / "manifest.json").unlink()
    (path / "outcome.json").unlink()
    assert run(own, path) == outcome
    assert file.stat().st_mtime_ns == before


def test_a_model_is_scored_at_the_levels_that_its_run_has_frozen(
    leveled: tuple[Recipe, Path, RunOutcome, list[str]],
) -> None:
    own, path, outcome, _ = leveled
    per_cell = own.evaluate.test
    again = evaluate(own, run=path, per_cell=per_cell)
    assert [(cell.level, cell.value, cell.n) for cell in again.summary.cells] == [
        (cell.level, cell.value, cell.n) for cell in outcome.scores["start"].cells
    ]
    assert {cell.level for cell in evaluate(own, per_cell=per_cell).summary.cells} == {"basic"}, "without the run"


def test_a_finite_gate_divides_its_error(leveled: tuple[Recipe, Path, RunOutcome, list[str]]) -> None:
    own, path, outcome, notes = leveled
    verdict = GateVerdict.from_json((path / "rounds/1/gate/verdict.json").read_bytes())
    assert verdict.alpha == pytest.approx(0.05 / 2)
    assert verdict.guard_alpha == pytest.approx(0.05 / 2)
    assert any("asked again in every round" in note for note in notes)
    assert any("On test," in limit for limit in outcome.limits)
    endless = recipe(own.folder, {"kind": "grounded"}, rounds=2, evaluate={"gate": 8})
    assert gate_rule(endless, build_tasks(endless.tasks, endless.folder)).fresh
    numbers_are_numbers(path)


def test_fewer_levels_where_cells_would_be_small(tmp_path: Path) -> None:
    write_rows(tmp_path, 100, ("prompt", "reference", "ease"))
    (tmp_path / "own.py").write_text(OWN_CHECK, encoding="utf-8")
    shares: JsonValue = {"train": 0.2, "probe": 0.1, "gate": 0.1, "test": 0.6}
    own = recipe(tmp_path, rows_task(check="own.py:ease", level_samples=1, shares=shares))
    outcome = run(own, tmp_path / "run")
    cells = outcome.scores["start"].cells
    assert 1 < len(cells) < 4
    assert min(cell.n for cell in cells) >= 20
    assert outcome.estimated_levels == ("faq",)


def test_levels_are_not_asked_for_where_all_would_be_one(tmp_path: Path) -> None:
    write_rows(tmp_path, 50, ("prompt", "reference", "ease"))
    (tmp_path / "own.py").write_text(OWN_CHECK, encoding="utf-8")
    outcome = run(recipe(tmp_path, rows_task(check="own.py:ease", level_samples=1)), tmp_path / "run")
    assert {cell.level for cell in outcome.scores["start"].cells} == {"basic"}
    assert outcome.estimated_levels == ()
    assert not (tmp_path / "run/rounds/0/levels").exists()


def test_references_without_a_check_are_judged_by_their_loss(tmp_path: Path) -> None:
    write_rows(tmp_path, 120)
    tune: JsonValue = {"optimizer": {"kind": "adamw", "lr": 0.003}, "epochs": 3, "batch_size": 8}
    own = recipe(tmp_path, rows_task(check="none"), rounds=3, tune=tune, controls={"few_shot": True})
    outcome = run(own, tmp_path / "run")
    verdict = GateVerdict.from_json((tmp_path / "run/rounds/1/gate/verdict.json").read_bytes())
    assert verdict.macro.estimate is None
    assert verdict.loss is not None
    assert verdict.alpha == pytest.approx(0.05)  # later rounds could only repeat the first, so there is one
    assert outcome.verdicts == (verdict.outcome,)
    failed = [guard for guard in verdict.guards if guard.outcome != "passed"]
    assert (verdict.outcome == "promoted") == (verdict.loss.rise.low > 0 and not failed)
    assert "does not prove" in verdict.words
    assert {found.before for found in outcome.losses} >= {"start", "few-shot"}
    against = outcome.losses[0]
    rows = [RowLoss.from_json(line) for line in (tmp_path / "run/final/start/losses.jsonl").read_bytes().splitlines()]
    assert against.loss_before == pytest.approx(sum(row.nll or 0 for row in rows) / len(rows))
    assert "better imitation" in outcome.words
    assert outcome.scores["start"].n == 0
    assert Matrix.from_json((tmp_path / "run/matrix.json").read_bytes()).cells
    numbers_are_numbers(tmp_path / "run")
    assert write_report(RunDirectory.open(tmp_path / "run")).is_file()


@pytest.mark.parametrize("number", [4, 9])
def test_empty_splits_crash_nothing(tmp_path: Path, number: int) -> None:
    write_rows(tmp_path, number)
    shares: JsonValue = {"train": 1.0, "probe": 0.0, "gate": 0.0, "test": 0.0} if number == 4 else {}
    outcome = run(recipe(tmp_path, rows_task(check="contains", shares=shares, level_samples=1)), tmp_path / "run")
    assert outcome.verdicts == ("inconclusive",) or number > 4
    assert outcome.limits
    assert write_report(RunDirectory.open(tmp_path / "run")).is_file()


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    write_rows(tmp_path, 20, ("prompt",))
    with pytest.raises(TrainingError, match="no row is left to learn from"):
        run(recipe(tmp_path, rows_task()), tmp_path / "run")


def test_rows_without_a_check_beside_a_task_are_a_guard(tmp_path: Path) -> None:
    write_rows(tmp_path, 60)
    evaluate: JsonValue = {"probe": 4, "gate": 12, "test": 6, "max_tokens": 4, "general_prompts": 0}
    outcome = run(recipe(tmp_path, rows_task(), {"kind": "safety"}, evaluate=evaluate), tmp_path / "run")
    verdict = GateVerdict.from_json((tmp_path / "run/rounds/1/gate/verdict.json").read_bytes())
    assert verdict.macro.estimate is not None
    assert {"references", "safety/harmful", "safety/harmless"} <= {guard.name for guard in verdict.guards}
    assert [found.before for found in outcome.losses] == ["start"]
    assert write_report(RunDirectory.open(tmp_path / "run")).is_file()


def losses(*values: float, checked: bool = False) -> tuple[RowLoss, ...]:
    return tuple(
        RowLoss(item_id=str(index), dimension="d", level="basic", group=str(index), checked=checked, nll=nll, tokens=3)
        for index, nll in enumerate(values)
    )


@pytest.mark.parametrize(
    ("fall", "outcome"), [((0.2, 0.3, 0.1, 0.2), "promoted"), ((0.9, -0.5, 0.1, -0.2), "inconclusive")]
)
def test_the_loss_decides_where_there_is_no_score(fall: tuple[float, ...], outcome: str) -> None:
    start = [2.0 + index / 10 for index in range(20)]
    after = [nll - fall[index % 4] for index, nll in enumerate(start)]
    sides = [GateScores(engine=ENGINE, items=(), losses=losses(*side)) for side in (start, after)]
    verdict = decide(*sides, rule=GateRule(), seed=0)
    assert verdict.outcome == outcome
    assert verdict.loss is not None
    assert verdict.loss.rise.estimate == pytest.approx(sum(fall) / 4)
    assert verdict.loss.loss_before == pytest.approx(2.95)
    assert decide(sides[1], sides[0], rule=GateRule(), seed=0).outcome == "rejected"
    assert GateVerdict.from_json(verdict.to_json()) == verdict


def test_the_loss_never_overrules_a_check() -> None:
    """Rows that have a check but could not be scored stay undecided, however far their loss fell."""
    item = ItemScore(item_id="0", dimension="d", level="basic", group="0", score=None, counted=None)
    before = GateScores(engine=ENGINE, items=(item,), losses=losses(3.0, checked=True))
    after = before.model_copy(update={"losses": losses(1.0, checked=True)})
    assert decide(before, after, rule=GateRule(), seed=0).outcome == "inconclusive"


def test_rows_too_long_are_left_out_and_counted() -> None:
    rows = losses(2.0, 3.0, 4.0)
    long = (rows[0].model_copy(update={"nll": None}), *rows[1:])
    found = compare_losses(rows, long, labels=("a", "b"), split="test", seed=0)
    assert found is not None
    assert (found.rise.n, found.rise.estimate, found.loss_before) == (2, 0.0, 3.5)
    assert "1 more rows are too long" in found.words


def test_a_loss_is_the_cross_entropy_of_the_last_answer(tmp_path: Path) -> None:
    write_rows(tmp_path, 1)
    own = recipe(tmp_path, rows_task(shares={"train": 0, "probe": 0, "gate": 0, "test": 1}))
    (chosen,) = build_tasks(own.tasks, own.folder)["faq"].items("test", "basic", 1, 0)
    bundle = load_bundle("tiny")
    earlier = (*chosen.messages, assistant("An earlier answer."))
    (found,) = measure_losses(
        tmp_path,
        items=[chosen],
        open_bundle=lambda: bundle,
        max_tokens=4096,
        emit=silent,
        contexts={chosen.id: earlier},
    )
    before = bundle.template.encode_prompt((*earlier, *chosen.messages))
    whole = bundle.template.encode((*earlier, *chosen.messages, assistant(chosen.reference or "")))
    ids = torch.from_numpy(whole.ids).long()
    with torch.inference_mode():
        logits = bundle.model(input_ids=ids[None]).logits[0].float()
    stop = len(before) + found.tokens
    expected = torch.nn.functional.cross_entropy(logits[len(before) - 1 : stop - 1], ids[len(before) : stop])
    assert found.nll == pytest.approx(float(expected), rel=1e-4)
    assert bundle.tokenizer.decode(ids[len(before) : stop]).startswith(chosen.reference or "")
