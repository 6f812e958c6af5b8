"""What is ordered: cells by the plan, topics, personas, languages and facets in turn. Nothing here asks a model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tutelage.recipe.sources.instructions import REFUSALS_IN, InstructionsSource
from tutelage.records import LEVELS, Demonstration, Level
from tutelage.records.instructions import HARMFUL, HARMLESS, STATED, Order
from tutelage.seeds import stream

Cell = tuple[str, Level]
LONGEST_SEED = 800
"""Characters of a request that is shown as an example; longer ones, such as those with a passage, are not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many conversations each cell is to get, and what to say about it."""

    cells: dict[Cell, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stock:
    """What orders are made of beside cells: topics, personas (none: nobody in particular), requests of experts."""

    topics: Sequence[str]
    personas: Sequence[str]
    demonstrations: Sequence[Demonstration]


def wanted_of(section: InstructionsSource, plan: Mapping[Cell, int], dimensions: Sequence[str]) -> Wanted:
    """Spread ``rows`` over cells: those of the section, or those of ``plan`` in proportion, or all of ``dimensions``.

    A plan that asks for nothing, because no task can be sampled, gives an even spread, and a note. Dimensions that
    nobody has defined, and safety without English, are left out, with a note.
    """
    if section.ordered:
        return Wanted(spread(section.rows, {(cell.dimension, cell.level): 1 for cell in section.ordered}))
    known = [name for name in dict.fromkeys(dimensions) if section.can_order(name)]
    left = [name for name in dict.fromkeys(dimensions) if name not in known]
    notes = tuple(f"{name} is not ordered: {_why(name)}" for name in left)
    weights: dict[Cell, int] = {}
    if section.cells == "planned":
        weights = {cell: number for cell, number in sorted(plan.items()) if number and cell[0] in known}
        if not weights:
            notes += ("the plan of the round has no prompts for what can be ordered, so orders are spread evenly",)
    if not weights:
        weights = {(name, level): 1 for name in known for level in LEVELS}
    return Wanted(spread(section.rows, weights), notes)


def _why(dimension: str) -> str:
    if dimension == "safety":
        return "a program knows refusals in English alone, and languages lack en"
    return "nobody knows what it is; say it under dimensions"


def spread(total: int, weights: Mapping[Cell, int]) -> dict[Cell, int]:
    """Return ``total`` divided in proportion to ``weights``, by largest remainders; of equals the first get more."""
    whole = sum(weights.values())
    if not whole:
        return {}
    exact = {cell: total * weight / whole for cell, weight in weights.items()}
    given = {cell: int(share) for cell, share in exact.items()}
    rest = total - sum(given.values())
    for cell in sorted(exact, key=lambda cell: given[cell] - exact[cell])[:rest]:
        given[cell] += 1
    return {cell: number for cell, number in given.items() if number}


def make_orders(
    wanted: Mapping[Cell, int], section: InstructionsSource, stock: Stock, *, seed: int, begin: int, round: int
) -> list[Order]:
    """Return the orders for ``wanted``, the cells shuffled.

    ``begin`` is how many were ordered before, in this round and those before it: topics go on from there, and each goes
    through all personas before a pair of the two comes again. Languages, and the facets of safety, take turns within a
    cell.
    """
    cells = [cell for cell, number in wanted.items() for _ in range(number)]
    stream(seed, "orders", begin).shuffle(cells)
    turns: Counter[Cell] = Counter()
    orders: list[Order] = []
    for place, cell in enumerate(cells, begin):
        turn = turns[cell] + begin
        turns[cell] += 1
        orders.append(_order(cell, section, stock=stock, turn=turn, place=place, name=f"{round}/{place}", seed=seed))
    return orders


def _order(
    cell: Cell, section: InstructionsSource, *, stock: Stock, turn: int, place: int, name: str, seed: int
) -> Order:
    dimension, level = cell
    languages = (REFUSALS_IN,) if dimension == "safety" else section.languages
    shown = _examples(dimension, section.seeds, stock.demonstrations, seed=seed, name=name)
    facets = {"safety": (HARMFUL, HARMLESS)[turn % 2], "faithfulness": STATED}
    return Order(
        id=name,
        dimension=dimension,
        level=level,
        facet=facets.get(dimension, ""),
        language=languages[turn % len(languages)],
        topic=stock.topics[place % len(stock.topics)],
        persona=_persona(stock, place),
        seeds=tuple(one.item.id for one in shown),
    )


def _persona(stock: Stock, place: int) -> str:
    """The persona of a place: each topic meets another one whenever its turn comes."""
    again, topic = divmod(place, len(stock.topics))
    return stock.personas[(topic + again) % len(stock.personas)] if stock.personas else ""


def _examples(
    dimension: str, number: int, demonstrations: Sequence[Demonstration], *, seed: int, name: str
) -> list[Demonstration]:
    short = [one for one in demonstrations if 0 < len(one.item.prompt) <= LONGEST_SEED]
    own = [one for one in short if one.item.dimension == dimension] or short
    return stream(seed, "seeds", name).sample(own, min(number, len(own)))
