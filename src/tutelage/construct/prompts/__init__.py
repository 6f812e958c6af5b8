"""Prompts as templates, one file each with its source."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from tutelage.records import content_id

_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


def _text(name: str) -> str:
    return (files(__name__) / f"{name}.j2").read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return _ENVIRONMENT.from_string(_text(name))


@cache
def version(name: str) -> str:
    """Return the name of a prompt with a mark of its text, for lineage: ``document_question@1f2e3d4c5b6a7988``."""
    return f"{name}@{content_id(_text(name))}"


def render(name: str, **values: str | Sequence[Mapping[str, str]]) -> str:
    """Return the prompt ``name`` with its ``values`` filled in; a missing value is an error."""
    return _template(name).render(**values).strip()
