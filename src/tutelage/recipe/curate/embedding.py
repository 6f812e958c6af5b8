"""What texts are compared by: numbers for each, near one another where the texts are alike."""

from typing import Annotated, Literal

from pydantic import Field

from tutelage.recipe.base import Section

Side = Literal["row", "prompt", "answer"]


class StartEmbedding(Section):
    """By the starting model: its last hidden states, averaged over the words of the text."""

    kind: Literal["start"]

    text: Side = "row"
    """What of a row is compared: all of it, what stands before the answer, or the answer."""

    max_tokens: int = Field(default=512, ge=8)
    """Of a longer text, so many tokens are read."""


class EncoderEmbedding(Section):
    """By a sentence encoder in a folder, as sentence-transformers or transformers saves one."""

    kind: Literal["encoder"]

    path: str
    """The folder, relative to the recipe: weights (safetensors), tokenizer, and how tokens are pooled (the mean where
    the folder does not say)."""

    prefix: str = ""
    """What the encoder wants before every text, such as "query: "."""

    text: Side = "row"
    """What of a row is compared: all of it, what stands before the answer, or the answer."""

    max_tokens: int = Field(default=512, ge=8)
    """Of a longer text, so many tokens are read; fewer where the encoder was made for fewer."""


class TfidfEmbedding(Section):
    """By the words that texts share, rare ones above common ones; no model is needed."""

    kind: Literal["tfidf"]

    text: Side = "row"
    """What of a row is compared: all of it, what stands before the answer, or the answer."""


Embedding = Annotated[StartEmbedding | EncoderEmbedding | TfidfEmbedding, Field(discriminator="kind")]
START = StartEmbedding(kind="start")
