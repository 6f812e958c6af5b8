"""Instruction following: requests with verifiable constraints, in 22 families, at four levels.

| file | what |
|---|---|
| ``task`` | ``Constraints``, the task itself |
| ``items`` | draws items: levels, stacking, layouts |
| ``bases/`` | templates and topics, one file a split |
| ``constraint`` | what a constraint is; how pools are shared out over the splits |
| ``families/`` | the families and their index ``FAMILIES`` |
| ``checking`` | the strict check |
| ``mending`` | what a program can put right in a draft |
| ``audit`` | the independent second check |
"""

from tutelage.tasks.constraints.families import FAMILIES
from tutelage.tasks.constraints.task import Constraints

__all__ = ["FAMILIES", "Constraints"]
