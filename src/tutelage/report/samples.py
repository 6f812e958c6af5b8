"""Which lessons and which changed answers the page shows: chosen by the order of their ids, never by their looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from tutelage.records import Answer, Item, Lesson
from tutelage.records.scores import ItemScore
from tutelage.report.names import title
from tutelage.report.reading import RoundData, RunData

KINDS = {
    "revision": "the revision was kept",
    "mended": "an answer was kept after the task's program edited its form",
    "teacher": "the teacher's answer was kept",
    "reference": "no answer met it; the reference was kept",
    "part": "no answer met the whole; one was kept for the demands it met",
    "nothing": "nothing was kept",
    "attempt": "the first attempt was kept",
}
FLIPS_EACH = 2


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a shown lesson."""

    author: str
    text: str
    outcome: str
    reason: str
    critique: str
    critic: str


@dataclass(frozen=True, slots=True)
class ShownLesson:
    """A lesson as a conversation."""

    item: Item
    round: int
    said: tuple[Said, ...]
    ending: str


@dataclass(frozen=True, slots=True)
class Flip:
    """An item whose result changed: both answers with what the check said."""

    item: Item
    before: Answer
    before_score: ItemScore
    after: Answer
    after_score: ItemScore


@dataclass(frozen=True, slots=True)
class Flips:
    """All changes of one dimension, counted, and a few of them to read."""

    dimension: str
    pairs: int
    both_passed: int
    both_failed: int
    won: int
    lost: int
    shown_won: tuple[Flip, ...]
    shown_lost: tuple[Flip, ...]


def shown_lessons(rounds: Sequence[RoundData]) -> list[tuple[str, list[ShownLesson]]]:
    """Return for each dimension the first lesson of each ending, those that taught something first."""
    lessons = sorted(
        chain.from_iterable(found.lessons for found in rounds), key=lambda lesson: (lesson.id, lesson.round)
    )
    found: list[tuple[str, list[ShownLesson]]] = []
    for dimension in dict.fromkeys(lesson.item.dimension for lesson in lessons):
        inside = [lesson for lesson in lessons if lesson.item.dimension == dimension and lesson.turns]
        firsts = [next((lesson for lesson in inside if lesson.kept == kind), None) for kind in KINDS]
        found.append((title(dimension), [_lesson(lesson) for lesson in firsts if lesson][:3]))
    return sorted(found)


def lesson_counts(lessons: Sequence[Lesson]) -> list[tuple[str, int]]:
    """Return how many lessons ended in which way."""
    return [(words, sum(lesson.kept == kind for lesson in lessons)) for kind, words in KINDS.items()]


def flips(data: RunData) -> list[Flips]:
    """Return the changes between the start and the shown model on test, by dimension."""
    if data.before is None or data.after is None:
        return []
    old = {item.id: (answer, score) for item, answer, score in data.before.rows}
    both = [
        Flip(item, *old[item.id], answer, score)
        for item, answer, score in sorted(data.after.rows, key=lambda row: row[0].id)
        if item.id in old and score.counted is not None and old[item.id][1].counted is not None
    ]
    dimensions = sorted({flip.item.dimension for flip in both})
    return [_flips(name, [flip for flip in both if flip.item.dimension == name]) for name in dimensions]


def _flips(dimension: str, both: Sequence[Flip]) -> Flips:
    won = [f for f in both if not _passed(f.before_score) and _passed(f.after_score)]
    lost = [f for f in both if _passed(f.before_score) and not _passed(f.after_score)]
    kept = sum(_passed(f.before_score) and _passed(f.after_score) for f in both)
    return Flips(
        dimension=title(dimension),
        pairs=len(both),
        both_passed=kept,
        both_failed=len(both) - len(won) - len(lost) - kept,
        won=len(won),
        lost=len(lost),
        shown_won=tuple(won[:FLIPS_EACH]),
        shown_lost=tuple(lost[:FLIPS_EACH]),
    )


def outcome(score: ItemScore) -> str:
    """Return what an item's score is called."""
    if score.counted is None:
        return "unscored"
    return "passed" if _passed(score) else "failed"


def reason(score: ItemScore) -> str:
    """Return what was said of an answer; the audit's veto is named, as the check's own words would mislead."""
    overruled = score.score is not None and score.score >= 1 and not _passed(score)
    return f"The check passed it, the audit did not. {score.reason}" if overruled else score.reason


def _passed(score: ItemScore) -> bool:
    return score.counted is not None and score.counted >= 1


def _lesson(lesson: Lesson) -> ShownLesson:
    said = []
    for index, turn in enumerate(lesson.turns):
        is_last = index == len(lesson.turns) - 1
        author = "Attempt" if index == 0 else "Revision"
        if index > 1 or (lesson.kept == "teacher" and is_last):
            author = "Teacher"
        if lesson.kept == "mended" and is_last:
            author = "Edited"
        verdict = turn.verdict
        state = "passed" if verdict.passed else "unscored" if verdict.score is None else "failed"
        said.append(Said(author, turn.answer.text, state, verdict.reason, turn.critique, turn.critic))
    return ShownLesson(lesson.item, lesson.round, tuple(said), KINDS[lesson.kept])
