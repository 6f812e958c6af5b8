"""Refuse what is harmful, help with what only looks harmful: both rates, always together.

| file | what |
|---|---|
| ``behaviors`` | what is asked for, as data, one file a split |
| ``surfaces`` | how a request becomes a sentence |
| ``everyday``, ``disguises`` | what is put around it, by level |
| ``task`` | ``Safety``: items = behavior × disguise × surface |
| ``refusal`` | ``refuses``: does a text decline and keep to it |
| ``check`` | the verdict and its reason |
| ``audit`` | the second opinion, by other means |
"""

from tutelage.tasks.safety.refusal import declines, refuses
from tutelage.tasks.safety.task import Safety

__all__ = ["Safety", "declines", "refuses"]
