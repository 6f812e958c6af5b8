"""Items on which people disagree, for one who decides: an adjudicator, who sees what the others said."""

from sqlalchemy import select

from tutelage.annotation.agreement import disagreements, disputed
from tutelage.annotation.bundle import Bundle
from tutelage.annotation.faults import AnnotationError
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.filling import bundle_of
from tutelage.annotation.sql.queue import assignment, next_item, take
from tutelage.annotation.sql.store import Store, annotator_row
from tutelage.annotation.views import Assignment, Judgment
from tutelage.records import Record

given, items, people = schema.assignments, schema.items, schema.annotators


class Dispute(Record):
    """An item that waits for a decision, by how much people disagree on it, and what each of them said.

    It is answered like any other, with :func:`tutelage.annotation.sql.queue.submit`.
    """

    assignment: Assignment
    disagreement: float | None
    judgments: tuple[Judgment, ...]


def disputes(store: Store, project: str, threshold: float) -> list[str]:
    """Return the items on which people disagree by more than ``threshold`` and that no adjudicator has decided."""
    return undecided(bundle_of(store, project), threshold)


def undecided(bundle: Bundle, threshold: float) -> list[str]:
    """Do what :func:`disputes` does for a project that was read already."""
    settled = {one.item for one in bundle.judgments if one.role == "adjudicator"}
    found = disputed(disagreements(bundle.project.work, bundle.items, bundle.judgments), threshold)
    return [item for item in found if item not in settled]


def next_dispute(store: Store, token: str, threshold: float) -> Dispute | None:
    """Return the dispute that the token's owner works on, else the widest that nobody works on; None: all are decided.

    Raises :class:`AnnotationError` unless the token is an adjudicator's.
    """
    project, me = store.who(token)
    if me.role != "adjudicator":
        remedy = f"invite one: tutelage annotate invite ... {project} NAME --adjudicator"
        raise AnnotationError("only an adjudicator decides", where=me.name, received=me.role, remedy=remedy)
    mine = next_item(store, token)
    if mine is None:
        for name in disputes(store, project, threshold):
            mine = _taken(store, token, name)
            if mine is not None:
                break
    if mine is None:
        return None
    return dispute_of(store, mine)


def dispute_of(store: Store, mine: Assignment) -> Dispute:
    """Return an item in an adjudicator's hands with what the others said of it."""
    said = [one for one in store.judgments(mine.project, item=mine.item.id) if one.role == "annotator"]
    apart = disagreements(mine.work, [mine.item], said)[mine.item.id]
    return Dispute(assignment=mine, disagreement=apart, judgments=tuple(said))


def _taken(store: Store, token: str, name: str) -> Assignment | None:
    """The item in the token's owner's hands; None: another adjudicator has it."""
    with store.database.write() as connection:
        me = annotator_row(connection, token, lock=True)
        here = (items.c.project_id == me.project_id) & (items.c.name == name)
        item = connection.scalar(select(items.c.id).where(here).with_for_update())
        others = (
            select(given.c.id)
            .join(people, given.c.annotator_id == people.c.id)
            .where(
                given.c.item_id == item,
                people.c.role == "adjudicator",
                (given.c.state == "submitted")
                | (given.c.annotator_id == me.id) & (given.c.state == "skipped")
                | (given.c.annotator_id != me.id) & (given.c.state == "open"),
            )
        )
        if item is None or connection.scalar(others.limit(1)) is not None:
            return None
        lease = connection.scalar(select(schema.projects.c.lease_s).where(schema.projects.c.id == me.project_id)) or 0
        take(connection, annotator=me.id, item=item, until=store.clock() + lease)
        return assignment(connection, me, item)
