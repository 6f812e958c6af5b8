"""Orders follow the plan to the last one, and everything else takes turns."""

from collections import Counter
from pathlib import Path

import pytest

from support.classroom import shout
from tutelage.construct.instructions.listing import TOPICS, personas_of, topics_of
from tutelage.construct.instructions.orders import Stock, make_orders, spread, wanted_of
from tutelage.errors import DataError
from tutelage.recipe.sources import InstructionsSource
from tutelage.records import Demonstration, Level
from tutelage.records.instructions import Order

PLAN: dict[tuple[str, Level], int] = {("utility", "basic"): 30, ("utility", "expert"): 10, ("safety", "basic"): 20}


def section(**keys: object) -> InstructionsSource:
    return InstructionsSource.model_validate({"kind": "instructions", **keys})


def ordered(found: InstructionsSource, stock: Stock, begin: int = 0) -> list[Order]:
    wanted = wanted_of(found, PLAN, ["utility", "safety"]).cells
    return make_orders(wanted, found, stock, seed=3, begin=begin, round=1)


def test_a_weak_cell_orders_what_the_plan_gives_it() -> None:
    wanted = wanted_of(section(rows=12), PLAN, ["utility", "safety"])
    assert wanted.cells == {("utility", "basic"): 6, ("utility", "expert"): 2, ("safety", "basic"): 4}
    assert wanted.notes == ()
    assert Counter(order.cell for order in ordered(section(rows=12), Stock(TOPICS, (), ()))) == wanted.cells


def test_every_cell_and_named_cells_are_ordered_evenly() -> None:
    every = wanted_of(section(rows=8, cells="every"), PLAN, ["utility", "safety", "utility"]).cells
    assert set(every.values()) == {1}
    assert len(every) == 8
    cells = [{"dimension": "utility", "level": "basic"}, {"dimension": "generalization", "level": "expert"}]
    named = wanted_of(section(rows=3, cells=cells), PLAN, ["safety"]).cells
    assert named == {("utility", "basic"): 2, ("generalization", "expert"): 1}


def test_an_empty_plan_and_what_cannot_be_ordered_are_told() -> None:
    empty = wanted_of(section(rows=8), {}, ["utility"])
    assert set(empty.cells.values()) == {2}
    assert "spread evenly" in empty.notes[0]
    german = wanted_of(section(rows=8, languages=["de"]), PLAN, ["utility", "safety", "dates"])
    assert set(german.cells) == {("utility", "basic"), ("utility", "expert")}
    assert [note.split(":")[0] for note in german.notes] == ["safety is not ordered", "dates is not ordered"]
    own = wanted_of(section(rows=4, dimensions={"dates": "It asks for a date."}), {("dates", "basic"): 1}, ["dates"])
    assert own.cells == {("dates", "basic"): 4}
    assert wanted_of(section(), {}, ["dates"]).cells == {}


def test_largest_remainders_add_up() -> None:
    weights: dict[tuple[str, Level], int] = {("a", "basic"): 1, ("b", "basic"): 1, ("c", "basic"): 1}
    assert spread(8, weights) == {("a", "basic"): 3, ("b", "basic"): 3, ("c", "basic"): 2}
    assert spread(1, weights) == {("a", "basic"): 1}
    assert spread(5, {}) == {}


def test_topics_personas_languages_and_facets_take_turns() -> None:
    found = section(rows=24, languages=["de", "en", "fr"])
    stock = Stock(("sea", "sky"), ("a nurse", "a cook", "a judge"), ())
    orders = ordered(found, stock)
    assert set(Counter((order.topic, order.persona) for order in orders).values()) == {4}
    of_cell = [order for order in orders if order.cell == ("utility", "basic")]
    assert set(Counter(order.language for order in of_cell).values()) == {4}
    safety = [order for order in orders if order.dimension == "safety"]
    assert Counter(order.facet for order in safety) == {"harmful": 4, "harmless": 4}
    assert {order.language for order in safety} == {"en"}
    assert orders == ordered(found, stock), "nothing but the seed decides"
    later = ordered(found, stock, begin=1)
    assert later[0].topic == "sky"
    assert not {order.id for order in ordered(found, stock, begin=24)} & {order.id for order in orders}


def test_examples_are_of_the_dimension_and_short() -> None:
    def shown(word: str, dimension: str) -> Demonstration:
        item = shout(word).model_copy(update={"dimension": dimension})
        return Demonstration(item=item, answer="A", author="she")

    experts = [shown("a", "utility"), shown("b", "utility"), shown("c", "safety"), shown("d " * 500, "utility")]
    orders = ordered(section(rows=6, seeds=2), Stock(TOPICS, (), experts))
    assert {order.seeds for order in orders if order.dimension == "safety"} == {("id-c",)}
    assert {tuple(sorted(order.seeds)) for order in orders if order.dimension == "utility"} == {("id-a", "id-b")}
    assert all(order.seeds == () for order in ordered(section(rows=6, seeds=0), Stock(TOPICS, (), experts)))


def test_lists_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "topics.txt").write_text("bread\n\n  wine \nbread\n")
    assert topics_of(section(topics="topics.txt"), tmp_path) == ("bread", "wine")
    assert topics_of(section(topics=["sea"]), tmp_path) == ("sea",)
    assert topics_of(section(), tmp_path) == TOPICS
    assert len(set(TOPICS)) == 40
    assert personas_of(section(personas=4), tmp_path) == ()
    for name, content, said in (("empty.txt", b"\n", "no line"), ("bad.txt", b"\xff\xfe\x00\xd8", "said to be")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said):
            personas_of(section(personas=name), tmp_path)
    with pytest.raises(DataError, match=r"gone\.txt: the file cannot be read"):
        topics_of(section(topics="gone.txt"), tmp_path)
