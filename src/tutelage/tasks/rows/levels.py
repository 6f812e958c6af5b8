"""Difficulty of rows that do not state it, estimated from how often the starting model passes them."""

from collections.abc import Collection, Mapping

from tutelage.records import LEVELS, Level

BOUNDS = (0.75, 0.5, 0.25)


def estimate_levels(
    pass_rates: Mapping[str, float], min_cell: int = 20, *, counted: Collection[str] | None = None
) -> dict[str, Level]:
    """Return a level for every id from its pass rate in [0, 1] over several samples of the starting model.

    From 0.75 on a row is basic, from 0.5 intermediate, from 0.25 advanced, below expert. While a level holds some but
    fewer than ``min_cell`` of the ids in ``counted`` (default: all), the smallest is joined with the smaller of its
    neighbors, under the name of the larger part (the easier in a tie); what is left alone is basic. The estimate
    depends on the model and the samples: freeze it, and say that it is one.
    """
    counts_for = set(pass_rates if counted is None else counted)
    cells: list[tuple[Level, list[str]]] = [(level, []) for level in LEVELS]
    for id, rate in sorted(pass_rates.items()):
        if not 0 <= rate <= 1:
            raise ValueError(f"the pass rate of {id} is {rate}, not in [0, 1]")
        cells[sum(rate < bound for bound in BOUNDS)][1].append(id)
    cells = [cell for cell in cells if cell[1]]

    def size(place: int) -> int:
        return sum(id in counts_for for id in cells[place][1])

    while len(cells) > 1 and min(size(place) for place in range(len(cells))) < min_cell:
        small = min(range(len(cells)), key=size)
        other = min((place for place in (small - 1, small + 1) if 0 <= place < len(cells)), key=size)
        left, right = sorted((small, other))
        name = cells[left][0] if size(left) >= size(right) else cells[right][0]
        cells[left : right + 1] = [(name, cells[left][1] + cells[right][1])]
    if len(cells) == 1:
        cells = [("basic", cells[0][1])]
    return {id: level for level, ids in cells for id in ids}
