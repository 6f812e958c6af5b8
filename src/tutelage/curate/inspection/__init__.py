"""Figures of a file of rows, before anything is done with it. None depends on the order of the rows.

| file | what |
|---|---|
| ``inspect`` | ``inspect_rows``: all of it, as a ``tutelage.records.inspection.Inspection`` |
| ``seen`` | a row of any kind as what is looked at, and the excerpts that are shown of it |
| ``spreads`` | the quantiles and the histogram of whole numbers |
| ``shape`` | turns, roles, labels, lengths, the longest and the shortest |
| ``spoken`` | languages of prompts and answers |
| ``alike`` | exact and near duplicates in groups |
| ``steps`` | what steps of curation would drop or mask; what is in a benchmark too |
| ``topics``, ``clusters`` | prompts by the words that they share |
"""

from tutelage.curate.inspection.inspect import Wishes, inspect_rows

__all__ = ["Wishes", "inspect_rows"]
