"""What the store gives out: projects, who is asked, what somebody works on, what was said."""

from typing import Literal

from pydantic import Field, JsonValue

from tutelage.annotation.items import Role, WorkItem
from tutelage.annotation.responses import Response
from tutelage.annotation.work import Work
from tutelage.records import Record


class Project(Record):
    """What is asked, of how many people each (``overlap``), and how long an item stays with one who is silent.

    ``metadata`` is kept for whoever brought the project, such as the settings of another tool.
    """

    name: str
    work: Work
    overlap: int = 1
    lease_s: int = 3600
    guidelines: str = ""
    guidelines_revision: int = 0
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Annotator(Record):
    """Somebody who is asked. ``pseudonym`` is what leaves the store."""

    name: str
    pseudonym: str
    role: Role = "annotator"
    active: bool = True


class Assignment(Record):
    """An item in somebody's hands. ``revision`` goes with every write; ``response`` is what was said last.

    ``expired``: the time was up and the item may be with somebody else; what is sent is still taken.
    """

    project: str
    work: Work
    guidelines: str
    guidelines_revision: int
    item: WorkItem
    revision: int
    role: Role = "annotator"
    draft: JsonValue = None
    response: Response | None = None
    expires_at: float = 0.0
    expired: bool = False


class Receipt(Record):
    """What a write left: the new ``revision``, and ``number``, which of one's judgments of the item it is (from 1; 0: a
    draft or a skip). ``repeated``: the same was there already, as after a broken connection, and nothing changed."""

    item: str
    revision: int
    number: int = 0
    repeated: bool = False


class Judgment(Record):
    """What one person said of one item. ``number`` counts their judgments of it; the highest holds.

    ``guidelines_revision``: of the guidelines that were in force when it was submitted, which may be later ones than
    the person saw.
    """

    item: str
    annotator: str
    number: int
    response: Response
    role: Role = "annotator"
    seconds: float | None = None
    guidelines_revision: int = 0
    created_at: float = 0.0


class Progress(Record):
    """How far one annotator is."""

    annotator: Annotator
    submitted: int
    open: int
    skipped: int
    expired: int


class Standing(Record):
    """How far one person is in their own eyes: ``left``, how many items they have or may still get."""

    project: Project
    annotator: Annotator
    submitted: int
    skipped: int
    left: int


class Had(Record):
    """An item that somebody has or had, what became of it, and what is asked in it."""

    item: str
    state: Literal["open", "submitted", "skipped", "expired"]
    question: str
    drafted: bool = False


class Status(Record):
    """How far a project is: ``judgments`` that hold, ``revised`` those that others took the place of, ``wanted``
    judgments still to come, ``beyond`` those that came late, after the item had gone to somebody else."""

    project: Project
    items: int
    finished: int
    judgments: int
    revised: int
    wanted: int
    beyond: int
    annotators: tuple[Progress, ...]
    skips: dict[str, int]
