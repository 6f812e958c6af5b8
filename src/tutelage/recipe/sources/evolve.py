"""Evol-Instruct as a source of rows: what is evolved, how, how often."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from tutelage.recipe.sources.self_improvement import SelfImprovementSource

Operation = Literal["add_constraints", "deepen", "concretize", "increase_reasoning", "complicate_input", "breadth"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""Five in depth and one in breadth."""


class EvolveSource(SelfImprovementSource):
    """Harder and other tasks after Evol-Instruct (Xu et al. 2023, WizardLM): instructions of experts are rewritten in
    depth or answered by a new one in breadth, over generations; what gained nothing or got no proper answer is
    eliminated, and the instruction before it is tried again in the next generation."""

    kind: Literal["evolve"]

    instructions: int = Field(default=16, ge=1)
    """Seeds that are evolved a round, drawn anew each round; all of them where there are fewer."""

    generations: int = Field(default=4, ge=1)
    """How often each of them is evolved; every generation that is not eliminated gives a row."""

    operations: tuple[Operation, ...] = OPERATIONS
    """What may be done, each equally likely: add constraints, deepen, concretize, increase the steps of reasoning,
    complicate the input, and in breadth something new of the same domain."""

    dimension: str = Field(default="utility", min_length=1)
    """The dimension of rows whose seed is of a file. Those of experts' demonstrations keep theirs."""

    samples: int = Field(default=1, ge=1)
    """Answers to each instruction, of which the best is kept."""

    temperature: float = Field(default=0.8, gt=0)
    """Sampling temperature of instructions; answers have ``construct.temperature``."""

    @field_validator("operations")
    @classmethod
    def _does_something(cls, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        if not operations or len(set(operations)) < len(operations):
            raise ValueError(f"name one or more of {', '.join(OPERATIONS)}, each once")
        return operations
