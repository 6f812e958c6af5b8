"""A user's file as a task."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tutelage.errors import DataError, Problem
from tutelage.recipe.rows import RowsSection
from tutelage.records import LEVELS, Answer, Demonstration, Item, Level, Split, Verdict, unscored
from tutelage.seeds import derive_seed
from tutelage.tasks.rows.audit import audit_answer
from tutelage.tasks.rows.capability import MIN_CELL, describe, is_checked
from tutelage.tasks.rows.reading import read_items


class RowsTask:
    """Rows of a JSONL, JSON or CSV file as a task; items come to an end.

    Parameters
    ----------
    section: the file, its columns, checks and shares.
    folder: what relative paths are relative to.

    Raises
    ------
    DataError: with every fault of the file at once, by file, line and column.
    StorageError: the file cannot be read.
    """

    def __init__(self, section: RowsSection, folder: Path | None = None) -> None:
        self.section = section
        self._reading = read_items(section, folder)
        self._items = self._reading.items
        self.levels_estimated = False
        self.is_judged = False

    @property
    def name(self) -> str:
        """The name in recipes, items and reports."""
        return self.section.name

    @property
    def dimension(self) -> str:
        """The row of the matrix."""
        return self.section.dimension

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that the rows have, easiest first."""
        there = {item.level for item in self._items}
        return tuple(level for level in LEVELS if level in there)

    @property
    def states_levels(self) -> bool:
        """Whether the file states levels; if not, every row is basic until :meth:`with_levels`."""
        return self._reading.states_levels

    @property
    def needs_levels(self) -> bool:
        """Whether levels must be estimated before anything else: none is stated, and there are rows for two."""
        return self._wants_levels and self._leveled >= 2 * MIN_CELL

    @property
    def _wants_levels(self) -> bool:
        return not self.states_levels and self.section.level_samples > 0

    @property
    def _leveled(self) -> int:
        """How many rows with a check decide on the size of a level: those of test; all, where test has none."""
        checked = [item for item in self._items if is_checked(item)]
        return sum(item.split == "test" for item in checked) or len(checked)

    @property
    def all_items(self) -> tuple[Item, ...]:
        """Every item of every split, in the order of the file."""
        return self._items

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different items of a split at a level, drawn by ``seed``; fewer where there are no more.

        Those of train all have a check, or a judge (:meth:`judged`): they are there to be answered, and an answer to a
        row with neither can never be kept. Its reference is learned from all the same (:meth:`demonstrations`).
        """
        there = [item for item in self._items if item.split == split and item.level == level]
        if split == "train":
            there = [item for item in there if self.can_keep(item)]
        return sorted(there, key=lambda item: (derive_seed(seed, "rows", item.id), item.id))[:n]

    def can_keep(self, item: Item) -> bool:
        """Whether anything can say that an answer to a train row is good enough to be learned."""
        return self.is_judged or is_checked(item)

    def judged(self) -> Self:
        """Return the same task with a judge for the train rows that have no check; its own verdicts stay what they
        are."""
        other = copy.copy(self)
        other.is_judged = True
        return other

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return one verdict an answer, by the check that its row names."""
        return [self._verdict(item, answer) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return whether the answers are whole, whatever they say."""
        return [audit_answer(item, answer) for item, answer in zip(items, answers, strict=True)]

    def with_levels(self, levels: Mapping[str, Level]) -> Self:
        """Return the same task with estimated levels by item id (``estimate_levels``), marked in ``Item.spec``.

        Raises :class:`DataError` where an item has none.
        """
        if missing := [item for item in self._items if item.id not in levels]:
            raise DataError(
                f"levels of {self.name}",
                [Problem("no level was estimated for the row", item.id) for item in missing[:20]],
            )
        other = copy.copy(self)
        other._items = tuple(
            item.model_copy(update={"level": levels[item.id], "spec": {**item.spec, "level_estimated": True}})
            for item in self._items
        )
        other.levels_estimated = True
        return other

    def demonstrations(self, split: Split = "train") -> list[Demonstration]:
        """Return the experts' answers of a split that pass the check of their row, or whose row has none."""
        return [
            Demonstration(item=item, answer=item.reference, author=self.section.author)
            for item in self._items
            if item.split == split and item.reference and self._is_sound(item)
        ]

    def capability(self) -> tuple[str, ...]:
        """Return in words what a run on these rows can and cannot prove."""
        failing = sum(bool(item.reference) and not self._is_sound(item) for item in self._items)
        alone = self._wants_levels and 0 < self._leveled < 2 * MIN_CELL
        return describe(
            self._items,
            estimated=self.levels_estimated,
            too_few=self._leveled if alone else None,
            repeats=self._reading.repeats,
            failing=failing,
        )

    def _verdict(self, item: Item, answer: Answer) -> Verdict:
        if answer.finish == "error":
            return unscored("The answer never came.")
        check = self._reading.checks.get(str(item.spec.get("check")))
        if check is None:
            return unscored(f"The task has no check {item.spec.get('check')}.")
        return check.judge(item, answer.text)

    def _is_sound(self, item: Item) -> bool:
        if not is_checked(item):
            return True
        return self._verdict(item, Answer(request_id=item.id, text=item.reference or "")).passed
