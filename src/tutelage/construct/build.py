"""One round's data from a plan: all three paradigms, each row with its lineage, each paradigm with its cost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.distill import Contexts, distill
from tutelage.construct.expert import expert_rows, nearest_context
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.rehearsal import rehearse
from tutelage.construct.sampling import Asker, Meter, Place, Sampler
from tutelage.construct.sources import Means, source_rows
from tutelage.recipe.construct import ConstructSection
from tutelage.records import PARADIGMS, Demonstration, Example, Item, Lesson, Level, Paradigm, Preference
from tutelage.records.jsonl import write_records
from tutelage.records.tradeoff import TradeOff
from tutelage.seeds import derive_seed, stream
from tutelage.tasks.protocol import Task
from tutelage.tasks.verdicts import drawn, once
from tutelage.text.words import ngrams, normalize


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: the student, the teacher (None: nobody teaches), and the starting model, which rehearses.

    ``reader`` is the teacher as the sources ask it, without demonstrations (None: it has that name anyhow).
    ``teacher_only`` are the cells (task, level) whose prompts all go to the teacher, because the student gets nowhere.
    ``judge`` judges what no program can, if the section has one.
    """

    student: Asker
    teacher: Asker | None
    start: Asker
    reader: Asker | None = None
    teacher_only: frozenset[tuple[str, Level]] = frozenset()
    judge: Asker | None = None


@dataclass(frozen=True, slots=True)
class Constructed:
    """One round's data before curation."""

    rows: list[Example]
    preferences: list[Preference]
    lessons: list[Lesson]
    tradeoffs: list[TradeOff]


def construct(
    folder: Path,
    *,
    section: ConstructSection,
    tasks: Mapping[str, Task],
    prompts: Mapping[tuple[str, Level], int],
    demonstrations: Sequence[Demonstration],
    cast: Cast,
    place: Place,
) -> Constructed:
    """Make the data of a round in ``folder``: records, preferences, lessons, tradeoffs and cells, a .jsonl file each,
    and with a judge ``judged.jsonl``, the sets that it judged.

    ``prompts`` says how many new items each (task, level) gets. Every answer is logged before it is used, so the same
    call after a crash asks only what is missing and gives the same records.
    """
    sampler = Sampler(
        folder,
        section,
        tasks,
        seed=derive_seed(place.seed, "construct", place.round),
        round=place.round,
        chunk=place.chunk,
        emit=place.emit,
        longest=place.longest,
        bench=_bench(folder, section, cast, place),
    )
    lessons_for, teacher_for = _split(
        _new_items(tasks, prompts, sampler.seed), section, seed=sampler.seed, teacher_only=cast.teacher_only
    )
    experts = demonstrations if section.expert is not None else ()
    contexts = _contexts(section, experts, [*lessons_for, *teacher_for], sampler.seed)
    own = expert_rows(experts, section.expert, tasks=tasks, seed=place.seed) if section.expert is not None else []
    distilled: tuple[list[Example], list[Preference]] = ([], [])
    if section.distill is not None and cast.teacher is not None and teacher_for:
        rows, pairs, _ = distill(
            teacher_for, sampler, teacher=cast.teacher, contexts=contexts, samples=section.distill.samples
        )
        distilled = rows, pairs
    taught = _taught(lessons_for, sampler, cast=cast, contexts=contexts)
    others, more = _from_sources(sampler, cast=cast, place=place, prompts=prompts, demonstrations=experts)
    general = section.rehearsal
    rehearsed = rehearse(general, sampler, start=cast.start, seed=place.seed) if general is not None else []
    written = {row.messages for row in own}
    rows = [*own, *(row for row in (*distilled[0], *taught.rows) if row.messages not in written), *others, *rehearsed]
    made = Constructed(rows, [*distilled[1], *taught.pairs, *more], taught.lessons, _tradeoffs(rows, sampler.meters))
    write_records(folder / "records.jsonl", made.rows)
    write_records(folder / "preferences.jsonl", made.preferences)
    write_records(folder / "lessons.jsonl", made.lessons)
    write_records(folder / "tradeoffs.jsonl", made.tradeoffs)
    write_records(folder / "cells.jsonl", [count for _, count in sorted(sampler.cells.items())])
    if sampler.bench is not None:
        write_records(folder / "judged.jsonl", sampler.bench.sets)
    return made


def _bench(folder: Path, section: ConstructSection, cast: Cast, place: Place) -> Bench | None:
    if section.judge is None or cast.judge is None:
        return None
    judge = judge_of(section.judge, open=cast.judge.open, name=cast.judge.name, again=cast.judge.again)
    return Bench(judge, section.judge, folder, place.chunk, place.emit)


def _taught(items: Sequence[Item], sampler: Sampler, *, cast: Cast, contexts: Contexts) -> Taught:
    section = sampler.section
    lessons = section.self_improve
    if lessons is None or not items:
        return Taught([], [], [])
    return teach(
        items,
        sampler,
        student=cast.student,
        teacher=cast.teacher if lessons.teacher_fallback is not False and section.distill is not None else None,
        contexts=contexts,
        samples=lessons.samples,
        revisions=lessons.revisions,
        drafts=lessons.drafts,
        critic=cast.reader or cast.teacher if lessons.critic == "teacher" else None,
    )


def _from_sources(
    sampler: Sampler,
    *,
    cast: Cast,
    place: Place,
    prompts: Mapping[tuple[str, Level], int],
    demonstrations: Sequence[Demonstration],
) -> tuple[list[Example], list[Preference]]:
    """Rows and pairs from other sources than the items of tasks, where the recipe names some."""
    reader = cast.reader or cast.teacher
    judge = cast.judge if sampler.section.judge is not None else None
    means = Means(cast.student, reader, judge, prompts, demonstrations, seed=place.seed, base=place.folder)
    return source_rows(sampler.section.sources, sampler, means)


def _new_items(tasks: Mapping[str, Task], prompts: Mapping[tuple[str, Level], int], seed: int) -> list[Item]:
    """Fresh train items of every cell, each once."""
    found: list[Item] = []
    for (name, level), number in sorted(prompts.items()):
        if number:
            found += drawn(tasks[name], "train", level, number, derive_seed(seed, "items", name, level))
    return once(found)


def _split(
    items: Sequence[Item], section: ConstructSection, *, seed: int, teacher_only: Collection[tuple[str, Level]]
) -> tuple[list[Item], list[Item]]:
    """Divide items between lessons and the teacher, evenly within each task, level and facet."""
    if section.distill is None:
        return list(items), []
    if section.self_improve is None:
        return [], list(items)
    random = stream(seed, "split")
    lessons: list[Item] = []
    teacher: list[Item] = []
    owed: dict[tuple[str, str, str], float] = {}
    for item in items:
        key = (item.task, item.level, item.facet)
        owed.setdefault(key, random.random())
        owed[key] += 1.0 if (item.task, item.level) in teacher_only else section.distill.share
        if owed[key] >= 1:
            owed[key] -= 1
            teacher.append(item)
        else:
            lessons.append(item)
    return lessons, teacher


def _contexts(
    section: ConstructSection, demonstrations: Sequence[Demonstration], items: Sequence[Item], seed: int
) -> Contexts:
    """What the teacher sees before each item: the demonstrations nearest to it."""
    if section.distill is None:
        return {}
    shots = section.distill.shots
    return {item.id: nearest_context(demonstrations, item, shots=shots, seed=seed) for item in items}


def _tradeoffs(rows: Sequence[Example], meters: Mapping[Paradigm, Meter]) -> list[TradeOff]:
    table: list[TradeOff] = []
    for paradigm in PARADIGMS:
        own = [row for row in rows if row.lineage.paradigm == paradigm]
        meter = meters.get(paradigm)
        if not own and meter is None:
            continue
        minutes = [row.lineage.cost.human_minutes for row in own]
        known = [m for m in minutes if m is not None]
        table.append(
            TradeOff(
                paradigm=paradigm,
                attempted=len(own) if paradigm == "expert" else meter.answers if meter else 0,
                passed=len(own) if paradigm == "expert" else meter.passed if meter else 0,
                accepted=len(own),
                errors=meter.errors if meter else 0,
                unjudged=meter.unjudged if meter else 0,
                diversity=_distinct_2([row.target.text for row in own]),
                tokens=meter.tokens if meter else None,
                seconds=round(meter.seconds, 2) if meter else None,
                judging=meter.judging if meter else None,
                human_minutes=sum(known) if paradigm == "expert" and len(known) == len(minutes) else None,
            )
        )
    return table


def _distinct_2(texts: Sequence[str]) -> float | None:
    """Different word bigrams / all word bigrams (Li et al. 2016)."""
    pairs = [pair for text in texts for pair in ngrams(normalize(text).split(), 2)]
    return round(len(set(pairs)) / len(pairs), 4) if pairs else None
