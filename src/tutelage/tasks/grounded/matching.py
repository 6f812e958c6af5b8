"""Whether a text gives a value: number, date and time formats, articles, plurals and last names are seen through."""

import re

from tutelage.tasks.grounded.values import MONTHS, ValueKind
from tutelage.text.words import normalize

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: number for number, word in enumerate(_UNITS.split())}
TENS = {word: 10 * number for number, word in enumerate(_TENS.split(), start=2)}
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
MONTH = "|".join(f"{month[:3]}(?:{month[3:]}|\\.)?" for month in MONTHS)
DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({MONTH})", re.IGNORECASE)
MONTH_DAY = re.compile(rf"\b({MONTH}) (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.,]\d)", re.IGNORECASE)
CLOCK = re.compile(r"\b(\d{1,2})[:.h](\d{2})\b")
HOUR = re.compile(r"(?<![\d:.])(\d{1,2}) ?(?:a\.?m\.?|o'clock|o’clock|h\b)", re.IGNORECASE)
SPOKEN = re.compile(r"\b(half|quarter) (past|to) ([a-z]+|\d{1,2})\b", re.IGNORECASE)
DIGITS = r"\d{1,3}(?:[,'’\u00a0\u202f]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?"
SCALE = "|".join(SCALES)
WORD = "|".join(sorted([*UNITS, *TENS], key=len, reverse=True))
NUMBER = re.compile(
    rf"(?:(?:{DIGITS})|\b(?:{WORD}|an? (?={SCALE}))\b)"
    rf"(?:(?:[ -]|(?<=hundred) and |(?<=thousand) and )?\b(?:{WORD}|{SCALE})\b)*"
)
TOKEN = re.compile(rf"{DIGITS}|[a-z]+")
ARTICLES = frozenset({"a", "an", "the"})


def gives(kind: ValueKind, value: str, text: str) -> bool:
    """Return whether ``text`` gives ``value``, in any usual way of writing a value of its kind."""
    if kind in ("number", "year"):
        return bool(numbers(value) & numbers(text))
    if kind == "date":
        return bool(dates(value) & dates(text))
    if kind == "time":
        return bool(times(value) & times(text))
    if kind == "person":
        return _has_words([value.split()[-1].lower()], text)
    if kind == "weekday":
        day = value.lower()
        return bool(re.search(rf"\b{day[:3]}(?:{day[3:]}s?|\.|\b)", text.lower()))
    return _has_words([word for word in normalize(value).split() if word not in ARTICLES], text)


def numbers(text: str) -> set[float]:
    """Return the numbers of ``text``: "1,200", "1200", "twelve", "forty-two", "two hundred and five"."""
    return {_amount(match.group()) for match in NUMBER.finditer(text.lower())}


def _amount(written: str) -> float:
    """Return the value of one number in digits or English words, lower case."""
    whole = part = 0.0
    for token in TOKEN.findall(written):
        if token in SCALES:
            scaled = (part or 1) * SCALES[token]
            whole, part = (whole, scaled) if token == "hundred" else (whole + scaled, 0.0)
        elif token[0].isdigit():
            part = float(re.sub(r"[^\d.]", "", token))
        else:
            part += UNITS.get(token, 0) + TENS.get(token, 0)
    return whole + part


def dates(text: str) -> set[tuple[int, str]]:
    """Return the dates of ``text`` as (day, first three letters of the month)."""
    found = {(int(day), month[:3].lower()) for day, month in DAY_MONTH.findall(text)}
    return found | {(int(day), month[:3].lower()) for month, day in MONTH_DAY.findall(text)}


def times(text: str) -> set[tuple[int, int]]:
    """Return the times of day of ``text`` as (hour, minute)."""
    found = {(int(hour), int(minute)) for hour, minute in CLOCK.findall(text)}
    found |= {(int(hour), 0) for hour in HOUR.findall(text)}
    for part, side, word in SPOKEN.findall(text.lower()):
        hour = int(word) if word.isdigit() else UNITS.get(word, -1)
        minutes = 30 if part == "half" else 15
        found.add((hour, minutes) if side == "past" else (hour - 1, 60 - minutes))
    return found


def _has_words(wanted: list[str], text: str) -> bool:
    """Return whether the words stand in ``text`` in a row; the last one may be in the singular or plural."""
    tokens = [token for token in normalize(text).split() if token not in ARTICLES]
    size = len(wanted)
    return bool(wanted) and any(
        tokens[start : start + size - 1] == wanted[:-1] and _same_word(tokens[start + size - 1], wanted[-1])
        for start in range(len(tokens) - size + 1)
    )


def _same_word(left: str, right: str) -> bool:
    return left == right or left in (right + "s", right + "es") or right in (left + "s", left + "es")
