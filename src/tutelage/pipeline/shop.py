"""What every stage of a run needs, in one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.expert import expert_context, nearest_context
from tutelage.evaluate.run import Contexts
from tutelage.events import Emit, Event, located
from tutelage.pipeline.engines import Engines
from tutelage.recipe import Recipe
from tutelage.records import Demonstration, Item
from tutelage.runs import RunDirectory
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task

FEW_SHOTS = 4
"""Demonstrations of the few-shot control where the teacher has none to say how many."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A run at work: its recipe, folder, tasks, expert demonstrations, engines and listeners."""

    recipe: Recipe
    run: RunDirectory
    tasks: dict[str, Task]
    demonstrations: list[Demonstration]
    engines: Engines
    emit: Emit

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return self.recipe.seed

    def listening(self, stage: str, round: int | None = None) -> Emit:
        """An emitter that says which stage and round an event is of."""
        return located(self.emit, stage=stage, round=round)

    def say_changes(self) -> None:
        """Say if this part of the run is made with other code, packages or another machine than the one before."""
        if self.run.changed:
            changed = "; ".join(self.run.changed)
            text = f"This run goes on with what it was not begun with, and keeps what is finished: {changed}."
            self.emit(Event("note", data={"text": text}))

    def weight(self, dimension: str) -> float:
        """The weight of a dimension: the largest of its tasks'."""
        weights = [
            section.weight
            for section, task in zip(self.recipe.tasks, self.tasks.values(), strict=True)
            if task.dimension == dimension
        ]
        return max(weights, default=1.0)

    def sampled(self, round: int) -> dict[str, Task]:
        """The tasks whose answers are sampled for training in a round (``sample_from``)."""
        sections = zip(self.recipe.tasks, self.tasks.items(), strict=True)
        return {name: task for section, (name, task) in sections if section.sample_from <= round}

    def longest_answers(self) -> dict[str, int]:
        """The longest answer sampled for training, in tokens, of the tasks that set it."""
        sections = zip(self.recipe.tasks, self.tasks, strict=True)
        return {name: section.answer_tokens for section, name in sections if section.answer_tokens is not None}

    def few_shot(self, items: Sequence[Item]) -> Contexts:
        """The expert prompt of each item's task and level, as the few-shot control uses it."""
        section = self.recipe.construct.distill
        shots = section.shots if section is not None and section.shots else FEW_SHOTS
        cells = sorted({(item.task, item.level) for item in items})
        found = {
            (task, level): expert_context(self.demonstrations, task=task, level=level, shots=shots, seed=self.seed)
            for task, level in cells
        }
        return {item.id: found[item.task, item.level] for item in items}

    def taught(self, items: Sequence[Item], shots: int) -> Contexts:
        """What the teacher sees before each item, as in the first round: the demonstrations nearest to it."""
        if not shots:
            return {}
        seed = derive_seed(self.seed, "construct", 1)
        return {item.id: nearest_context(self.demonstrations, item, shots=shots, seed=seed) for item in items}


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate: its weights, and the round that made it (0: the start, which has none)."""

    round: int
    weights: Path | None
