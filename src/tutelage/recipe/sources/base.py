"""What all sources of rows have in common."""

import re

from pydantic import field_validator

from tutelage.recipe.base import Section


class SourceSection(Section):
    """A source of rows beside the items of tasks. The teacher, where it asks one, is that of ``construct.distill``."""

    kind: str

    name: str | None = None
    """The folder of its files in the stage ``construct``; null: its kind. Of two sources of a kind one needs a name."""

    @property
    def folder(self) -> str:
        """The name of its folder, and its own among all sources of a recipe."""
        return self.name or self.kind

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher takes part."""
        return True

    @field_validator("name")
    @classmethod
    def _is_a_folder(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
            raise ValueError("a name has 1 to 40 lower-case letters, digits, dashes or underscores")
        return name
