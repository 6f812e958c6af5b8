"""Templates, and text that is safe to show: everything in it is escaped, and what no page can hold is replaced."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from tutelage.records import Message
from tutelage.records.messages import TextPart
from tutelage.studio.wording import DOING, VOICES, letter

_UNSHOWABLE = re.compile("[\x00\ud800-\udfff]")
STYLE, SCRIPT, DOOR_SCRIPT, ICON = "page.css", "page.js", "enter.js", "icon.svg"


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page made of a template."""
    return HTMLResponse(environment().get_template(template).render(**values), status_code=status)


@cache
def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=PackageLoader("tutelage.studio"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"seen": seen, "letter": letter, "elsewhere": elsewhere}
    made.globals |= {"DOING": DOING, "VOICES": VOICES, "static": static}
    return made


def seen(text: str) -> str:
    """Return a text with a mark in the place of each character that no page can hold; as long as it was."""
    return _UNSHOWABLE.sub("�", text)


def elsewhere(message: Message) -> list[str]:
    """Return, in words, what a message has besides its text: media by reference, calls of tools, reasoning."""
    found = [f"{part.kind}: {part.uri}" for part in message.content if not isinstance(part, TextPart)]
    found += [f"calls {call.name}({_arguments(call.arguments)})" for call in message.tool_calls]
    return [*found, *([f"reasoning: {message.reasoning}"] if message.reasoning else [])]


@cache
def static(name: str) -> str:
    """Return the address of a script or style, which changes with its content."""
    content = (files("tutelage.studio") / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _arguments(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
