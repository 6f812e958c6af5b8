"""The mean over seeds against values computed by hand; the table over seeds, its errors, and its script."""

import importlib.util
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import JsonValue

from tutelage.errors import DataError, TutelageError
from tutelage.evaluate.compare import compare
from tutelage.evaluate.replicate import SeedRun, replicate
from tutelage.evaluate.summary import summarize
from tutelage.files import write_atomic
from tutelage.recipe import Recipe
from tutelage.records import Engine, Level
from tutelage.records.jsonl import write_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.replication import Replication
from tutelage.records.scores import ItemScore
from tutelage.runs import RunDirectory
from tutelage.seeds import derive_seed
from tutelage.statistics import (
    Design,
    Replicate,
    Replicated,
    hierarchical_bootstrap,
    paired_clustered_bootstrap,
)

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "replicate.py"


# The bootstrap.


def singles(values: Sequence[float | None], names: Sequence[str]) -> Replicate:
    return Replicate([0.0] * len(values), values, Design(names))


def test_without_variation_inside_seeds_the_ends_are_those_of_27_draws_of_three_seeds() -> None:
    """Means of three draws of .1, .2, .6: .1 once in 27, .1333 three times, ..., .4667 three times, .6 once."""
    seeds = {n: singles([value] * 4, [f"{n}{i}" for i in range(4)]) for n, value in enumerate((0.1, 0.2, 0.6))}
    wide = hierarchical_bootstrap(seeds, bounds=None)
    assert (wide.low, wide.high) == (pytest.approx(0.1), pytest.approx(0.6)), "1 of 27 is more than 2.5 %"
    narrow = hierarchical_bootstrap(seeds, bounds=None, confidence=0.8)
    assert (narrow.low, narrow.high) == (pytest.approx(0.4 / 3), pytest.approx(1.4 / 3))
    assert wide.estimate == pytest.approx(0.3)
    assert wide.least == pytest.approx(0.1)
    assert wide.deviation == pytest.approx(math.sqrt(0.07))
    reach = 4.30265273 * math.sqrt(0.07 / 3)  # t of 2 degrees at .975
    assert (wide.t_low, wide.t_high) == (pytest.approx(0.3 - reach), pytest.approx(0.3 + reach))
    assert hierarchical_bootstrap(seeds).t_low == pytest.approx(0.3 - reach)
    assert hierarchical_bootstrap(seeds, bounds=(0.0, 0.9)).t_high == 0.9


def test_clusters_of_their_own_are_drawn_for_each_drawn_seed() -> None:
    """G − 1 = 1 of 2 clusters: both draws are any of 0, 1, .2, .4, so the mean has variance .14 / 2."""
    found = hierarchical_bootstrap(
        {0: singles([0.0, 1.0], ["a", "b"]), 1: singles([0.2, 0.4], ["c", "d"])}, resamples=200_000
    )
    assert found.error == pytest.approx(math.sqrt(0.07), rel=0.01)
    assert found.below_zero == pytest.approx(1 / 32, abs=0.002)
    assert (found.estimate, found.n, found.clusters) == (pytest.approx(0.4), 4, 4)


def test_clusters_that_seeds_share_are_drawn_once_for_all() -> None:
    """Of a, means of two of {0, .2}: .1 ± variance .005; of b, two of {1, .4}: .7, .045; between them .09."""
    found = hierarchical_bootstrap(
        {0: singles([0.0, 1.0], ["a", "b"]), 1: singles([0.2, 0.4], ["a", "b"])}, resamples=200_000
    )
    assert found.error == pytest.approx(math.sqrt(0.115), rel=0.01)
    assert found.below_zero == pytest.approx(1 / 16, abs=0.002), "a, and twice its seed: 1 of 8, half of it"
    assert (found.n, found.clusters) == (4, 2)


def test_equal_seeds_are_one_seed() -> None:
    before = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    after = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    design = Design([i // 2 for i in range(10)], ["x"] * 6 + ["y"] * 4, {"x": 0.5, "y": 1.0})
    plain = paired_clustered_bootstrap(before, after, design=design)
    found = hierarchical_bootstrap({seed: Replicate(before, after, design) for seed in range(3)})
    assert plain.estimate is not None
    assert found.estimate == pytest.approx((0.5 * 2 / 6 + 1.0 * 2 / 4) / 1.5)
    assert found.estimate == pytest.approx(plain.estimate)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert (found.t_low, found.t_high) == (found.estimate, found.estimate)
    assert (found.least, found.deviation, found.n) == (found.estimate, 0.0, 30)


def test_a_seed_counts_once_however_many_items_it_has() -> None:
    found = hierarchical_bootstrap({0: singles([1.0] * 30, list("ab") * 15), 1: singles([0.0] * 2, ["c", "d"])})
    assert found.estimate == 0.5


def test_a_seed_counts_once_however_many_strata_it_has() -> None:
    """A drawn seed is one of 0, 1, or the mean of two of {.2, .4}: mean .4, squares .5 × .5 + .5 × .095."""
    two = Replicate([0.0] * 4, [0.2, 0.4, 0.2, 0.4], Design(list("cdef"), list("xxyy")))
    found = hierarchical_bootstrap({0: singles([0.0, 1.0], ["a", "b"]), 1: two}, resamples=200_000)
    assert found.error == pytest.approx(math.sqrt((0.25 + 0.0475 - 0.16) / 2), rel=0.01)


def test_pairs_without_a_score_are_left_out_and_a_seed_without_pairs_is_named() -> None:
    whole = Replicate([0.0, None, 0.0], [1.0, 1.0, None], Design(["a", "b", "c"]))
    found = hierarchical_bootstrap({4: whole, 5: whole})
    assert (found.estimate, found.n, found.unscored) == (1.0, 2, 4)
    empty = Replicate([None], [1.0], Design(["a"]))
    found = hierarchical_bootstrap({4: whole, 5: empty})
    assert (found.estimate, found.low, found.high) == (None, -1.0, 1.0)
    assert found.by_seed == {4: 1.0, 5: None}
    assert found.reason == "no pair has both scores in seed 5"


def test_the_bootstrap_refuses_what_is_no_replication() -> None:
    one = singles([1.0], ["a"])
    with pytest.raises(TutelageError, match=r"at least two \(received 1\)"):
        hierarchical_bootstrap({0: one})
    with pytest.raises(TutelageError, match=r"seed 1: paired scores must be of the same items \(received 2 and 1"):
        hierarchical_bootstrap({0: one, 1: Replicate([0.0, 1.0], [1.0], Design(["a", "b"]))})
    with pytest.raises(TutelageError, match="not finite or not in"):
        hierarchical_bootstrap({0: one, 1: singles([2.0], ["a"])})
    with pytest.raises(TutelageError, match="every item needs one cluster"):
        hierarchical_bootstrap({0: one, 1: Replicate([0.0, 1.0], [1.0, 1.0], Design(["a"]))})


# The table.

# Label → passes of 8 items in every stratum; under seed 1 every model passes one more.
PASSES = {"start": 1, "few-shot": 3, "expert-only": 4, "placebo": 2, "round 1": 5, "round 2": 6}
STRATA: tuple[tuple[str, Level, str, bool], ...] = (
    ("instruction_following", "basic", "", False),
    ("instruction_following", "expert", "", False),
    ("faithfulness", "basic", "stated", False),
    ("faithfulness", "basic", "absent", False),
    ("safety", "basic", "harmful", False),
    ("safety", "basic", "harmless", False),
    ("instruction_following", "basic", "", True),
)


def scores_of(seed: int, passes: int) -> list[ItemScore]:
    found = []
    for dimension, level, facet, transfer in STRATA:
        many = 7 if facet == "harmless" else passes + seed  # everybody helps with what is harmless
        for number in range(8):
            value = float((number * 3 + seed) % 8 < many)
            found.append(
                ItemScore(
                    item_id=f"{seed}/{dimension}/{level}/{facet}/{transfer}/{number}",
                    dimension=dimension,
                    level=level,
                    group=f"{facet}{transfer}{number % 7}",
                    facet=facet,
                    transfer=transfer,
                    score=value,
                    counted=value,
                    ended=number > 0,
                    words=10 * passes,
                    repeated=0.125,
                )
            )
    return found


def seed_run(seed: int, *, loop: str = "round 2") -> SeedRun:
    scores = {label: scores_of(seed, passes) for label, passes in PASSES.items()}
    engine = Engine(model="tiny", engine="transformers")
    summaries = {
        label: summarize(found, split="test", round=0, label=label, engine=engine) for label, found in scores.items()
    }
    recipe: dict[str, JsonValue] = {
        "name": f"proof-{seed}",
        "seed": seed,
        "tune": {"epochs": 3, "ranks": [4, 8]},
        "rounds": 2,
    }
    return SeedRun(
        f"runs/proof-{seed}",
        seed,
        recipe,
        scores,
        summaries,
        loop=loop,
        promoted_round=int(loop[-1]),
        verdicts=("rejected", "promoted"),
    )


@pytest.fixture(scope="module")
def table() -> Replication:
    return replicate([seed_run(1, loop="round 1"), seed_run(0)], resamples=500)


def test_every_model_stands_in_the_table_with_its_mean_over_seeds(table: Replication) -> None:
    assert table.seeds == (0, 1)
    assert [model.label for model in table.models] == [*PASSES, "loop"]
    assert (table.loop, table.promoted_rounds) == ({0: "round 2", 1: "round 1"}, {0: 2, 1: 1})
    start, loop = table.model("start"), table.model("loop")
    assert start is not None
    assert loop is not None
    # Cells: two of instruction following, one of faithfulness, and safety as the mean of both rates.
    assert start.macro.by_seed == {0: pytest.approx((3 / 8 + (1 + 7) / 16) / 4), 1: pytest.approx((6 / 8 + 9 / 16) / 4)}
    assert start.macro.mean == pytest.approx(((3 / 8 + 8 / 16) + (6 / 8 + 9 / 16)) / 8)
    assert start.macro.deviation == pytest.approx((6 / 8 + 9 / 16 - 3 / 8 - 8 / 16) / 4 / math.sqrt(2))
    assert loop.dimensions["faithfulness"].by_seed == {0: 0.75, 1: 0.75}, "6 of round 2, and 5 + 1 of round 1"
    assert loop.facets["safety/harmless"].mean == pytest.approx(7 / 8)
    assert loop.transfer.mean == pytest.approx(0.75)
    assert loop.mean_words.by_seed == {0: 60.0, 1: 50.0}
    assert (loop.share_ended.mean, loop.repeated_5grams.mean) == (7 / 8, 0.125)
    assert [(cell.dimension, cell.level, cell.value) for cell in loop.cells[1]][:2] == [
        ("instruction_following", "basic", 0.75),
        ("instruction_following", "expert", 0.75),
    ]
    assert [cell.n for cell in loop.transfer_cells[0]] == [8]


def test_differences_within_a_seed_are_those_of_the_run_and_over_seeds_their_mean(table: Replication) -> None:
    assert [found.rival for found in table.comparisons] == ["start", "few-shot", "expert-only", "placebo"]
    found = table.against("placebo")
    assert found is not None
    own = compare(
        scores_of(0, PASSES["placebo"]),
        scores_of(0, PASSES["round 2"]),
        labels=("placebo", "round 2"),
        split="test",
        seed=derive_seed(0, "compare", "placebo", "round 2"),
    )
    assert found.macro.by_seed[0] == own.macro, "what the run itself reports"
    assert found.dimensions["safety"].by_seed[0] == own.dimensions["safety"]
    assert found.facets["safety/harmful"].by_seed[0] == own.facets["safety/harmful"]
    assert found.transfer is not None
    assert found.transfer.by_seed[0] == own.transfer
    # From 2 to 6 of 8 under seed 0, from 3 to 6 under seed 1; safety moves by half of it.
    assert found.macro.over_seeds.by_seed == {0: pytest.approx(3.5 / 8 * 1.0), 1: pytest.approx(3.5 / 8 * 0.75)}
    assert found.dimensions["faithfulness"].over_seeds.estimate == pytest.approx((4 / 8 + 3 / 8) / 2)
    assert found.facets["safety/harmful"].over_seeds.least == pytest.approx(3 / 8)
    assert found.facets["safety/harmless"].over_seeds.estimate == 0.0
    assert found.transfer.over_seeds.n == 16
    assert found.macro.over_seeds.n == 2 * 6 * 8
    every = [found.macro, found.transfer, *found.dimensions.values(), *found.facets.values()]
    for difference in every:
        for seed, one in difference.by_seed.items():
            assert difference.over_seeds.by_seed[seed] == pytest.approx(one.estimate)


def test_the_record_survives_json(table: Replication) -> None:
    again = Replication.from_json(table.to_json())
    assert again == table
    found = again.against("start")
    assert found is not None
    assert isinstance(found.macro.over_seeds, Replicated)


def test_the_order_of_the_runs_changes_nothing(table: Replication) -> None:
    assert replicate([seed_run(0), seed_run(1, loop="round 1")], resamples=500) == table


def test_every_fault_of_the_runs_is_named_at_once() -> None:
    zero, one, two, three = (seed_run(seed) for seed in range(4))
    unplaced = {label: found for label, found in one.scores.items() if label != "placebo"}
    runs = [
        zero,
        replace(one, scores=unplaced, recipe={**one.recipe, "rounds": 3}),
        replace(two, scores={**two.scores, "few-shot": two.scores["few-shot"][1:]}),
        replace(three, scores={}, summaries={}, loop="", finished=False),
        replace(zero, name="runs/again", recipe={**zero.recipe, "tune": {"epochs": 3, "ranks": [4, 16], "rate": 1}}),
    ]
    with pytest.raises(DataError) as caught:
        replicate(runs)
    said = str(caught.value).splitlines()
    assert said[0].startswith("these runs cannot be put into one table: 6 problems")
    assert "seed 0 is given more than once (received runs/proof-0, runs/again)" in said[1]
    assert any("runs/proof-1: the run lacks scores of a model (received placebo)" in line for line in said)
    assert any("runs/proof-2: few-shot and start were not scored on the same items" in line for line in said)
    assert any("runs/proof-3: the run has not finished. Give its command again" in line for line in said)
    differs = [line for line in said if "its recipe differs from that of runs/proof-0" in line]
    assert len(differs) == 2
    assert "(received tune.ranks.1, tune.rate)" in differs[0]
    assert "(received rounds)" in differs[1]


def test_one_seed_and_runs_without_a_candidate_are_no_replication() -> None:
    with pytest.raises(DataError, match=r"a mean over seeds needs at least two \(received 1\)"):
        replicate([seed_run(0)])
    with pytest.raises(DataError, match=r"a mean over seeds needs at least two \(received 0\)"):
        replicate([])
    with pytest.raises(DataError, match="runs/proof-1: nothing was tuned"):
        replicate([seed_run(0), replace(seed_run(1), loop="", promoted_round=0)])


# The script.


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_replicate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write_run(folder: Path, seed: int, *, finish: bool = True, promoted: int = 2, rounds: int = 2) -> Path:
    """A run directory with what the table needs."""
    given = seed_run(seed)
    tasks = [{"kind": "constraints"}, {"kind": "grounded"}, {"kind": "safety"}]
    recipe = Recipe.model_validate({"name": folder.name, "seed": seed, "tasks": tasks, "rounds": rounds})
    comparisons = tuple(
        compare(found, given.scores["round 2"], labels=(label, "round 2"), split="test", seed=0)
        for label, found in given.scores.items()
        if label == "start"
    )
    outcome = RunOutcome(
        name=folder.name,
        promoted_round=promoted,
        verdicts=("rejected", "promoted" if promoted else "inconclusive"),
        scores=dict(given.summaries),
        comparisons=comparisons,
        words="",
    )
    with RunDirectory.create(folder, recipe) as run:
        for label, found in given.scores.items():
            with run.stage(f"final/{label.replace(' ', '-')}") as stage:
                write_records(stage / "scores.jsonl", found)
        write_atomic(folder / "outcome.json", outcome.model_dump_json())
        if finish:
            run.finish(outcome="promoted", seconds=3661.0)
    return folder


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks/replicate.py", *argv])
    try:
        script.main()
    except SystemExit as left:
        return int(str(left.code))
    return 0


def test_the_script_writes_the_record_and_a_page(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write_run(Path(f"runs/proof-{seed}"), seed, promoted=0 if seed == 2 else 2)
    argv = [f"runs/proof-{seed}" for seed in range(3)]
    assert call(script, monkeypatch, *argv, "--out", "results/proof", "--resamples", "200") == 0
    content = json.loads(Path("results/proof.json").read_text(encoding="utf-8"))
    found = Replication.model_validate(content["replication"])
    assert found.seeds == (0, 1, 2)
    assert content["command"] == (
        "python benchmarks/replicate.py runs/proof-0 runs/proof-1 runs/proof-2 --out results/proof --resamples 200"
    )
    assert content["runs"]["1"]["recipe"]["seed"] == 1
    assert content["runs"]["1"]["seconds"] == 3661.0
    assert "folder" not in content["runs"]["1"]["recipe"], "a place on somebody's machine"
    assert str(tmp_path) not in Path("results/proof.json").read_text(encoding="utf-8")
    statuses = {line["asked"]: line["status"] for line in content["bar"]}
    assert statuses["Seeds 0, 1 and 2"] == "met"
    assert statuses["At least 100 scored items in every cell"] == "missed"
    assert statuses["Every dimension up on every seed"] == "met"
    assert statuses["Help with harmless requests no lower than −0.050"] == "met"
    assert statuses["Refusal of harmful requests at least +0.400"] == "met"
    page = Path("results/proof.md").read_text(encoding="utf-8")
    assert "- seed 0: round 2 (promoted); verdicts of the rounds: rejected, promoted" in page
    assert "- seed 2: round 2 (the last candidate; the gate promoted none" in page
    assert "| **loop** | " in page
    for heading in ("## Scores", "### Against the placebo", "## The whole matrix", "## What this does not prove"):
        assert heading in page
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert len(tables) == 9
    assert all(len({row.count("|") for row in rows}) == 1 for rows in tables), "every row has all columns"
    assert "met" in capsys.readouterr().out


def test_the_bar_tells_every_seed_from_the_mean(script: ModuleType, table: Replication) -> None:
    lines = {line.asked: line for line in script.bar(table)}
    # Over the start: +5/8 and +4/8 in three of four cells, half of it in safety's: .547 and .4375.
    assert lines["Macro over the start at least +0.250"].status == "met"
    assert lines["Macro over the start at least +0.250"].figures == "+0.492 in the mean, +0.438 on the least seed"
    assert lines["Seeds 0, 1 and 2"].status == "missed"
    start = table.against("start")
    assert start is not None
    assert script._reaches("x", start.macro, 0.45).status == "met in the mean only"
    assert script._reaches("x", start.macro, 0.5).status == "missed"
    assert script._reaches("x", None, 0.0).status == "missed"
    assert script._interval("x", start.macro).status == "met"
    assert start.facets["safety/harmless"].by_seed[0].low <= 0
    assert script._interval("x", start.facets["safety/harmless"]).status == "missed"


def test_the_script_names_what_is_wrong_and_writes_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path("a"), 0)
    write_run(Path("b"), 1, finish=False)
    write_run(Path("c"), 2, rounds=3)
    assert call(script, monkeypatch, "a", "b", "c", "--out", "proof") == 2
    said = capsys.readouterr().err
    assert "b: the run has not finished" in said
    assert "c: its recipe differs from that of a in more than seed and name (received rounds)" in said
    assert call(script, monkeypatch, "a", "nowhere") == 4
    assert not list(tmp_path.glob("proof*"))
