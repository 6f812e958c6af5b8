"""A question that nobody has answered yet."""

from tutelage.records.base import Level, Record
from tutelage.records.messages import Conversation


class Prompt(Record):
    """A conversation that ends in what the user asked, with the labels of its row."""

    id: str
    messages: Conversation
    task: str = ""
    dimension: str = ""
    level: Level | None = None
    facet: str = ""
    group: str = ""
