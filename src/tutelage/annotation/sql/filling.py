"""A whole project out of the store and into it: judgments that were made elsewhere, or in another store."""

import re
from collections.abc import Sequence

from sqlalchemy import insert, select, update

from tutelage.annotation.bundle import Bundle, check_bundle
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.store import Store, items_in, judgments_in, project_in

given, items, said, people, projects = (
    schema.assignments,
    schema.items,
    schema.judgments,
    schema.annotators,
    schema.projects,
)


def bundle_of(store: Store, project: str) -> Bundle:
    """Return a project with its items and all judgments, as they are at one moment."""
    with store.database.read() as connection:
        return Bundle(
            project=project_in(connection, project),
            items=tuple(items_in(connection, project)),
            judgments=tuple(judgments_in(connection, project, history=True)),
        )


def fill(store: Store, bundle: Bundle) -> None:
    """Make a new project of a bundle, whole or not at all.

    People get pseudonyms in the order in which they come, and no tokens: the names that they have in the bundle
    are theirs in the store, and :meth:`Store.invite` by that name lets them go on. Pseudonyms of a store are kept.
    Raises as :meth:`Store.new_project` and :meth:`Store.add_items` do.
    """
    check_bundle(bundle, f"project {bundle.project.name}")
    with store.database.write() as connection:
        key = store.make_project(connection, bundle.project)
        store.put_items(connection, key, bundle.project, bundle.items)
        rows_there = connection.execute(select(items.c.id, items.c.name).where(items.c.project_id == key))
        item_keys = {row.name: row.id for row in rows_there}
        who: dict[str, int] = {}
        for (name, role), number in zip(bundle.roles().items(), _numbers([*bundle.roles()]), strict=True):
            made = insert(people).values(project_id=key, name=name, number=number, role=role)
            who[name] = connection.execute(made.returning(people.c.id)).scalar_one()
        last: dict[tuple[int, int], int] = {}
        rows = []
        for one in bundle.judgments:
            pair = item_keys[one.item], who[one.annotator]
            last[pair] = max(last.get(pair, 0), one.number)
            rows.append(
                {
                    "item_id": pair[0],
                    "annotator_id": pair[1],
                    "number": one.number,
                    "base": one.number - 1,
                    "response": one.response.to_json(),
                    "seconds": one.seconds,
                    "guidelines_revision": one.guidelines_revision,
                    "created_at": one.created_at,
                }
            )
        if rows:
            connection.execute(insert(said), rows)
            states = [
                {"item_id": item, "annotator_id": person, "state": "submitted", "revision": number, "note": ""}
                for (item, person), number in last.items()
            ]
            connection.execute(insert(given), [{**state, "expires_at": 0.0} for state in states])
        asked = {who[name] for name, role in bundle.roles().items() if role == "annotator"}
        for item, person in last:
            if person in asked:
                connection.execute(update(items).where(items.c.id == item).values(wanted=items.c.wanted - 1))


def _numbers(names: Sequence[str]) -> list[int]:
    """Everybody's number: that of their pseudonym, where all have one."""
    own = [int(name.removeprefix("annotator-")) for name in names if re.fullmatch(r"annotator-[1-9]\d{0,8}", name)]
    return own if len(own) == len(names) else list(range(1, len(names) + 1))
