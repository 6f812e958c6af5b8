"""What the numbers of items of a run can prove, in words, before it begins."""

from collections.abc import Sequence

from tutelage.pipeline.items import Tasks, gate_items, gate_rule, is_scored
from tutelage.recipe import Recipe
from tutelage.records import Item
from tutelage.reflect.gate import GateRule, gate_power
from tutelage.tasks.rows import RowsTask


def claims_of(recipe: Recipe, tasks: Tasks, test: Sequence[Item]) -> tuple[str, ...]:
    """Return what gate and test can prove, and what a user's rows can; ``test`` are the items of the final test."""
    rule = gate_rule(recipe, tasks)
    found: list[str] = []
    scored = [item for item in gate_items(recipe, tasks, 1) if is_scored(tasks, item)]
    if scored:
        found.append(gate_power(scored, rule).words)
    if not rule.fresh:
        found.append("There are too few rows for fresh gates: every round is judged on the same ones.")
    ordinary = [item for item in test if not item.transfer and is_scored(tasks, item)]
    if ordinary:
        found.append(_test_claim(ordinary, rule.confidence))
    elif not test:
        found.append("There is no final test (evaluate.test is 0): the run ends with the verdicts of its gates.")
    for name, task in tasks.items():
        if isinstance(task, RowsTask):
            found += [f"{name}: {said}" for said in task.capability()]
    return tuple(found)


def _test_claim(items: Sequence[Item], confidence: float) -> str:
    power = gate_power(items, GateRule(confidence=confidence))
    cells = f"{power.cells} cell{'' if power.cells == 1 else 's'}"
    size = f"The test split has {power.n:,} items in {power.clusters:,} groups and {cells}"
    if power.detectable is None:
        return f"{size}: too few to show any improvement; expect wide intervals and no claim."
    return f"{size}: a true rise of {power.detectable:.3f} or more will show, a smaller one may not."
