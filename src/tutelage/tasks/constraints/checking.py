"""The strict check: every constraint of an item must hold of the answer as it stands."""

from pydantic import JsonValue

from tutelage.records import Answer, Item, PartVerdict, Verdict, all_of, unscored
from tutelage.tasks.constraints.constraint import Constraint
from tutelage.tasks.constraints.families import FAMILIES


def read_constraints(item: Item) -> tuple[Constraint, ...]:
    """Return the constraints that ``item.spec`` holds; raises ``pydantic.ValidationError`` for broken parameters."""
    entries = item.spec["constraints"]
    assert isinstance(entries, list)
    return tuple(_constraint(entry) for entry in entries)


def _constraint(entry: JsonValue) -> Constraint:
    assert isinstance(entry, dict)
    return FAMILIES[str(entry["family"])].model_validate(entry["params"])


def check_answer(item: Item, answer: Answer) -> Verdict:
    """Return 1 if every constraint holds, else 0 with the faults; unscored if the answer never came.

    An empty answer fulfills nothing, not even "no commas".
    """
    if answer.finish == "error":
        return unscored(f"There is no answer: {answer.error}" if answer.error else "There is no answer.")
    empty = not answer.text.strip()
    parts = []
    for constraint in read_constraints(item):
        fault = "The answer is empty." if empty else constraint.fault(answer.text)
        parts.append(PartVerdict(name=constraint.name, passed=not fault, reason=fault))
    return all_of(tuple(parts))
