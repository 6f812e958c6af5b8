"""The table over seeds and what it refuses."""

import math
from dataclasses import replace

import pytest

from support.seed_runs import PASSES, scores_of, seed_run
from tutelage.errors import DataError
from tutelage.evaluate.compare import compare
from tutelage.evaluate.replicate import replicate
from tutelage.records.replication import Replication
from tutelage.seeds import derive_seed
from tutelage.statistics import Replicated


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
