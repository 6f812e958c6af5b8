"""The data section of a tuning: rows of one's own, from a file or from the hub."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section

HUB = "hub:"
"""What a data set of the hub is written with where a file could stand: ``hub:owner/name``."""


class DataSection(Section):
    """Rows of one's own that ``tutelage tune`` learns from, in any form of the field; a run of the whole loop makes its
    own. The keys of a row tell its form: ``messages``, ``conversations`` (ShareGPT), ``instruction`` and ``output``
    (Alpaca), ``prompt`` and ``completion``; beside the question ``chosen`` and ``rejected`` for objectives of pairs
    (``margin`` too, for reward), beside an answer ``label`` (true or false) for kto."""

    path: str | None = None
    """A JSONL, JSON, CSV, TSV (each also ``.gz``, ``.bz2``, ``.xz``, ``.zst``) or Parquet file, or a folder of files of
    one of these kinds, relative to the recipe; or ``hub``."""

    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """A data set of the hub, ``owner/name``: fetched once (extra ``hub``), kept as one Parquet file. Code of a data set
    is never run."""

    config: str | None = None
    """Which of the configurations of ``hub``; null: its default."""

    split: str = "train"
    """Which split of ``hub``; a part of one as the hub's library writes it: ``train[:1000]``."""

    revision: str | None = None
    """Branch, tag or commit of ``hub``; null: its newest. The commit that was read is noted beside the weights."""

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give path (a file) or hub (owner/name), one of them")
        fields = type(self).model_fields
        others = [name for name in ("config", "split", "revision") if getattr(self, name) != fields[name].default]
        if self.hub is None and others:
            raise ValueError(f"{', '.join(others)}: only data sets of the hub have this; leave it out")
        return self

    @property
    def named(self) -> str:
        """The file or data set as people write it."""
        return self.path if self.path is not None else f"{HUB}{self.hub}"
