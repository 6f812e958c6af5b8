"""A user's own rows as a task.

| file | what |
|---|---|
| ``task`` | ``RowsTask``: the entry point |
| ``reading`` | the file as items: columns, faults, groups, splits |
| ``checks`` | the checks that a row can name |
| ``own`` | checks of a user's own |
| ``audit`` | the second, independent check |
| ``levels`` | levels estimated from pass rates |
| ``capability`` | what a run can and cannot prove, in words |
"""

from tutelage.recipe.rows import ColumnsSection, RowsSection, SharesSection
from tutelage.tasks.rows.levels import estimate_levels
from tutelage.tasks.rows.task import RowsTask

__all__ = ["ColumnsSection", "RowsSection", "RowsTask", "SharesSection", "estimate_levels"]
