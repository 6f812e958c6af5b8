"""Sources of rows beside the items of tasks, one kind a file."""

from tutelage.recipe.sources.documents import DocumentsSource

Source = DocumentsSource

__all__ = ["DocumentsSource", "Source"]
