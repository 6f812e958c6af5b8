"""Steps that keep one of rows that say the same."""

from typing import Literal

from pydantic import Field

from tutelage.recipe.base import Section
from tutelage.recipe.curate.embedding import START, Embedding


class ExactDuplicatesStep(Section):
    """Keep one of rows with the same prompt and answer (Unicode form, case and white space aside)."""

    kind: Literal["exact_duplicates"]


class NearDuplicatesStep(Section):
    """Keep one of rows that are nearly the same: MinHash-LSH over word n-grams, confirmed by exact similarity."""

    kind: Literal["near_duplicates"]

    jaccard: float = Field(default=0.8, gt=0, le=1)
    """Similarity from which on two rows are duplicates, of the whole rows and of their answers alone."""

    ngram: int = Field(default=5, ge=1)
    """Words in an n-gram."""

    permutations: int = Field(default=128, ge=16)
    """Permutations of a MinHash."""


class SemanticDuplicatesStep(Section):
    """Keep one of rows that say nearly the same in whatever words: by the cosine of their embeddings."""

    kind: Literal["semantic_duplicates"]

    cosine: float = Field(default=0.95, gt=0, le=1)
    """Likeness from which on two rows are duplicates. What a value means depends on the embedding: look at
    ``dropped.jsonl`` before you trust one."""

    embedding: Embedding = START
    """What rows are compared by."""
