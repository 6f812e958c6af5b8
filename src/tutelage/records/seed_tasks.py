"""Tasks that self-improvement begins with, in the form in which Self-Instruct published its own, and those it adds."""

from pydantic import Field

from tutelage.records.base import Record


class Instance(Record):
    """One way to do a task: what is brought to it, "" where it needs nothing, and what comes out."""

    input: str = ""
    output: str


class SeedTask(Record):
    """An instruction that people wrote with its instances; ``is_classification`` None: nobody has said it."""

    id: str = Field(min_length=1)
    name: str = ""
    instruction: str = Field(pattern=r"\S")
    instances: tuple[Instance, ...] = ()
    is_classification: bool | None = None


class Pooled(Record):
    """An instruction that a model wrote and that was kept: in which step, and the instructions that it was shown.

    ``is_classification`` None: it could not be told.
    """

    id: str
    instruction: str
    step: int
    shown: tuple[str, ...]
    is_classification: bool | None = None
