"""Conversations: messages made of parts (text; image and audio by reference), tool calls and reasoning.

Mask policy: an assistant message's text, tool calls and reasoning are all its own words and are trained on where the
chat template renders them; system, user and tool messages never are.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator

from tutelage.records.base import Record

Role = Literal["system", "user", "assistant", "tool"]


class TextPart(Record):
    """A piece of text."""

    kind: Literal["text"]
    text: str


class ImagePart(Record):
    """An image by reference: a path relative to the data file, or a URL; ``sha256`` pins its bytes."""

    kind: Literal["image"]
    uri: str
    sha256: str = ""


class AudioPart(Record):
    """A recording by reference: a path relative to the data file, or a URL; ``sha256`` pins its bytes."""

    kind: Literal["audio"]
    uri: str
    sha256: str = ""


Part = Annotated[TextPart | ImagePart | AudioPart, Field(discriminator="kind")]


class ToolCall(Record):
    """A call that an assistant makes: the tool's name and its arguments."""

    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    id: str = ""

    def __hash__(self) -> int:
        """Arguments are a dictionary; their names are enough to tell most calls apart."""
        return hash((self.name, self.id, *sorted(self.arguments)))


class Message(Record):
    """One turn. ``content`` may be given as a plain string, which becomes one text part."""

    role: Role
    content: tuple[Part, ...] = ()
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @field_validator("content", mode="before")
    @classmethod
    def _text_becomes_a_part(cls, value: object) -> object:
        return ({"kind": "text", "text": value},) if isinstance(value, str) else value

    @classmethod
    def of(cls, role: Role, text: str) -> Self:
        """Return a message of one text part."""
        return cls(role=role, content=(TextPart(kind="text", text=text),))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Conversation = tuple[Message, ...]


def user(text: str) -> Message:
    """A user turn."""
    return Message.of("user", text)


def assistant(text: str) -> Message:
    """An assistant turn."""
    return Message.of("assistant", text)


def system(text: str) -> Message:
    """A system turn."""
    return Message.of("system", text)
