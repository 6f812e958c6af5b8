"""Chat templates in place of the tokenizer's own: files of the user, and ChatML for base models that have none."""

from pathlib import Path

import jinja2
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tutelage.errors import TemplateError
from tutelage.files import read_text
from tutelage.recipe.model import ModelSection

CHATML = Path(__file__).with_name("chatml.jinja")
"""ChatML (OpenAI 2023): <|im_start|>, the role, a line break, the words, <|im_end|>, a line break."""


class _Generation(Extension):
    """The block around the assistant's words that transformers adds to Jinja."""

    tags = {"generation"}  # noqa: RUF012  # as jinja declares it

    def parse(self, parser: Parser) -> list[Node]:
        """Read the block as what stands in it."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def template_of(section: ModelSection, folder: Path) -> Path | None:
    """Return the file of the chat template of ``section``, relative to ``folder``; None: the tokenizer's own."""
    match section.template:
        case "own":
            return None
        case "chatml":
            return CHATML
        case file:
            return folder / file


def require_template(path: Path) -> None:
    """Raise an error in words where the file cannot be read, or holds what is no Jinja.

    Whether the template says enough for an exact loss mask is seen when the tokenizer is there.
    """
    text = read_text(path)
    # As transformers sets it up.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    try:
        environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            f"the chat template is not valid Jinja: {error.message}",
            where=f"{path}:{error.lineno}",
            remedy="mend the file, or leave model.template out",
        ) from error
