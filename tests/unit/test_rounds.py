"""What a gate's outcome does to the loop: who is promoted, and which rows the next round builds on; the end of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tutelage.errors import DataError
from tutelage.evaluate.run import Examined
from tutelage.evaluate.summary import summarize
from tutelage.pipeline import final
from tutelage.pipeline.rounds import Progress
from tutelage.pipeline.shop import Shop, Trained
from tutelage.pipeline.stages import Measured
from tutelage.records import Engine, Example, Lineage, assistant, user
from tutelage.records.scores import ScoreSummary


def probed(round: int) -> ScoreSummary:
    engine = Engine(model="m", engine="nobody")
    return summarize([], split="probe", round=round, label=f"round {round}", engine=engine)


def rows_named(*names: str) -> list[Example]:
    lineage = Lineage(paradigm="expert", source="test", author="a person")
    return [Example(id=name, messages=(user("Hello"), assistant(name)), lineage=lineage) for name in names]


def test_rows_of_an_inconclusive_round_are_built_on_and_those_of_a_rejected_one_are_left() -> None:
    start = Trained(0, None)
    loop = Progress(champion=start, probes=[probed(0)])
    loop.take("inconclusive", Trained(1, Path("1")), rows=rows_named("a"), probe=probed(1))
    assert (loop.champion, loop.rows, len(loop.probes)) == (start, [], 1), "nobody is promoted"
    assert loop.pool == rows_named("a")
    loop.take("promoted", Trained(2, Path("2")), rows=rows_named("a", "b"), probe=probed(2))
    assert (loop.champion.round, loop.rows, loop.probes[-1].round) == (2, rows_named("a", "b"), 2)
    loop.take("rejected", Trained(3, Path("3")), rows=rows_named("a", "b", "c"), probe=probed(3))
    assert (loop.champion.round, loop.pool) == (2, rows_named("a", "b"))
    loop.take("inconclusive", Trained(4, Path("4")), rows=rows_named("a", "b", "d"), probe=probed(4))
    assert (loop.champion.round, loop.rows, loop.pool) == (2, rows_named("a", "b"), rows_named("a", "b", "d"))


def test_models_that_unlike_engines_answered_for_are_not_compared_at_the_end() -> None:
    def tested(dtype: str) -> Measured:
        engine = Engine(model="m", engine="transformers", dtype=dtype, batch_size=8)
        return Measured(Examined([], [], []), summarize([], split="test", round=0, label="x", engine=engine), None)

    shop = cast(Shop, SimpleNamespace(seed=0))
    pair = ("start", tested("bfloat16")), ("round 1", tested("float32"))
    with pytest.raises(DataError, match=r"start and round 1.*\n.*different dtype"):
        final._compare(shop, *pair)
    assert final._compare(shop, pair[0], ("round 1", tested("bfloat16"))).after == "round 1"
