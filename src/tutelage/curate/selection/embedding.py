"""Rows as vectors, as a recipe asks."""

from collections.abc import Sequence

from tutelage.curate.selection.reading import RowReader
from tutelage.curate.selection.tfidf import tfidf
from tutelage.curate.selection.vectors import Vectors
from tutelage.curate.step import answer_text, prompt_text
from tutelage.recipe.curate.embedding import Embedding, Side, TfidfEmbedding
from tutelage.records import Example


def embed(rows: Sequence[Example], how: Embedding, reader: RowReader | None) -> Vectors:
    """Return a vector for each row; ``reader`` is asked unless words alone are compared."""
    texts = [text_of(row, how.text) for row in rows]
    if isinstance(how, TfidfEmbedding):
        return Vectors(tfidf(texts))
    assert reader is not None, "build_steps refuses such a step without one"
    return Vectors(reader.embed(texts, how))


def text_of(row: Example, side: Side) -> str:
    """Return what is compared of a row: its turns before the answer, each after its role; the answer; or both."""
    match side:
        case "prompt":
            return prompt_text(row)
        case "answer":
            return answer_text(row)
        case "row":
            return f"{prompt_text(row)}\n{row.target.role}: {answer_text(row)}"
