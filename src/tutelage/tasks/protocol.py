"""The contract of a task: what can be asked and how an answer is checked, in one object."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from tutelage.records import Answer, Conversation, Item, Level, Split, Verdict


@runtime_checkable
class Task(Protocol):
    """One task makes training data, rewards, scores and critiques.

    * ``items(split, level, n, seed)`` returns ``n`` different items; equal arguments give equal items, and the first
      ``m < n`` of them are the items of ``items(split, level, m, seed)``. Splits are pairwise disjoint in template,
      topic, entity, passage and behavior. A task that generates has items without end; one made of rows returns fewer
      than ``n`` when it has no more.
    * ``check(items, answers)`` gives one verdict an answer, in order. Its ``reason`` is the critique.
    * ``audit(items, answers)`` is a second, independent check with other criteria and other code. Construct and tune
      never see it; a score on the gate or test split counts an answer only if check and audit agree.
    """

    @property
    def name(self) -> str:
        """The name in recipes, items and reports."""
        ...

    @property
    def dimension(self) -> str:
        """The row of the matrix: instruction_following, faithfulness, safety, utility, ..."""
        ...

    @property
    def levels(self) -> tuple[Level, ...]:
        """The difficulty levels that the task can ask at, easiest first."""
        ...

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        """Return ``n`` different items of a split at a level."""
        ...

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return one verdict an answer, in order."""
        ...

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        """Return the verdicts of a second, independent check, in order."""
        ...


@runtime_checkable
class Decomposable(Protocol):
    """A task whose items ask for several things at once, of which each part of a verdict judges one."""

    def decompose(self, item: Item, parts: Sequence[str]) -> Item | None:
        """Return the item that asks only for the named ``parts`` of ``item``; None if that is no item of the task."""
        ...


@runtime_checkable
class Mendable(Protocol):
    """A task whose form, unlike its content, a program can put right."""

    def mend(self, item: Item, text: str) -> str | None:
        """Return ``text`` edited to meet the demands of ``item``; None if too little of it can be used."""
        ...

    def plain(self, item: Item) -> Conversation | None:
        """Return what to ask for a draft: ``item`` without the demands that ``mend`` sees to; None if there is none."""
        ...


@runtime_checkable
class Rewordable(Protocol):
    """A task that can ask for one thing in several ways."""

    def reword(self, item: Item, n: int, seed: int) -> list[Item]:
        """Return at most ``n`` other train items to which a right answer to ``item`` is right too."""
        ...
