"""A round's rows from STaR (Zelikman et al. 2022): reasons that led to a right answer, or that explain the known one.

The outer loop of the paper is the rounds: the student of a round writes, and tuning begins again from the starting
model, as in the paper. There the rows of an iteration are its own alone; here those of earlier rounds are among them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutelage.construct.given import Given, is_text, prompts_of_tasks
from tutelage.construct.ledgers import Book
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.construct.self_improve.placing import count_spoiled, problem_of_place
from tutelage.construct.self_improve.reasoning import (
    NEVER_CAME,
    RATIONALE,
    RATIONALIZATION,
    Attempt,
    Reasoner,
    demonstrations_of,
)
from tutelage.construct.speaker import Speaker
from tutelage.errors import DataError, InputErrors, Problem, TutelageError
from tutelage.events import say
from tutelage.recipe.sources import StarSource
from tutelage.records import Cost, Dropped, Example, Lineage, content_id
from tutelage.records.lineage import total
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked

SOURCE = "star"
ITEMS, RATIONALES, RATIONALIZATIONS = "items", "rationales", "rationalizations"


def check_source(section: StarSource, tasks: Mapping[str, Task], base: Path) -> None:
    """Raise :class:`DataError` with all at once where a task is not there, no item could be checked, right answers to
    most of a task's items could not pass with reasons before them, or the demonstrations cannot be used."""
    where, there = f"{section.folder}: tasks", ", ".join(tasks)
    what = "no task of this recipe has this name"
    problems = [Problem(what, where, name, f"there are: {there}") for name in section.tasks or () if name not in tasks]
    asked = [task for name, task in tasks.items() if section.tasks is None or name in section.tasks]
    if asked and not any(_has_checks(task) for task in asked):
        what, remedy = "no train item has a check that could say that an answer is right", "give rows a check"
        problems.append(Problem(what, where, ", ".join(task.name for task in asked), f"{remedy}, or take another task"))
    if section.place == "answer":
        found = [problem_of_place(task, f"{section.folder}: place") for task in asked if _has_checks(task)]
        problems += [problem for problem in found if problem is not None]
    try:
        demonstrations_of(section, base)
    except InputErrors as error:
        problems += error.problems
    except TutelageError as error:
        problems.append(error.problem)
    if problems:
        raise DataError("construct.sources", problems)


def _has_checks(task: Task) -> bool:
    return not isinstance(task, RowsTask) or any(item.split == "train" and is_checked(item) for item in task.all_items)


def star_rows(section: StarSource, sampler: Sampler, *, student: Asker, seed: int, base: Path) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``rationales.jsonl`` and ``rationalizations.jsonl`` are every reply, ``dropped.jsonl`` what was not right, with its
    reason (an item may stand there once for each of both), ``ledger.jsonl`` the counts. ``seed`` is the run's. What it
    took is put on ``sampler.meters``: an item is an attempt, a row one that passed.

    Raises what :func:`demonstrations_of`, :meth:`Speaker.ask` and the checks of the tasks raise.
    """
    book, folder = Book(), sampler.folder / section.folder
    given, unfit = given_items(section, sampler.tasks, round=sampler.round, seed=seed)
    spoiled = count_spoiled(given, sampler.tasks) if section.place == "answer" else ""
    book.enter(ITEMS, len(given), unfit, [spoiled] if spoiled else [])
    attempts = [Attempt(one.item) for one in given]
    speaker = Speaker(student, sampler, folder, section.retries)
    reasoner = Reasoner(section, speaker, demonstrations_of(section, base))
    reasoner.reason(attempts)
    wrong = [one for one in attempts if one.answer is None]
    book.enter(RATIONALES, len(attempts) - len(wrong), [_dropped(one, RATIONALES) for one in wrong])
    if section.rationalize:
        _rationalized(reasoner, wrong, book)
    rows = [_row(one, reasoner, student) for one in attempts if one.answer is not None]
    book.write(folder)
    _count(sampler, speaker, attempts, passed=len(rows))
    say(book.words(section.folder), sampler.emit)
    return rows


def given_items(
    section: StarSource, tasks: Mapping[str, Task], *, round: int, seed: int
) -> tuple[list[Given], list[Dropped]]:
    """Return the items of a round that a check can score, and the others. ``seed`` is the run's."""
    asked = {name: task for name, task in tasks.items() if section.tasks is None or name in section.tasks}
    there = prompts_of_tasks(asked, section.items, round=round, seed=derive_seed(seed, section.folder))
    kept: list[Given] = []
    dropped: list[Dropped] = []
    for one in there:
        reason = "" if one.checked else "no check could say that an answer is right"
        reason = reason if is_text(one.item.messages) else "the item holds more than text"
        if reason:
            dropped.append(Dropped(id=one.item.id, step=ITEMS, reason=reason, row=one.item.to_json()))
        else:
            kept.append(one)
    return kept, dropped


def _rationalized(reasoner: Reasoner, wrong: Sequence[Attempt], book: Book) -> None:
    """Ask again, with the known answer, what came wrong; of what never came nothing is known, and where an answer was
    right and cannot be learned (its reasons, or both in one text) it is not told."""
    came = [one for one in wrong if one.came and not one.settled]
    known = [one for one in came if (one.item.reference or "").strip()]
    reasoner.rationalize(known)
    unknown = [one for one in came if one not in known]
    for one in unknown:
        one.wrong = "no right answer is known that could be told"
    left = [one for one in came if one.answer is None]
    notes = [f"{len(came) - len(left):,} rows have reasons for an answer that was told"] if known else []
    book.enter(RATIONALIZATIONS, len(came) - len(left), [_dropped(one, RATIONALIZATIONS) for one in left], notes)


def _dropped(one: Attempt, step: str) -> Dropped:
    came = [reply for reply in one.replies if reply.finish != "error"]
    last = one.replies[-1] if not came or one.wrong.startswith(NEVER_CAME) else came[-1]
    return Dropped(id=last.request_id, step=step, reason=one.wrong, row=last.to_json())


def _row(one: Attempt, reasoner: Reasoner, student: Asker) -> Example:
    """The row of a right answer: the plain item, the reasons and the answer, without examples and hint. Its cost is all
    that was asked for the item."""
    assert one.answer is not None
    assert one.verdict is not None
    item, sampler = one.item, reasoner.sampler
    turn = reasoner.turn(one.reasoning, one.answer.text.strip())
    return Example(
        id=content_id(SOURCE, item.id, one.reasoning, one.answer.text),
        messages=(*item.messages, turn),
        lineage=Lineage(
            paradigm="self",
            source=SOURCE,
            author=one.answer.by or student.name,
            parents=(item.id, one.answer.request_id),
            prompt=version(RATIONALIZATION if one.hinted else RATIONALE),
            sampling=reasoner.sampling,
            seed=one.answer.seed,
            round=sampler.round,
            verdicts=(one.verdict,),
            operations=("rationalize",) if one.hinted else ("reason",),
            cost=Cost.of(one.replies),
        ),
        task=item.task,
        dimension=item.dimension,
        level=item.level,
        facet=item.facet,
        group=item.group,
    )


def _count(sampler: Sampler, speaker: Speaker, attempts: Sequence[Attempt], *, passed: int) -> None:
    came = sum(one.came for one in attempts)
    meter = sampler.meters.setdefault("self", Meter())
    meter.answers += came
    meter.passed += passed
    meter.errors += len(attempts) - came
    meter.seconds += speaker.seconds()
    meter.tokens = total([meter.tokens, speaker.tokens()])
