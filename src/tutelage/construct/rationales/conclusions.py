"""Whether reasons come to another conclusion than the answer that stands beside them, as far as a program can tell.

It reads what follows "the answer is" (English, German, French, Spanish), or where the answer is short, a last sentence
that begins with "so" or its like. A contradiction in other words is not seen.
"""

import re

from tutelage.text.words import normalize, sentences

SHORT_WORDS = 3
"""An answer of so few words can be compared with a conclusion as a whole."""

_CONCLUDES = re.compile(
    r"\b(?:answer|result|total|solution)\s+(?:is|must be|should be|will be|equals)\b[\s:*]*"
    r"|\bantwort\s+(?:ist|lautet)\b[\s:*]*"
    r"|\bréponse\s+est\b[\s:*]*"
    r"|\brespuesta\s+es\b[\s:*]*",
    re.IGNORECASE,
)
_SO = re.compile(
    r"\W*(?:so|therefore|thus|hence|consequently|also|daher|somit|donc|alors|así|luego|entonces)\b", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+(?:[.,’'\u202f\u00a0]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:[,’'\u202f\u00a0]\d{3})+(?:\.\d+)?")
_CHOICE = re.compile(r"\W*(?:(?:option|choice)\s+)?([A-J])\W*", re.IGNORECASE)
_YES = {"yes", "ja", "oui", "sí", "si", "true"}
_NO = {"no", "nein", "non", "false"}
_ARTICLES = {"the", "a", "an", "der", "die", "das", "le", "la", "les", "el", "los", "las"}


def contradiction(reasoning: str, answer: str) -> str:
    """Return what ``reasoning`` concludes where that is not ``answer``; empty where it is, or nothing can be told."""
    stated = _stated(reasoning)
    if stated and _differs(stated, answer):
        return stated
    if stated or len(normalize(answer).split()) > SHORT_WORDS or not _numbers(answer):
        return ""
    last = sentences(reasoning)[-1:]
    if last and _SO.match(last[0]) and _apart(_numbers(last[0]), _numbers(answer)):
        return last[0]
    return ""


def _stated(reasoning: str) -> str:
    """What is said after the last "the answer is", up to the end of its sentence."""
    found = list(_CONCLUDES.finditer(reasoning))
    said = sentences(reasoning[found[-1].end() :])[:1] if found else []
    return said[0] if said else ""


def _differs(stated: str, answer: str) -> bool:
    sides = _side(stated), _side(answer)
    if all(sides):
        return sides[0] != sides[1]
    letters = _CHOICE.fullmatch(stated), _CHOICE.fullmatch(answer)
    if letters[0] and letters[1]:
        return letters[0][1].lower() != letters[1][1].lower()
    if _numbers(stated) and _numbers(answer):
        return _apart(_numbers(stated), _numbers(answer))
    left, right = _bare(stated), _bare(answer)
    if not left or not right or max(len(left), len(right)) > SHORT_WORDS:
        return False
    return not set(left) & set(right)


def _side(text: str) -> str:
    """Yes or no, where that is what the text begins with."""
    first = next(iter(normalize(text).split()), "")
    return "yes" if first in _YES else "no" if first in _NO else ""


def _bare(text: str) -> list[str]:
    return [word for word in normalize(text).split() if word not in _ARTICLES]


def _apart(one: set[float], other: set[float]) -> bool:
    return bool(one and other and one.isdisjoint(other))


def _numbers(text: str) -> set[float]:
    """Numbers by value: 1,000 is 1000, and 1.50 is 1.5."""
    found = set()
    for written in _NUMBER.findall(text):
        plain = re.sub(r"[,’'\u202f\u00a0]", "", written) if _GROUPED.fullmatch(written) else written.replace(",", ".")
        if plain.count(".") < 2 and re.fullmatch(r"\d+(?:\.\d+)?", plain):
            found.add(float(plain))
    return found
