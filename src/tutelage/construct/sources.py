"""The rows of a round that come from other sources than the items of tasks."""

from collections.abc import Sequence
from pathlib import Path

from tutelage.construct.documents.source import document_rows
from tutelage.construct.sampling import Asker, Sampler
from tutelage.recipe.sources import Source
from tutelage.records import Example


def source_rows(sources: Sequence[Source], sampler: Sampler, *, teacher: Asker, seed: int, base: Path) -> list[Example]:
    """Return the rows of a round from all ``sources``, in their order; each writes into a folder of its name.

    ``teacher`` is asked without demonstrations. ``seed`` is the run's, ``base`` what paths are relative to. Raises what
    the sources raise.
    """
    rows: list[Example] = []
    for source in sources:
        rows += document_rows(source, sampler, teacher=teacher, seed=seed, base=base)
    return rows
