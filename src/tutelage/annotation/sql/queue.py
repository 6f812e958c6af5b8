"""One person's work: the next item, drafts, judgments, skips.

Every write names the ``revision`` that it starts from and is refused if the store has a later one, so that of two
windows the slower never overwrites the quicker. What is sent twice, as after a connection that broke, is stored once
and answered as the first time.

Locks are always taken in one order: the annotator, their assignment, the item. Two calls of one person take turns;
calls of different people only meet at an item, where PostgreSQL skips what another holds (``SKIP LOCKED``).
"""

import json
import math
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, Row, Select, insert, literal_column, select, update

from tutelage.annotation.faults import AnnotationError, NotGiven, StaleRevision, UnknownItem
from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import MAX_CHARACTERS, RESPONSE, Response, check_response
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.store import WORK, Store, annotator_row
from tutelage.annotation.views import Assignment, Receipt
from tutelage.errors import DataError, Problem

MAX_NOTE = 1000
DAY_S = 86_400


given, items, said, people, projects = (
    schema.assignments,
    schema.items,
    schema.judgments,
    schema.annotators,
    schema.projects,
)


def next_item(store: Store, token: str) -> Assignment | None:
    """Return the item that the token's owner works on, else a new one; None: there is nothing left for them.

    A new one is the first that still wants people and that they have not had, or had until their time was up. Its time
    begins anew with every call and every draft. Raises :class:`UnknownToken`.
    """
    _expire(store)
    for skip_locked in (True, False):  # what others hold may come free: only who has waited knows that nothing is left
        with store.database.write() as connection:
            me = annotator_row(connection, token, lock=True)
            lease = connection.scalar(select(projects.c.lease_s).where(projects.c.id == me.project_id)) or 0
            mine = connection.execute(
                _mine(me.id).where(given.c.state == "open").limit(1).with_for_update(of=given)
            ).one_or_none()
            if mine is not None:
                _set(connection, mine.id, expires_at=store.clock() + lease)
                return assignment(connection, me, mine.item_id)
            if me.role != "annotator":
                return None
            free = connection.scalar(free_items(me).limit(1).with_for_update(skip_locked=skip_locked))
            if free is not None:
                take(connection, annotator=me.id, item=free, until=store.clock() + lease)
                connection.execute(update(items).where(items.c.id == free).values(wanted=items.c.wanted - 1))
                return assignment(connection, me, free)
    return None


def open_item(store: Store, token: str, item: str) -> Assignment:
    """Return an item that its owner had before, to look at or to change what they said.

    Raises :class:`NotGiven` for one that they never had, :class:`UnknownItem` for one that is not in their project.
    """
    with store.database.read() as connection:
        me = annotator_row(connection, token)
        return assignment(connection, me, _row(connection, me, item).item_id)


def save_draft(store: Store, token: str, item: str, draft: JsonValue, *, revision: int) -> Receipt:
    """Keep what is not finished, any JSON, and give its writer more time.

    Raises :class:`StaleRevision`; :class:`AnnotationError`, :class:`DataError`.
    """
    written = _written(draft)
    with store.database.write() as connection:
        me = annotator_row(connection, token, lock=True)
        row = _row(connection, me, item, lock=True)
        if revision == row.revision - 1 and row.draft == written:
            return Receipt(item=item, revision=row.revision, repeated=True)
        _check_revision(item, revision, row.revision)
        lease = connection.scalar(select(projects.c.lease_s).where(projects.c.id == me.project_id)) or 0
        until = store.clock() + lease if row.state == "open" else row.expires_at
        _set(connection, row.id, draft=written, revision=revision + 1, expires_at=until)
        return Receipt(item=item, revision=revision + 1)


def submit(
    store: Store, token: str, item: str, response: Response, *, revision: int, seconds: float | None = None
) -> Receipt:
    """Store a judgment for good. A later one of the same person takes its place, and both are kept.

    ``seconds``: the time that the person worked on it, if it is known. A judgment that comes after the time was up is
    taken: a person's work is worth more than an exact overlap. To say again what one said last changes nothing.
    Raises :class:`DataError` for a response that does not fit, :class:`StaleRevision`, :class:`AnnotationError`.
    """
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= DAY_S):
        raise DataError(f"item {item}", [Problem("expected seconds of work, a day at most", "seconds", str(seconds))])
    with store.database.write() as connection:
        me = annotator_row(connection, token, lock=True)
        row = _row(connection, me, item, lock=True)
        check_response(WORK.validate_json(row.work), WorkItem.from_json(row.content), response)
        last = _last_said(connection, me.id, row.item_id)
        written = response.to_json()
        untouched = row.state == "submitted" and row.draft is None and revision == row.revision
        if last is not None and last.response == written and (last.base == revision or untouched):
            return Receipt(item=item, revision=row.revision, number=last.number, repeated=True)
        _check_revision(item, revision, row.revision)
        number = 1 if last is None else last.number + 1
        made = {
            "item_id": row.item_id,
            "annotator_id": me.id,
            "number": number,
            "base": revision,
            "response": written,
            "seconds": seconds,
            "guidelines_revision": _guidelines(connection, me.project_id).revision,
            "created_at": store.clock(),
        }
        connection.execute(insert(said).values(made))
        _set(connection, row.id, state="submitted", revision=revision + 1, draft=None)
        if row.state in ("expired", "skipped") and me.role == "annotator":
            connection.execute(update(items).where(items.c.id == row.item_id).values(wanted=items.c.wanted - 1))
        return Receipt(item=item, revision=revision + 1, number=number)


def skip(store: Store, token: str, item: str, *, revision: int, note: str = "") -> Receipt:
    """Give an item back, with a reason; somebody else is asked. What was submitted cannot be skipped any more."""
    if "\x00" in note or len(note) > MAX_NOTE:
        remedy = f"at most {MAX_NOTE:,} characters, none of them NUL"
        raise DataError(f"item {item}", [Problem("the reason cannot be kept", "note", remedy=remedy)])
    with store.database.write() as connection:
        me = annotator_row(connection, token, lock=True)
        row = _row(connection, me, item, lock=True)
        if row.state == "skipped" and revision == row.revision - 1 and row.note == note:
            return Receipt(item=item, revision=row.revision, repeated=True)
        _check_revision(item, revision, row.revision)
        if row.state == "submitted":
            raise AnnotationError("it was submitted already", where=f"item {item}", remedy="submit it anew instead")
        _set(connection, row.id, state="skipped", revision=revision + 1, draft=None, note=note)
        if row.state == "open" and me.role == "annotator":
            connection.execute(update(items).where(items.c.id == row.item_id).values(wanted=items.c.wanted + 1))
        return Receipt(item=item, revision=revision + 1)


def take(connection: Connection, *, annotator: int, item: int, until: float) -> None:
    """Put an item into somebody's hands, also one that they had before."""
    mine = (given.c.annotator_id == annotator) & (given.c.item_id == item)
    if connection.execute(update(given).where(mine).values(state="open", expires_at=until)).rowcount == 0:
        made = {"item_id": item, "annotator_id": annotator, "state": "open", "revision": 0, "note": ""}
        connection.execute(insert(given).values(**made, expires_at=until))


def assignment(connection: Connection, me: Row[Any], item: int) -> Assignment:
    """Return an item in somebody's hands as a record."""
    row = connection.execute(_mine(me.id).where(given.c.item_id == item)).one()
    last, rules = _last_said(connection, me.id, item), _guidelines(connection, me.project_id)
    return Assignment(
        project=row.project,
        work=WORK.validate_json(row.work),
        guidelines=rules.text,
        guidelines_revision=rules.revision,
        item=WorkItem.from_json(row.content),
        revision=row.revision,
        role=me.role,
        draft=None if row.draft is None else json.loads(row.draft),
        response=None if last is None else RESPONSE.validate_json(last.response),
        expires_at=row.expires_at,
        expired=row.state == "expired",
    )


def _expire(store: Store) -> None:
    """Give back what people were silent about for too long. Items in order of their keys, so that two never block."""
    # A parameter in the place of the state would hide the index of open assignments from SQLite.
    late = (given.c.state == literal_column("'open'")) & (given.c.expires_at < store.clock())
    with store.database.read() as connection:
        if connection.scalar(select(given.c.id).where(late).limit(1)) is None:
            return
    with store.database.write() as connection:
        query = select(given.c.id, given.c.item_id, people.c.role).join(people, given.c.annotator_id == people.c.id)
        rows = connection.execute(query.where(late).with_for_update(of=given, skip_locked=True)).all()
        for row in sorted(rows, key=lambda row: row.item_id):
            _set(connection, row.id, state="expired")
            if row.role == "annotator":
                connection.execute(update(items).where(items.c.id == row.item_id).values(wanted=items.c.wanted + 1))


def free_items(me: Row[Any]) -> Select[Any]:
    """The items that want people and that this one may still have, in their order."""
    had = (
        select(given.c.id)
        .where(given.c.item_id == items.c.id, given.c.annotator_id == me.id, given.c.state != "expired")
        .exists()
    )
    wants = literal_column("items.wanted") > literal_column("0")  # a parameter would hide the index from SQLite
    return select(items.c.id).where(items.c.project_id == me.project_id, wants, ~had).order_by(items.c.id)


def _mine(annotator: int) -> Select[Any]:
    return (
        select(given, items.c.content, projects.c.work, projects.c.name.label("project"))
        .join(items, given.c.item_id == items.c.id)
        .join(projects, items.c.project_id == projects.c.id)
        .where(given.c.annotator_id == annotator)
        .order_by(given.c.item_id)
    )


def _row(connection: Connection, me: Row[Any], item: str, *, lock: bool = False) -> Row[Any]:
    if "\x00" in item:  # which PostgreSQL takes in no text
        raise UnknownItem(item.replace("\x00", "\\x00"))
    query = _mine(me.id).where(items.c.name == item)
    found = connection.execute(query.with_for_update(of=given) if lock else query).one_or_none()
    if found is None:
        there = select(items.c.id).where(items.c.project_id == me.project_id, items.c.name == item)
        raise UnknownItem(item) if connection.scalar(there) is None else NotGiven(item)
    return found


def _check_revision(item: str, received: int, current: int) -> None:
    if received != current:
        raise StaleRevision(item, received=received, current=current)


def _set(connection: Connection, key: int, **values: object) -> None:
    connection.execute(update(given).where(given.c.id == key).values(**values))


def _last_said(connection: Connection, annotator: int, item: int) -> Row[Any] | None:
    query = select(said).where(said.c.item_id == item, said.c.annotator_id == annotator)
    return connection.execute(query.order_by(said.c.number.desc()).limit(1)).one_or_none()


def _guidelines(connection: Connection, project: int) -> Row[Any]:
    rules = schema.guidelines
    query = select(rules).where(rules.c.project_id == project).order_by(rules.c.revision.desc()).limit(1)
    return connection.execute(query).one()


def _written(draft: JsonValue) -> str:
    try:
        written = json.dumps(draft, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError("draft", [Problem(f"expected JSON: {error}", "draft")]) from error
    if len(written) > MAX_CHARACTERS:
        raise DataError("draft", [Problem(f"it is longer than {MAX_CHARACTERS:,} characters", remedy="shorten it")])
    return written
