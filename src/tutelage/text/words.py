"""Words, sentences and n-grams of a text."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+|\n+")
ABBREVIATIONS = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e|approx|Jr|Sr)\.$")


def words(text: str) -> list[str]:
    """Return the words of ``text``: runs of letters and digits, with inner hyphens and apostrophes."""
    return WORD.findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text``; a line break ends one, an initial or a common abbreviation does not."""
    found: list[str] = []
    joined = ""
    for piece in SENTENCE_END.split(text):
        joined = f"{joined} {piece}".strip() if joined else piece.strip()
        if joined and not ABBREVIATIONS.search(joined):
            found.append(joined)
            joined = ""
    if joined:
        found.append(joined)
    return [sentence for sentence in found if WORD.search(sentence)]


def normalize(text: str) -> str:
    """Return the NFKC form in lower case with every run of other characters than letters and digits as one space."""
    return " ".join(word.lower() for word in re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text)))


def ngrams(tokens: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Yield the ``n``-grams of ``tokens`` in order."""
    return zip(*(tokens[start:] for start in range(n)), strict=False)
