"""What a run on a user's rows can and cannot prove, in words, before it starts."""

from collections import Counter
from collections.abc import Sequence

from tutelage.records import SPLITS, Item
from tutelage.statistics import design_effect, detectable_difference

SHARED_SOURCE = 0.2
MIN_CELL = 20
FEW_REFERENCE_WORDS = 5


def is_checked(item: Item) -> bool:
    """Whether answers to a row can be scored at all."""
    return item.spec.get("check") != "none"


def describe(
    items: Sequence[Item], *, estimated: bool, too_few: int | None = None, repeats: int, failing: int
) -> tuple[str, ...]:
    """Return sentences on rows, splits, the smallest improvement that can be shown, and what stays unproved.

    ``too_few`` is how many rows are not enough to estimate levels, ``failing`` how many experts' answers do not pass
    the check of their own row. The figures assume that 3 of 10 answers change between right and wrong, 80 % power,
    95 % confidence, and a correlation of 0.2 within a group.
    """
    said = [_rows(items), *(describe_split(items, split) for split in ("gate", "test"))]
    unchecked = [item for item in items if not is_checked(item)]
    if unchecked:
        part = "No row has a" if len(unchecked) == len(items) else f"{len(unchecked)} of the {len(items)} rows have no"
        said.append(
            f"{part} check: they give the loss of their references and no score. A lower loss says that the model "
            "finds such answers likelier. It does not say that the answers it writes itself are right, faithful or "
            "safe. Where no item of the gate has a check, the loss alone decides on promotion."
        )
        if bare := sum(not item.reference for item in unchecked):
            said.append(f"{bare} of them have no reference either: nothing is learned from them and nothing measured.")
        if short := sum(0 < len((item.reference or "").split()) <= FEW_REFERENCE_WORDS for item in unchecked):
            said.append(
                f"{short} of them have a short reference: with check exact, contains or numeric they would count."
            )
    cells = Counter((item.split, item.level) for item in items if item.split in {"gate", "test"})
    if small := [f"{split} {level}: {count}" for (split, level), count in sorted(cells.items()) if count < MIN_CELL]:
        said.append(f"Cells of fewer than {MIN_CELL} rows, whose own scores say little: {', '.join(small)}.")
    if estimated:
        said.append("The levels are estimated from the starting model's own pass rate.")
    if too_few is not None:
        said.append(
            f"No row states a level, and {too_few} to measure on are too few to estimate them: two levels need "
            f"{2 * MIN_CELL}. All rows count as basic."
        )
    if repeats:
        said.append(f"{repeats} rows repeat another one in every respect and are left out.")
    if failing:
        said.append(f"{failing} experts' answers do not pass the check of their own row and are not learned from.")
    return tuple(said)


def _rows(items: Sequence[Item]) -> str:
    counts = Counter(item.split for item in items)
    parts = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    return f"{len(items)} rows in {len({item.group for item in items})} groups: {parts}."


def describe_split(items: Sequence[Item], split: str) -> str:
    """Return what the rows of one split can show."""
    there = [item for item in items if item.split == split]
    scored = [item for item in there if is_checked(item)]
    if not there:
        return f"On {split} nothing can be shown: no row fell to it."
    if not scored:
        rows = f"{_number(sum(bool(item.reference) for item in there), 'reference')}"
        return f"On {split} no answer can be scored, as no row there has a check; the loss of {rows} is compared."
    sizes = list(Counter(item.group for item in scored).values())
    least = detectable_difference(len(scored), design_effect=design_effect(sizes, SHARED_SOURCE))
    rows = f"{_number(len(scored), 'checked row')} in {_number(len(sizes), 'group')}"
    if least is None:
        return f"On {split}, {rows} are too few to show any improvement; expect the verdict inconclusive."
    return f"On {split}, {rows} show an improvement of {least:.0%} or more; a smaller one will look like chance."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
