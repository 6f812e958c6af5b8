"""Prompts as templates, one file each with its source; the hash of the text is the version."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from tutelage.records import content_id

_ENVIRONMENT = Environment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True
)


@cache
def source(name: str) -> str:
    """Return the text of the template ``name``."""
    return (files(__name__) / f"{name}.j2").read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return _ENVIRONMENT.from_string(source(name))


def render(name: str, **values: object) -> str:
    """Return the prompt ``name`` with its ``values`` filled in; a missing value is an error."""
    return _template(name).render(**values).strip()


def version(name: str, *more: str) -> str:
    """Return the hash of the template ``name`` and of what else a reply depends on."""
    return content_id(name, source(name), *more)
