"""Records of another tool's file, each an item and what was said of it: the faults of all of them at once."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from tutelage.annotation.items import WorkItem
from tutelage.annotation.views import Judgment
from tutelage.errors import DataError, Problem
from tutelage.records.importers.turns import RowFault
from tutelage.records.tables import Faults, shown

Read = Callable[[Any], tuple[WorkItem, list[Judgment]]]


def read_each(
    found: Sequence[Any], read: Read, *, faults: Faults, place: str, what: str
) -> tuple[tuple[WorkItem, ...], tuple[Judgment, ...]]:
    """Return the items and judgments of what was ``found``, in its order.

    A fault names the record by ``place`` and its number from 0; ``what`` says what none of them is that cannot be read
    ("a task of Label Studio"). Raises :class:`DataError` with the first faults and the number of all.
    """
    items: list[WorkItem] = []
    judgments: list[Judgment] = []
    for at, record in enumerate(found):
        where = f"{place} {at}"
        try:
            item, said = read(record)
        except ValidationError as error:
            for detail in error.errors():
                faults.add(Problem(detail["msg"], where, shown(detail["input"])))
        except DataError as error:
            for one in error.problems:
                faults.add(Problem(one.what, f"{where}: {one.where}", one.received, one.remedy))
        except RowFault as fault:
            faults.add(Problem(fault.what, f"{where}: {fault.key}", shown(fault.received), fault.remedy))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            faults.add(Problem(f"not {what} ({error!r})", where, shown(record)))
        else:
            items.append(item)
            judgments += said
    faults.raise_if_any()
    return tuple(items), tuple(judgments)
