"""JSON in what a model wrote: in a fence, between words, with the slips that models make."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from json_repair import repair_json
from pydantic import JsonValue

JsonObject = dict[str, JsonValue]

_FENCE = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)(?:\r?\n[ \t]*```|\Z)", re.DOTALL)
_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')


@dataclass(frozen=True, slots=True)
class Found:
    """An object that stands in a text; ``repaired``: not as it is written, it had slips."""

    value: JsonObject
    repaired: bool = False


def find_objects(text: str, *, whole: bool = True) -> Iterator[Found]:
    """Yield the JSON objects of ``text``, the likeliest first: all of it, in fences, between words, repaired.

    A text that was cut (``whole`` false) or that ends inside a string is not repaired: closing its brackets would make
    a complete answer of half a one. Repair (json-repair) mends quotes, commas, comments, brackets that are missing.
    """
    inside = [match[1] for match in _FENCE.finditer(text)]
    seen: list[JsonObject] = []
    embedded = sorted(_embedded(text), key=lambda value: -len(json.dumps(value)))
    for value in (*map(_parsed, (text, *inside)), *embedded):
        if value is not None and value not in seen:
            seen.append(value)
            yield Found(value)
    if not whole:
        return
    repaired = next((value for part in (*inside, text) if (value := _repaired(part)) is not None), None)
    if repaired is not None and repaired not in seen:
        yield Found(repaired, repaired=True)


def is_cut(text: str) -> bool:
    """Whether ``text`` begins an object and ends inside one of its strings."""
    begun = text.find("{")
    if begun < 0:
        return False
    rest = text[begun:].rstrip()
    return not rest.endswith(("}", "]", "```")) and len(_QUOTE.findall(rest)) % 2 == 1


def has_whole(text: str) -> bool:
    """Whether the first object that ``text`` begins is closed."""
    begun = text.find("{")
    try:
        json.JSONDecoder().raw_decode(text, begun)
    except (ValueError, RecursionError):
        return False
    return begun >= 0


def _parsed(text: str) -> JsonObject | None:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _embedded(text: str) -> Iterator[JsonObject]:
    """Objects that begin at a brace, none of them inside another."""
    decoder, at = json.JSONDecoder(parse_constant=_no_number), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        if isinstance(value, dict):
            yield value
        at = text.find("{", end)


def _repaired(text: str) -> JsonObject | None:
    begun = text.find("{")
    if begun < 0 or is_cut(text):
        return None
    ends = text.rfind("}")
    part = text[begun : ends + 1] if ends > begun else text[begun:]
    try:
        value = repair_json(part, return_objects=True, skip_json_loads=True)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value else None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
