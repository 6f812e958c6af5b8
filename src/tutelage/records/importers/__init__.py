"""People's own data in the forms of the field. The keys of a row tell its form, row by row.

| kind | form | keys of a row |
|---|---|---|
| ``examples`` | ``messages`` | ``messages``: turns of ``role`` and ``content`` (OpenAI chat; parts, tool calls) |
| | ``sharegpt`` | ``conversations``: turns of ``from`` and ``value`` |
| | ``alpaca`` | ``instruction``, optional ``input``, ``output`` |
| | ``prompt`` | ``prompt`` and ``completion`` or ``response``, as text or as messages |
| | ``example`` | an :class:`Example` as this library writes it |
| ``pairs`` | any question of the above | and ``chosen`` and ``rejected``: a text, a turn or a list of turns |
| | | ``chosen`` and ``rejected`` alone: conversations that begin alike |
| | | and ``margin`` if it is known: a number, by how much the chosen one is better |
| | ``preference`` | a :class:`Preference` as this library writes it |
| ``unpaired`` | any example of the above | and ``label``: true for an answer that is wanted, or false |
| ``prompts`` | any example of the above | its last answer is not read, and need not be there |

:func:`import_rows` takes examples, pairs and unpaired ones alike and says which they were.

Every row may also have ``system``, ``task``, ``dimension``, ``level``, ``facet`` and ``group``; other columns are not
read.
"""

from tutelage.records.importers.anything import Imported, import_rows
from tutelage.records.importers.examples import import_examples, iter_examples
from tutelage.records.importers.preferences import import_preferences, import_unpaired, kind_of
from tutelage.records.importers.prompts import import_prompts
from tutelage.records.importers.turns import RowFault

__all__ = [
    "Imported",
    "RowFault",
    "import_examples",
    "import_preferences",
    "import_prompts",
    "import_rows",
    "import_unpaired",
    "iter_examples",
    "kind_of",
]
