"""How long answers and training rows are in the mean, before any is there."""

from collections.abc import Sequence

from tutelage.pipeline.items import Tasks
from tutelage.records import Item
from tutelage.tasks.protocol import Task
from tutelage.tasks.rows import RowsTask

ANSWER_TOKENS = 60
"""Mean tokens of an answer to a task of this package; never more than ``max_tokens``. Where a user's own references are
longer, so are the answers to such questions (200 rows of 176 tokens: the start wrote 119 of at most 192)."""
ROW_TOKENS = 130
"""Mean tokens of a training row with its question, of the tasks of this package."""
CHARACTERS_A_TOKEN = 4
"""Of English text."""
FRAME_TOKENS = 25
"""Tokens that the chat template adds to a row: system message, role marks, end tokens."""


def answer_tokens(tasks: Tasks, most: int) -> float:
    """Return the mean tokens of an answer of at most ``most``, over tasks: as long as the references, where known."""
    means = []
    for task in tasks.values():
        references = [_tokens(item.reference) for item in _rows_of(task) if item.reference]
        means.append(max(min(ANSWER_TOKENS, most), _mean([min(most, tokens) for tokens in references])))
    return _mean(means)


def row_tokens(tasks: Tasks) -> float:
    """Return the mean tokens of a training row with its question, over tasks: a user's own rows are known."""
    means = []
    for task in tasks.values():
        own = [
            FRAME_TOKENS + _tokens(item.reference) + sum(_tokens(message.text) for message in item.messages)
            for item in _rows_of(task)
            if item.reference
        ]
        means.append(_mean(own) if own else ROW_TOKENS)
    return _mean(means)


def _rows_of(task: Task) -> Sequence[Item]:
    return task.all_items if isinstance(task, RowsTask) else ()


def _tokens(text: str | None) -> float:
    return len(text or "") / CHARACTERS_A_TOKEN


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
