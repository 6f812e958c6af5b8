"""Expert annotation: demonstrations become training rows, and the teacher's prompt."""

from collections import defaultdict
from collections.abc import Sequence

from tutelage.recipe.construct import ExpertSection
from tutelage.records import (
    Conversation,
    Cost,
    Demonstration,
    Example,
    Level,
    Lineage,
    assistant,
    content_id,
)
from tutelage.seeds import stream


def expert_rows(demonstrations: Sequence[Demonstration], section: ExpertSection, *, seed: int) -> list[Example]:
    """Return one example a demonstration, at most ``section.per_cell`` a task and level, drawn with ``seed``."""
    cells: dict[tuple[str, Level], list[Demonstration]] = defaultdict(list)
    for demonstration in demonstrations:
        cells[demonstration.item.task, demonstration.item.level].append(demonstration)
    chosen: list[Demonstration] = []
    for (task, level), members in sorted(cells.items()):
        order = sorted(members, key=lambda d: d.item.id)
        stream(seed, "expert", task, level).shuffle(order)
        chosen += order[: section.per_cell]
    return [_example(demonstration) for demonstration in chosen]


def _example(demonstration: Demonstration) -> Example:
    item = demonstration.item
    return Example(
        id=content_id("expert", item.id, demonstration.answer),
        messages=(*item.messages, assistant(demonstration.answer)),
        lineage=Lineage(
            paradigm="expert",
            source="demonstrations",
            author=demonstration.author,
            parents=(item.id,),
            cost=Cost(human_minutes=demonstration.minutes),
        ),
        task=item.task,
        dimension=item.dimension,
        level=item.level,
        facet=item.facet,
        group=item.group,
    )


def expert_context(
    demonstrations: Sequence[Demonstration], *, task: str, level: Level | None, shots: int, seed: int
) -> Conversation:
    """Return ``shots`` demonstrations of ``task`` as turns to put before a question: the teacher's expert prompt.

    Facets alternate, so that a teacher of a two-sided task sees both sides; of one facet, different kinds come first.
    With a ``level`` only demonstrations of that level are taken while there are enough of them.
    """
    own = [d for d in demonstrations if d.item.task == task]
    near = [d for d in own if level is None or d.item.level == level]
    pool = near if len(near) >= shots else own
    by_facet: dict[str, list[Demonstration]] = defaultdict(list)
    for demonstration in sorted(pool, key=lambda d: d.item.id):
        by_facet[demonstration.item.facet].append(demonstration)
    random = stream(seed, "shots", task, level or "all")
    for members in by_facet.values():
        random.shuffle(members)
    chosen: list[Demonstration] = []
    seen_kinds: set[tuple[str, ...]] = set()
    facets = sorted(by_facet)
    while len(chosen) < min(shots, len(pool)):
        for facet in facets:
            members = by_facet[facet]
            if members and len(chosen) < shots:
                best = next((d for d in members if d.item.kinds not in seen_kinds), members[0])
                members.remove(best)
                seen_kinds.add(best.item.kinds)
                chosen.append(best)
    random.shuffle(chosen)
    return tuple(turn for d in chosen for turn in (*d.item.messages, assistant(d.answer)))
