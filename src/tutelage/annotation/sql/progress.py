"""How far a project is."""

from collections import Counter

from sqlalchemy import case, func, select

from tutelage.annotation.sql import schema
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Progress, Status

given, items, said, people = schema.assignments, schema.items, schema.judgments, schema.annotators


def status(store: Store, project: str) -> Status:
    """Return how far a project is. Time that is up counts as expired, whether or not it was noticed."""
    with store.database.read() as connection:
        key = connection.scalar(select(schema.projects.c.id).where(schema.projects.c.name == project))
        late = (given.c.state == "open") & (given.c.expires_at < store.clock())
        state = case((late, "expired"), else_=given.c.state)
        counted = (
            select(people.c.number, state.label("state"), given.c.note, func.count().label("n"))
            .join(people, given.c.annotator_id == people.c.id)
            .where(people.c.project_id == key)
            .group_by(people.c.number, state, given.c.note)
        )
        rows = connection.execute(counted).all()
        by_role = (
            select(people.c.role, func.count().label("n"))
            .select_from(said.join(people, said.c.annotator_id == people.c.id))
            .where(people.c.project_id == key)
            .group_by(people.c.role)
        )
        written = sum(row.n for row in connection.execute(by_role))
        done = (
            select(func.count(given.c.id).label("n"))
            .select_from(
                items.outerjoin(given, (given.c.item_id == items.c.id) & (given.c.state == "submitted")).outerjoin(
                    people, people.c.id == given.c.annotator_id
                )
            )
            .where(items.c.project_id == key, (people.c.role == "annotator") | people.c.role.is_(None))
            .group_by(items.c.id)
        )
        counts = Counter(connection.scalars(done))
        total = connection.scalar(select(func.count()).where(items.c.project_id == key)) or 0
    found, annotators = store.project(project), store.annotators(project)
    states: dict[str, Counter[str]] = {annotator.pseudonym: Counter() for annotator in annotators}
    skips: Counter[str] = Counter()
    for row in rows:
        states[f"annotator-{row.number}"][row.state] += row.n
        if row.state == "skipped":
            skips[row.note or "no reason given"] += row.n
    overlap = found.overlap
    alone = total - sum(counts.values())  # items that nobody but an adjudicator has answered
    return Status(
        project=found,
        items=total,
        finished=sum(n for count, n in counts.items() if count >= overlap),
        judgments=sum(count["submitted"] for count in states.values()),
        revised=written - sum(count["submitted"] for count in states.values()),
        wanted=sum((overlap - count) * n for count, n in counts.items() if count < overlap) + alone * overlap,
        beyond=sum((count - overlap) * n for count, n in counts.items() if count > overlap),
        annotators=tuple(
            Progress(annotator=annotator, **{name: states[annotator.pseudonym][name] for name in _STATES})
            for annotator in annotators
        ),
        skips=dict(skips),
    )


_STATES = ("submitted", "open", "skipped", "expired")
