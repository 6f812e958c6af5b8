"""Who may teach or judge."""

from typing import Annotated, Literal

from pydantic import Field

from tutelage.recipe.base import Section
from tutelage.recipe.endpoint import EndpointTeacher


class SelfTeacher(Section):
    """The student itself under a prompt of expert demonstrations (context distillation, Askell et al. 2021)."""

    kind: Literal["self"]


class ModelTeacher(Section):
    """Another local model."""

    kind: Literal["model"]

    id: str
    """A hub id, a folder, a GGUF file or an alias."""

    revision: str | None = None
    """The revision of a hub id."""


Teacher = Annotated[SelfTeacher | ModelTeacher | EndpointTeacher, Field(discriminator="kind")]
