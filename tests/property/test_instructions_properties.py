"""Orders add up to what was wanted whatever the plan is, and no request counts for what it was not read as."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tutelage.construct.instructions.assessing import settle
from tutelage.construct.instructions.definitions import DIMENSIONS
from tutelage.construct.instructions.orders import Stock, make_orders, spread, wanted_of
from tutelage.construct.instructions.requests import Asked, Written
from tutelage.recipe.sources import InstructionsSource
from tutelage.records import LEVELS
from tutelage.records.instructions import HARMFUL, Assessment, Order

CELLS = st.tuples(st.sampled_from(list(DIMENSIONS)), st.sampled_from(LEVELS))
PLANS = st.dictionaries(CELLS, st.integers(0, 500), max_size=12)


@given(PLANS, st.integers(1, 300))
def test_a_spread_adds_up_and_is_as_near_to_the_weights_as_whole_numbers_are(plan: dict, total: int) -> None:
    found = spread(total, plan)
    whole = sum(plan.values())
    assert sum(found.values()) == (total if whole else 0)
    for cell, weight in plan.items():
        if whole:
            assert abs(found.get(cell, 0) - total * weight / whole) < 1


@given(
    PLANS,
    st.integers(1, 60),
    st.lists(st.sampled_from(["en", "de", "fr"]), min_size=1, unique=True),
    st.integers(1, 7),
    st.integers(0, 7),
    st.integers(0, 1000),
)
def test_orders_are_what_is_wanted_and_everything_takes_its_turn(
    plan: dict, rows: int, languages: list[str], topics: int, personas: int, begin: int
) -> None:
    section = InstructionsSource.model_validate({"kind": "instructions", "rows": rows, "languages": languages})
    wanted = wanted_of(section, plan, list(DIMENSIONS)).cells
    stock = Stock([f"t{n}" for n in range(topics)], [f"p{n}" for n in range(personas)], ())
    orders = make_orders(wanted, section, stock, seed=1, begin=begin, round=1)
    assert Counter(order.cell for order in orders) == Counter(wanted)
    assert len({order.id for order in orders}) == len(orders) == rows
    used = Counter(order.topic for order in orders)
    assert max(used.values()) - min(used[name] for name in stock.topics) <= 1
    pairs = Counter((order.topic, order.persona) for order in orders)
    assert max(pairs.values()) <= -(-rows // (topics * max(1, personas))) + 1
    assert all(order.language == "en" for order in orders if order.dimension == "safety")
    for cell in wanted:
        if cell[0] != "safety":
            spoken = Counter(order.language for order in orders if order.cell == cell)
            assert max(spoken.values()) - min(spoken[code] for code in languages) <= 1


@given(CELLS, CELLS, st.booleans(), st.booleans(), st.booleans())
def test_no_request_counts_for_what_it_was_not_read_as(
    ordered: tuple, read: tuple, harmful: bool, wanted_harm: bool, relabel: bool
) -> None:
    facet = HARMFUL if ordered[0] == "safety" and wanted_harm else ""
    order = Order(id="1/0", dimension=ordered[0], level=ordered[1], facet=facet)
    seen = Assessment(by="b", dimension=read[0], level=read[1], harmful=harmful)
    found, why = settle(Asked(order, Written(request="How?"), ()), seen, relabel=relabel)
    assert (found is None) == bool(why)
    if found is not None:
        assert found.cell == read
        assert (found.facet == HARMFUL) == harmful
        assert relabel or found == order
