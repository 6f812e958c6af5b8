"""A project as one value, for files: what it is, its items, and all that was said."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tutelage.annotation.items import Role, WorkItem, item_faults
from tutelage.annotation.responses import check_response
from tutelage.annotation.views import Judgment, Project
from tutelage.errors import DataError, Problem
from tutelage.files import read_json
from tutelage.records import Record
from tutelage.records.jsonl import problems_of

MAX_FAULTS = 20


class Bundle(Record):
    """A project with its items and judgments, older ones too; people stand there under their pseudonyms."""

    project: Project
    items: tuple[WorkItem, ...] = ()
    judgments: tuple[Judgment, ...] = ()

    def roles(self) -> dict[str, Role]:
        """Return who judged, in the order in which they come, and as what."""
        return {one.annotator: one.role for one in self.judgments}


def check_bundle(bundle: Bundle, where: str) -> None:
    """Raise :class:`DataError` with all that does not fit together."""
    problems = list(_faults(bundle))
    if problems:
        more = f" ({len(problems)} in all, the first {MAX_FAULTS})" if len(problems) > MAX_FAULTS else ""
        raise DataError(where + more, problems[:MAX_FAULTS])


def _faults(bundle: Bundle) -> Iterator[Problem]:
    items: dict[str, WorkItem] = {}
    for item in bundle.items:
        if item.id in items:
            yield Problem("two items have the same id", f"item {item.id}", remedy="give each its own")
        items[item.id] = item
        yield from item_faults(item, bundle.project.work, f"item {item.id}")
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    roles: dict[str, Role] = {}
    for one in bundle.judgments:
        where = f"judgment of {one.item} by {one.annotator}"
        if one.item not in items:
            yield Problem("there is no such item", where)
            continue
        if roles.setdefault(one.annotator, one.role) != one.role:
            yield Problem("an annotator has two roles", where, one.role)
        numbers[one.item, one.annotator].append(one.number)
        try:
            check_response(bundle.project.work, items[one.item], one.response)
        except DataError as error:
            for problem in error.problems:
                at = f"{where}: {problem.where}"
                yield Problem(problem.what, at, problem.received, problem.remedy)
    for (name, annotator), found in numbers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            what = "one's judgments of an item are numbered from 1, each once"
            yield Problem(what, f"item {name}, {annotator}", ", ".join(map(str, found)))


def read_project(path: Path) -> Project:
    """Return the project that stands beside the files of another tool. Raises :class:`DataError` with its faults."""
    try:
        return Project.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(str(path), problems_of(error, Project, str(path))) from error
