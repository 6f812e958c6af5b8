"""Prompts as templates, one file each with its source."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@cache
def _template(name: str) -> Template:
    return _ENVIRONMENT.from_string((files(__name__) / f"{name}.j2").read_text(encoding="utf-8"))


def render(name: str, **values: str) -> str:
    """Return the prompt ``name`` with its ``values`` filled in; a missing value is an error."""
    return _template(name).render(**values).strip()
