"""Asking the items of a split and scoring the answers. Scoring is a pure function of stored answers."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.completers.protocol import Completer
from tutelage.completers.replay import answer_all
from tutelage.events import Emit
from tutelage.records import Answer, Conversation, Item, Level, Request, Sampling, Split, Verdict
from tutelage.records.jsonl import RecordLog, write_records
from tutelage.records.scores import ItemScore
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task
from tutelage.tasks.verdicts import audited, checked, drawn, once
from tutelage.text.repetition import repeated_share
from tutelage.text.words import words

Contexts = Mapping[str, Conversation]
"""Turns before the question of an item, by the item's id."""
SHARED = 4
"""Items that must see the same turns to be asked in chunks of their own: an engine reads such turns once a chunk."""
WITH_AUDIT: tuple[Split, ...] = ("gate", "test")
"""Splits that decide and report: an answer counts there only if the audit agrees with the check."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What one model answered to a set of items, and the scores."""

    items: list[Item]
    answers: list[Answer]
    scores: list[ItemScore]


def draw_items(tasks: Mapping[str, Task], split: Split, per_cell: int, *, seed: int) -> list[Item]:
    """Return ``per_cell`` items for each cell (dimension × level) of ``tasks``; tasks of one dimension share it."""
    sharing: dict[tuple[str, Level], list[str]] = {}
    for name, task in tasks.items():
        for level in task.levels:
            sharing.setdefault((task.dimension, level), []).append(name)
    found: list[Item] = []
    for (_, level), names in sharing.items():
        for index, name in enumerate(names):
            number = per_cell // len(names) + (index < per_cell % len(names))
            found += drawn(tasks[name], split, level, number, derive_seed(seed, split, name, level))
    return once(found)


def examine(
    folder: Path,
    *,
    items: Sequence[Item],
    tasks: Mapping[str, Task],
    open_completer: Callable[[], Completer],
    max_tokens: int,
    chunk: int,
    emit: Emit,
    contexts: Contexts | None = None,
    again: bool = False,
) -> Examined:
    """Answer ``items`` greedily, resuming from ``folder``, and write items.jsonl, answers.jsonl and scores.jsonl.

    ``contexts`` puts turns before questions: those of the few-shot control, or of a teacher. ``again``: whether what an
    endpoint refused for good is asked again.
    """
    before = [(contexts or {}).get(item.id, ()) for item in items]
    requests = [
        Request(id=item.id, messages=(*turns, *item.messages), sampling=Sampling(max_tokens=max_tokens))
        for item, turns in zip(items, before, strict=True)
    ]
    log = RecordLog(folder / "answers.jsonl", Answer)
    answers = answer_all(
        open_completer,
        requests,
        log=log,
        chunk=chunk,
        together=_together(before),
        emit=emit,
        label="answers",
        again=again,
    )
    scores = score(items, answers, tasks)
    write_records(folder / "items.jsonl", items)
    write_records(folder / "scores.jsonl", scores)
    return Examined(list(items), answers, scores)


def _together(before: Sequence[Conversation]) -> list[Hashable]:
    """A key for each question: its turns where many share them, one for all the others."""
    counts = Counter(before)
    return [turns if counts[turns] >= SHARED else None for turns in before]


def score(items: Sequence[Item], answers: Sequence[Answer], tasks: Mapping[str, Task]) -> list[ItemScore]:
    """Return one score an item: the check's; on gate and test an answer counts only if the audit agrees.

    An answer that never came is unscored, whatever the task would say of an empty text.
    """
    found: dict[str, ItemScore] = {}
    for name, task in tasks.items():
        pairs = [(item, answer) for item, answer in zip(items, answers, strict=True) if item.task == name]
        own, given = [item for item, _ in pairs], [answer for _, answer in pairs]
        checks, audits = checked(task, own, given), audited(task, own, given)
        for item, answer, check, audit in zip(own, given, checks, audits, strict=True):
            found[item.id] = _item_score(item, answer, check, audit)
    return [found[item.id] for item in items]


def _item_score(item: Item, answer: Answer, check: Verdict, audit: Verdict) -> ItemScore:
    agreed = None if audit.score is None else audit.passed
    counted = check.score
    if item.split in WITH_AUDIT and counted is not None and agreed is False:
        counted = 0.0
    return ItemScore(
        item_id=item.id,
        dimension=item.dimension,
        level=item.level,
        group=item.group,
        facet=item.facet,
        transfer=item.transfer,
        score=check.score,
        audit=agreed,
        counted=counted,
        ended=answer.ended,
        words=len(words(answer.text)),
        repeated=repeated_share(answer.text),
        reason=check.reason if not check.passed else "" if agreed is not False else audit.reason,
    )
