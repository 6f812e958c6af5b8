"""Sources of rows beside the items of tasks, one kind a file."""

from typing import Annotated

from pydantic import Field

from tutelage.recipe.sources.constitution import ConstitutionSource
from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.recipe.sources.instructions import InstructionsSource
from tutelage.recipe.sources.reflection import ReflectionSource

Source = Annotated[
    DocumentsSource | InstructionsSource | ConstitutionSource | ReflectionSource, Field(discriminator="kind")
]

__all__ = ["ConstitutionSource", "DocumentsSource", "InstructionsSource", "ReflectionSource", "Source"]
