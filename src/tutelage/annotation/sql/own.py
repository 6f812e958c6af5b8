"""What one person sees of their own work: how far they are, and the items that they have or had."""

from sqlalchemy import func, select

from tutelage.annotation.items import WorkItem
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.queue import free_items
from tutelage.annotation.sql.store import Store, annotator_of, annotator_row, project_by
from tutelage.annotation.views import Had, Standing

given, items = schema.assignments, schema.items


def standing(store: Store, token: str) -> Standing:
    """Return how far the token's owner is; an adjudicator has no queue, so ``left`` is what is in their hands.

    Raises :class:`tutelage.annotation.faults.UnknownToken`.
    """
    with store.database.read() as connection:
        me = annotator_row(connection, token)
        counted = select(given.c.state, func.count().label("n")).where(given.c.annotator_id == me.id)
        states = {row.state: row.n for row in connection.execute(counted.group_by(given.c.state))}
        free = 0
        if me.role == "annotator":
            free = connection.scalar(select(func.count()).select_from(free_items(me).subquery())) or 0
        return Standing(
            project=project_by(connection, me.project_id),
            annotator=annotator_of(me),
            submitted=states.get("submitted", 0),
            skipped=states.get("skipped", 0),
            left=states.get("open", 0) + free,
        )


def items_had(store: Store, token: str, *, limit: int, offset: int = 0) -> tuple[Had, ...]:
    """Return the items that the token's owner has or had, those that came last first.

    Raises :class:`tutelage.annotation.faults.UnknownToken`.
    """
    with store.database.read() as connection:
        me = annotator_row(connection, token)
        query = (
            select(given.c.state, given.c.draft, items.c.name, items.c.content)
            .join(items, given.c.item_id == items.c.id)
            .where(given.c.annotator_id == me.id)
            .order_by(given.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return tuple(
            Had(
                item=row.name,
                state=row.state,
                question=WorkItem.from_json(row.content).marked("question"),
                drafted=row.draft not in (None, "null"),
            )
            for row in connection.execute(query)
        )
