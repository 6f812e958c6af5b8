"""The annotation store in SQL (extra ``annotation``): a SQLite file, or a PostgreSQL database.

| file | what |
|---|---|
| ``store`` | ``Store``: projects, guidelines, items, who is asked, what was said |
| ``queue`` | one person's work: the next item, drafts, judgments, skips |
| ``own`` | how far one person is, and what they had |
| ``progress`` | how far a project is |
| ``adjudication`` | items on which people disagree, for one who decides |
| ``filling`` | judgments that were made elsewhere |
| ``database`` | connections and transactions, faults in words |
| ``schema``, ``migrations`` | the tables, and the steps that make them |
"""

from importlib.util import find_spec

from tutelage.errors import MissingExtra

if find_spec("sqlalchemy") is None:
    raise MissingExtra("the annotation store", "annotation")
