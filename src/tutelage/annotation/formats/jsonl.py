"""A whole project, one JSON object a line: the project, then its items, then its judgments."""

from pathlib import Path

from pydantic import ValidationError

from tutelage.annotation.bundle import Bundle, check_bundle
from tutelage.annotation.items import WorkItem
from tutelage.annotation.views import Judgment, Project
from tutelage.errors import Problem
from tutelage.files import write_atomic
from tutelage.records import Record
from tutelage.records.jsonl import problems_of
from tutelage.records.tables import Faults, iter_lines


class Line(Record):
    """One line: exactly one of the three."""

    project: Project | None = None
    item: WorkItem | None = None
    judgment: Judgment | None = None


def write_jsonl(path: Path, bundle: Bundle) -> None:
    """Write a project, atomically."""
    lines = [Line(project=bundle.project), *(Line(item=item) for item in bundle.items)]
    lines += [Line(judgment=one) for one in bundle.judgments]
    write_atomic(path, "".join(line.to_json() + "\n" for line in lines))


def read_jsonl(path: Path) -> Bundle:
    """Read a project. Raises :class:`DataError` with every fault by line, :class:`StorageError`."""
    faults = Faults(path)
    lines: list[Line] = []
    for number, text in iter_lines(path, faults):
        where = f"{path}:{number}"
        try:
            line = Line.from_json(text)
        except ValidationError as error:
            for problem in problems_of(error, Line, where):
                faults.add(problem)
            continue
        if sum(one is not None for one in (line.project, line.item, line.judgment)) != 1:
            faults.add(Problem("expected one of project, item, judgment", where))
        lines.append(line)
    projects = [line.project for line in lines if line.project is not None]
    if len(projects) != 1 and not faults.count:
        remedy = "it is the first line of a file that was exported as judgments"
        faults.add(Problem("expected one line with the project", str(path), str(len(projects)), remedy))
    faults.raise_if_any()
    bundle = Bundle(
        project=projects[0],
        items=tuple(line.item for line in lines if line.item is not None),
        judgments=tuple(line.judgment for line in lines if line.judgment is not None),
    )
    check_bundle(bundle, str(path))
    return bundle
