"""Expert annotation: demonstrations become training rows, and the teacher's prompt."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tutelage.recipe.construct import ExpertSection
from tutelage.records import (
    LEVELS,
    Answer,
    Conversation,
    Cost,
    Demonstration,
    Example,
    Item,
    Level,
    Lineage,
    assistant,
    content_id,
)
from tutelage.seeds import stream
from tutelage.tasks.protocol import Rewordable, Task
from tutelage.tasks.verdicts import checked


def expert_rows(
    demonstrations: Sequence[Demonstration], section: ExpertSection, *, tasks: Mapping[str, Task], seed: int
) -> list[Example]:
    """Return the examples of the demonstrations, at most ``section.per_cell`` a task and level, drawn with ``seed``.

    Each is one row, and ``section.wordings - 1`` more where its task can ask in other words and its check agrees that
    the answer is right there too.
    """
    cells: dict[tuple[str, Level], list[Demonstration]] = defaultdict(list)
    for demonstration in demonstrations:
        cells[demonstration.item.task, demonstration.item.level].append(demonstration)
    chosen: list[Demonstration] = []
    for (task, level), members in sorted(cells.items()):
        order = sorted(members, key=lambda d: d.item.id)
        stream(seed, "expert", task, level).shuffle(order)
        chosen += order[: section.per_cell]
    rows: dict[str, Example] = {}
    for demonstration in chosen:
        for row in (_example(demonstration), *_reworded(demonstration, tasks, section.wordings - 1, seed)):
            rows.setdefault(row.id, row)
    return list(rows.values())


def _reworded(demonstration: Demonstration, tasks: Mapping[str, Task], number: int, seed: int) -> Iterator[Example]:
    """Yield rows of the same answer to other wordings of its request; the expert's time is spent only once."""
    task = tasks.get(demonstration.item.task)
    if number == 0 or not isinstance(task, Rewordable):
        return
    items = task.reword(demonstration.item, number, seed)
    answers = [Answer(request_id=item.id, text=demonstration.answer, finish="stop") for item in items]
    for item, verdict in zip(items, checked(task, items, answers), strict=True):
        if verdict.passed:
            minutes = None if demonstration.minutes is None else 0.0
            other = demonstration.model_copy(update={"item": item, "minutes": minutes})
            yield _example(other, source="rewording", parents=(item.id, demonstration.item.id))


def _example(demonstration: Demonstration, *, source: str = "demonstrations", parents: tuple[str, ...] = ()) -> Example:
    item = demonstration.item
    return Example(
        id=content_id("expert", item.id, demonstration.answer),
        messages=(*item.messages, assistant(demonstration.answer)),
        lineage=Lineage(
            paradigm="expert",
            source=source,
            author=demonstration.author,
            parents=parents or (item.id,),
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
    return _turns(_various(demonstrations, task=task, level=level, shots=shots, seed=seed))


def _various(
    demonstrations: Sequence[Demonstration], *, task: str, level: Level | None, shots: int, seed: int
) -> list[Demonstration]:
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
    return chosen


def nearest_context(demonstrations: Sequence[Demonstration], item: Item, *, shots: int, seed: int) -> Conversation:
    """Return ``shots`` demonstrations that suit an item, as turns to put before it.

    If those of :func:`expert_context` for the whole task show every kind of the item, or none shares one, it is these,
    whose turns an engine can read once for many items. Else the most alike: examples near the question teach more in
    context than fixed ones (Liu et al. 2022). First comes the demonstration with most kinds of the item that none shows
    yet, then the one with the higher Jaccard index of the kinds, then the nearer level. Facets alternate and stand in
    random order, so that the choice does not give the answer away; with one facet the most alike stands last.
    """
    wanted = set(item.kinds)
    own = [d for d in demonstrations if d.item.task == item.task]
    fixed = _various(own, task=item.task, level=None, shots=shots, seed=seed)
    if wanted <= _kinds(fixed) or not wanted & _kinds(own):
        return _turns(fixed)
    random = stream(seed, "nearest", item.id)
    by_facet: dict[str, list[Demonstration]] = defaultdict(list)
    for demonstration in sorted(own, key=lambda d: d.item.id):
        by_facet[demonstration.item.facet].append(demonstration)
    queues = []
    for _, members in sorted(by_facet.items()):
        random.shuffle(members)
        queues.append(_by_nearness(members, item, shots))
    random.shuffle(queues)
    chosen = [queue[place] for place in range(shots) for queue in queues if place < len(queue)][:shots]
    if len(queues) > 1:
        random.shuffle(chosen)
    return _turns(chosen[::-1])


def _by_nearness(members: Sequence[Demonstration], item: Item, most: int) -> list[Demonstration]:
    left, chosen = list(members), list[Demonstration]()
    wanted, shown = set(item.kinds), set[str]()

    def nearness(demonstration: Demonstration) -> tuple[int, float, int]:
        kinds = set(demonstration.item.kinds)
        alike = len(kinds & wanted) / len(kinds | wanted)
        distance = abs(LEVELS.index(demonstration.item.level) - LEVELS.index(item.level))
        return len((kinds & wanted) - shown), alike, -distance

    while left and len(chosen) < most:
        best = max(left, key=nearness)
        left.remove(best)
        chosen.append(best)
        shown |= set(best.item.kinds)
    return chosen


def _kinds(demonstrations: Sequence[Demonstration]) -> set[str]:
    return {kind for demonstration in demonstrations for kind in demonstration.item.kinds}


def _turns(chosen: Sequence[Demonstration]) -> Conversation:
    return tuple(turn for d in chosen for turn in (*d.item.messages, assistant(d.answer)))
