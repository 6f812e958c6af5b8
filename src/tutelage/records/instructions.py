"""Requests that a teacher writes to order: what was ordered, and what a reader who did not know took them for."""

from tutelage.records.base import Level, Record

HARMFUL, HARMLESS, STATED = "harmful", "harmless", "stated"
"""Facets of orders: of safety what should be declined and what only looks so, of faithfulness what its text holds."""


class Order(Record):
    """One conversation that is ordered: the cell that lacks it, and by whom, about what and in which language (ISO
    639-1) it is to be. ``seeds`` are the ids of the demonstrations that are shown as examples of style."""

    id: str
    dimension: str
    level: Level
    facet: str = ""
    language: str = "en"
    topic: str = ""
    persona: str = ""
    seeds: tuple[str, ...] = ()

    @property
    def cell(self) -> tuple[str, Level]:
        """The cell of the matrix that it is ordered for."""
        return self.dimension, self.level


class Assessment(Record):
    """What ``by`` took a request for without knowing what was ordered; ``harmful``: to do it would help to do harm."""

    by: str
    dimension: str
    level: Level
    harmful: bool = False
    reason: str = ""
