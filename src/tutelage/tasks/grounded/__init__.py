"""The ``grounded`` task: answer from a passage about invented entities, or say that it does not state it.

| file | what |
|---|---|
| ``task`` | ``Grounded``: deals question types, passages and facets; the entry point |
| ``world`` | what a split is made of (``worlds/<split>.toml``): topics, facts, holders, frames, layouts, names |
| ``values`` | the kinds of values, and how one is drawn |
| ``passage`` | the people, places and things of one passage; its claims written as running text |
| ``questions`` | the question types: which facts a passage holds and what is asked |
| ``key`` | ``AnswerKey``: what the check must know, stored in ``Item.spec`` |
| ``matching`` | whether a text gives a value (number and date formats, articles, plurals, last names) |
| ``absence`` | whether a text says that the passage does not state something |
| ``check`` | the check, whose reason is the critique |
| ``audit`` | the second, independent check |
"""

from tutelage.tasks.grounded.task import Grounded

__all__ = ["Grounded"]
