"""The desk of this source: who writes is the teacher, and who reads may be the judge."""

from dataclasses import dataclass

from tutelage.construct import desk
from tutelage.construct.speaker import lost as lost
from tutelage.recipe.sources.instructions import InstructionsSource


@dataclass(slots=True)
class Desk(desk.Desk):
    """A desk whose settings are those of instructions to order."""

    section: InstructionsSource
