"""The annotation store: projects with their guidelines, items, and who is asked.

What people do with items is in :mod:`tutelage.annotation.queue`. Every method is one transaction. A store may be used
by any number of programs at once.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, func, insert, select, update

from tutelage.annotation.faults import AnnotationError, UnknownToken
from tutelage.annotation.items import Role, WorkItem, item_faults
from tutelage.annotation.responses import RESPONSE
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.database import Database
from tutelage.annotation.views import Annotator, Judgment, Project
from tutelage.annotation.work import Work
from tutelage.errors import DataError, Problem

WORK: TypeAdapter[Work] = TypeAdapter(Work)
TOKEN_BYTES = 32
MAX_NAME = 100
MAX_OVERLAP = 10_000
MAX_LEASE_S = 366 * 86_400
MAX_FAULTS = 20
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the rows of :meth:`Store.add_items`: ``new`` ones, and those that were ``there`` already."""

    new: int
    there: int


class Store:
    """People's work on items, in one database. ``clock`` tells the time in seconds since 1970."""

    def __init__(self, place: str, *, create: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.database = Database(place, create=create)
        self.clock = clock

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def new_project(self, project: Project) -> None:
        """Make a project. Raises :class:`AnnotationError` for a name that is taken, :class:`DataError` for faults."""
        with self.database.write() as connection:
            self.make_project(connection, project)

    def make_project(self, connection: Connection, project: Project) -> int:
        """Do what :meth:`new_project` does inside a transaction, and return the project's key."""
        faults = [*_name_faults(project.name, "name"), *_text_faults(project.guidelines, "guidelines")]
        if not 1 <= project.overlap <= MAX_OVERLAP:
            what = f"an item is asked of 1 to {MAX_OVERLAP:,} people"
            faults.append(Problem(what, "overlap", str(project.overlap)))
        if not 1 <= project.lease_s <= MAX_LEASE_S:
            what = f"expected seconds, 1 to {MAX_LEASE_S:,} (a year)"
            faults.append(Problem(what, "lease_s", str(project.lease_s)))
        if faults:
            raise DataError("project", faults)
        if connection.scalar(select(schema.projects.c.id).where(schema.projects.c.name == project.name)):
            remedy = "choose another name; items are added with: tutelage annotate add"
            raise AnnotationError("there is a project of this name", where=project.name, remedy=remedy)
        made = insert(schema.projects).values(
            name=project.name,
            work=project.work.to_json(),
            metadata=json.dumps(project.metadata),
            overlap=project.overlap,
            lease_s=project.lease_s,
            created_at=self.clock(),
        )
        key = connection.execute(made.returning(schema.projects.c.id)).scalar_one()
        self._add_guidelines(connection, key, max(1, project.guidelines_revision), project.guidelines)
        return int(key)

    def change_guidelines(self, project: str, text: str) -> int:
        """Put new guidelines in the place of the last ones, which are kept, and return their revision."""
        if faults := _text_faults(text, "guidelines"):
            raise DataError("guidelines", faults)
        with self.database.write() as connection:
            row = _project_row(connection, project, lock=True)
            if row.text != text:
                self._add_guidelines(connection, row.id, row.revision + 1, text)
                return int(row.revision) + 1
            return int(row.revision)

    def projects(self) -> list[Project]:
        """Return all projects, the oldest first."""
        with self.database.read() as connection:
            return [_project(row) for row in connection.execute(_PROJECTS.order_by(schema.projects.c.id))]

    def project(self, name: str) -> Project:
        """Return one project. Raises :class:`AnnotationError` if there is none of this name."""
        with self.database.read() as connection:
            return project_in(connection, name)

    def add_items(self, project: str, items: Sequence[WorkItem]) -> Added:
        """Add items, all or none. One that is there already, equal in all, is passed over and counted.

        Raises :class:`DataError` with all faults: items that the project's work cannot be done with, two with one id,
        and an id that the store has with other content.
        """
        with self.database.write() as connection:
            row = _project_row(connection, project, lock=True)
            return self.put_items(connection, row.id, _project(row), items)

    def put_items(self, connection: Connection, key: int, project: Project, items: Sequence[WorkItem]) -> Added:
        """Do what :meth:`add_items` does inside a transaction, for a project by its key."""
        faults = [fault for item in items for fault in item_faults(item, project.work, f"item {item.id}")]
        there = _contents(connection, key, [item.id for item in items])
        fresh: dict[str, str] = {}
        for item in items:
            written = item.to_json()
            if item.id in fresh or (item.id in there and not _same(there[item.id], written)):
                where = "in these rows" if item.id in fresh else "in the project, with other content"
                remedy = "give the row an id of its own; what people were shown is never changed"
                faults.append(Problem(f"the id is there already, {where}", f"item {item.id}", remedy=remedy))
            elif item.id not in there:
                fresh[item.id] = written
        if faults:
            more = f" ({len(faults)} in all, the first {MAX_FAULTS})" if len(faults) > MAX_FAULTS else ""
            raise DataError(f"items for {project.name}{more}", faults[:MAX_FAULTS])
        if fresh:
            rows = [{"project_id": key, "name": name, "content": content} for name, content in fresh.items()]
            connection.execute(insert(schema.items), [{**row, "wanted": project.overlap} for row in rows])
        return Added(new=len(fresh), there=len(items) - len(fresh))

    def items(self, project: str) -> list[WorkItem]:
        """Return the items of a project in the order in which they came."""
        with self.database.read() as connection:
            return items_in(connection, project)

    def invite(self, project: str, name: str, *, role: Role = "annotator") -> tuple[Annotator, str]:
        """Ask somebody, or give somebody who is asked a new token; return them and the token.

        The store keeps the token's hash alone, so this is the only time that it can be read. The old one ends.
        """
        if faults := _name_faults(name, "name"):
            raise DataError("annotator", faults)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        people = schema.annotators
        with self.database.write() as connection:
            key = _project_row(connection, project, lock=True).id
            mine = (people.c.project_id == key) & (people.c.name == name)
            found = connection.execute(select(people).where(mine)).one_or_none()
            if found is not None and found.role != role:
                remedy = "ask them under another name; judgments of both kinds are kept apart"
                raise AnnotationError(f"{name} is {found.role} here", where=project, received=role, remedy=remedy)
            if found is None:
                number = (
                    connection.scalar(select(func.max(people.c.number)).where(people.c.project_id == key)) or 0
                ) + 1
                made = {"project_id": key, "name": name, "number": number, "role": role, "token_hash": hashed(token)}
                connection.execute(insert(people).values(made))
            else:
                connection.execute(update(people).where(mine).values(token_hash=hashed(token)))
                number = found.number
        return Annotator(name=name, pseudonym=pseudonym(number), role=role), token

    def dismiss(self, project: str, name: str) -> None:
        """End somebody's token. What they said is kept; what they work on goes to others when its time is up."""
        people = schema.annotators
        with self.database.write() as connection:
            key = _project_row(connection, project, lock=True).id
            mine = (people.c.project_id == key) & (people.c.name == name)
            if connection.execute(update(people).where(mine).values(token_hash=None)).rowcount == 0:
                raise AnnotationError("nobody of this name is asked here", where=project, received=name)

    def annotators(self, project: str) -> list[Annotator]:
        """Return who is or was asked, in the order in which they came."""
        people = schema.annotators
        with self.database.read() as connection:
            key = _project_row(connection, project).id
            rows = connection.execute(select(people).where(people.c.project_id == key).order_by(people.c.number))
            return [annotator_of(row) for row in rows]

    def who(self, token: str) -> tuple[str, Annotator]:
        """Return whose token it is, and in which project. Raises :class:`UnknownToken`."""
        with self.database.read() as connection:
            row = annotator_row(connection, token)
            project = connection.scalar(select(schema.projects.c.name).where(schema.projects.c.id == row.project_id))
            return str(project), annotator_of(row)

    def judgments(self, project: str, *, history: bool = False, item: str | None = None) -> list[Judgment]:
        """Return what was said, by item and then by annotator; with ``history`` also what others took the place of.

        ``item``: of this one alone.
        """
        with self.database.read() as connection:
            return judgments_in(connection, project, history=history, item=item)

    def _add_guidelines(self, connection: Connection, project: int, revision: int, text: str) -> None:
        made = {"project_id": project, "revision": revision, "text": text, "created_at": self.clock()}
        connection.execute(insert(schema.guidelines).values(made))


def project_in(connection: Connection, name: str) -> Project:
    """Do what :meth:`Store.project` does inside a transaction."""
    return _project(_project_row(connection, name))


def project_by(connection: Connection, key: int) -> Project:
    """Return the project of this key inside a transaction."""
    return _project(connection.execute(_PROJECTS.where(schema.projects.c.id == key)).one())


def items_in(connection: Connection, project: str) -> list[WorkItem]:
    """Do what :meth:`Store.items` does inside a transaction."""
    key = _project_row(connection, project).id
    query = select(schema.items.c.content).where(schema.items.c.project_id == key).order_by(schema.items.c.id)
    return [WorkItem.from_json(content) for content in connection.scalars(query)]


def judgments_in(
    connection: Connection, project: str, *, history: bool = False, item: str | None = None
) -> list[Judgment]:
    """Do what :meth:`Store.judgments` does inside a transaction."""
    said, people, items = schema.judgments, schema.annotators, schema.items
    query = (
        select(said, people.c.number.label("who"), people.c.role, items.c.name)
        .join(people, said.c.annotator_id == people.c.id)
        .join(items, said.c.item_id == items.c.id)
        .where(items.c.project_id == _project_row(connection, project).id)
        .order_by(said.c.item_id, people.c.number, said.c.number)
    )
    if item is not None:
        query = query.where(items.c.name == item)
    found: dict[tuple[int, ...], Judgment] = {}
    for row in connection.execute(query):
        number = (row.number,) if history else ()
        found[row.item_id, row.annotator_id, *number] = judgment_of(row)
    return list(found.values())


def hashed(token: str) -> str:
    """Return what the store keeps of a token: SHA-256 is enough, for tokens are 256 random bits, not passwords."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def pseudonym(number: int) -> str:
    """Return the name under which somebody's work leaves the store."""
    return f"annotator-{number}"


def annotator_row(connection: Connection, token: str, *, lock: bool = False) -> Row[Any]:
    """Return the row of a token's owner; locked, so that two windows of one person take turns."""
    query = select(schema.annotators).where(schema.annotators.c.token_hash == hashed(token))
    found = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise UnknownToken()
    return found


def annotator_of(row: Row[Any]) -> Annotator:
    """Return a row as a record."""
    return Annotator(name=row.name, pseudonym=pseudonym(row.number), role=row.role, active=row.token_hash is not None)


def judgment_of(row: Row[Any]) -> Judgment:
    """Return a row of judgments, joined with its annotator and item, as a record."""
    return Judgment(
        item=row.name,
        annotator=pseudonym(row.who),
        role=row.role,
        number=row.number,
        response=RESPONSE.validate_json(row.response),
        seconds=row.seconds,
        guidelines_revision=row.guidelines_revision,
        created_at=row.created_at,
    )


_LAST = (
    select(schema.guidelines.c.project_id, func.max(schema.guidelines.c.revision).label("revision"))
    .group_by(schema.guidelines.c.project_id)
    .subquery()
)
_PROJECTS = (
    select(schema.projects, schema.guidelines.c.revision, schema.guidelines.c.text)
    .join(_LAST, _LAST.c.project_id == schema.projects.c.id)
    .join(
        schema.guidelines,
        (schema.guidelines.c.project_id == _LAST.c.project_id) & (schema.guidelines.c.revision == _LAST.c.revision),
    )
)


def _project_row(connection: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    if lock:
        connection.execute(select(schema.projects.c.id).where(schema.projects.c.name == name).with_for_update())
    found = connection.execute(_PROJECTS.where(schema.projects.c.name == name)).one_or_none()
    if found is None:
        names = ", ".join(connection.scalars(select(schema.projects.c.name).order_by(schema.projects.c.id).limit(20)))
        raise AnnotationError(
            "there is no project of this name", received=name, remedy=f"use {names}" if names else "make one first"
        )
    return found


def _project(row: Row[Any]) -> Project:
    return Project(
        name=row.name,
        work=WORK.validate_json(row.work),
        overlap=row.overlap,
        lease_s=row.lease_s,
        guidelines=row.text,
        guidelines_revision=row.revision,
        metadata=json.loads(row.metadata),
    )


def _contents(connection: Connection, project: int, names: Sequence[str]) -> dict[str, str]:
    """The content of those items that are there already."""
    found: dict[str, str] = {}
    for start in range(0, len(names), AT_ONCE):
        query = select(schema.items.c.name, schema.items.c.content).where(
            schema.items.c.project_id == project, schema.items.c.name.in_(names[start : start + AT_ONCE])
        )
        found |= {row.name: row.content for row in connection.execute(query)}
    return found


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same JSON; the order of keys says nothing."""
    return one == other or json.dumps(json.loads(one), sort_keys=True) == json.dumps(json.loads(other), sort_keys=True)


def _name_faults(name: str, key: str) -> list[Problem]:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        what = f"expected a name of 1 to {MAX_NAME} characters that can be read"
        return [Problem(what, key, repr(name[:MAX_NAME]))]
    return []


def _text_faults(text: str, key: str) -> list[Problem]:
    return [Problem("a text cannot hold the character NUL", key, remedy="remove it")] if "\x00" in text else []
