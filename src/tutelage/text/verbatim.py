"""Whether words stand in a text as they are quoted: exact but for white space and typography."""

import unicodedata
from dataclasses import dataclass

_SAME = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
    }
)
_NOTHING = {"\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"}
_AROUND = " \"'"


@dataclass(frozen=True, slots=True)
class Plain:
    """A text in one typography; ``places[i]`` is where in the original the character ``i`` comes from."""

    text: str
    places: tuple[int, ...]


def plain(text: str) -> Plain:
    """Return ``text`` with one kind of quotation marks, dashes and spaces, ligatures dissolved (NFKC).

    A run of white space is one space, what is never seen (soft hyphens, zero-width characters) is left out. Letters
    keep their case.
    """
    written: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character in _NOTHING:
            continue
        for one in unicodedata.normalize("NFKC", character.translate(_SAME)).translate(_SAME):
            if one.isspace():
                if written and written[-1] != " ":
                    written.append(" ")
                    places.append(place)
            else:
                written.append(one)
                places.append(place)
    return Plain("".join(written), tuple(places))


def find_verbatim(quote: str, text: Plain) -> tuple[int, int] | None:
    """Return the first span of the original of ``text`` that says ``quote``, whole words of it; None if none does.

    Quotation marks around the quote do not count.
    """
    wanted = bare(quote)
    at = text.text.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if not (_joins(text.text, at) or _joins(text.text, end)):
            return text.places[at], text.places[end - 1] + 1
        at = text.text.find(wanted, at + 1)
    return None


def bare(quote: str) -> str:
    """Return a quote as :func:`plain` writes it, without quotation marks around it."""
    return plain(quote).text.strip(_AROUND)


def _joins(text: str, at: int) -> bool:
    """Whether a word goes on over the place ``at``; in scripts without spaces none does."""
    if not 0 < at < len(text):
        return False
    return all(one.isalnum() and not _is_unspaced(one) for one in text[at - 1 : at + 1])


def _is_unspaced(character: str) -> bool:
    """Whether it is of a script that writes words without spaces between them (Chinese, Japanese, Thai, Khmer, Lao)."""
    return "\u0e00" <= character <= "\u0eff" or "\u1780" <= character <= "\u17ff" or "\u3040" <= character <= "\u9fff"
