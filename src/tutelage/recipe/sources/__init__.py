"""Sources of rows beside the items of tasks, one kind a file."""

from typing import Annotated

from pydantic import Field

from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.recipe.sources.instructions import InstructionsSource

Source = Annotated[DocumentsSource | InstructionsSource, Field(discriminator="kind")]

__all__ = ["DocumentsSource", "InstructionsSource", "Source"]
