"""What a model has to say of rows. Steps of curation know no model: they ask whoever reads for them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tutelage.recipe.curate.embedding import EncoderEmbedding, StartEmbedding
from tutelage.records import Example
from tutelage.records.readings import Likelihood


class RowReader(Protocol):
    """Reads rows with a model, and remembers what it has read."""

    def likelihoods(self, rows: Sequence[Example]) -> Sequence[Likelihood | str]:
        """Return how the starting model finds the last answer of each row, or why there is no such number."""
        ...

    def embed(self, texts: Sequence[str], how: StartEmbedding | EncoderEmbedding) -> NDArray[np.float32]:
        """Return the embeddings (n, d) of texts; a row of zeros where a text has no words."""
        ...
