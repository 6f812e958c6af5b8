"""The checks that a row can name. Their reasons are what a teacher would say.

| name | passes when |
|---|---|
| ``exact`` | the answer is the reference (of several, one of them), case, white space and a final stop aside |
| ``contains`` | the reference (of several, each) stands in the answer as whole words |
| ``regex`` | the reference, a regular expression, is found in the answer |
| ``choice`` | of the choices, the answer names the reference and no other |
| ``numeric`` | the last number of the answer is the reference, within the tolerance |
| ``json_schema`` | the answer is JSON, and it fits the reference, a JSON schema |
| ``none`` | never: the row stays unscored |
"""

import json
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from tutelage.records import Item, Verdict, unscored

NUMBER = re.compile(r"(?<!\w)[-−]?(?:(?:\d{1,3}(?:[,\u202f\u00a0']\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RowCheck:
    """One check: how it judges, whether it needs a reference, what is wrong with a reference ("" if nothing is)."""

    judge: Callable[[Item, str], Verdict]
    needs_reference: bool = True
    fault: Callable[[JsonValue], str] = lambda reference: ""


def exact(item: Item, text: str) -> Verdict:
    """The answer is the reference, or one of several."""
    wanted = _texts(item)
    passed = any(_plain(text) == _plain(one) for one in wanted)
    return _verdict(passed, f"The answer should be {_listed(wanted, 'or')} and nothing else.")


def contains(item: Item, text: str) -> Verdict:
    """Every reference stands in the answer as whole words."""
    missing = [one for one in _texts(item) if not _stands_in(one, text)]
    return _verdict(not missing, f"The answer should mention {_listed(missing, 'and')}.")


def regex(item: Item, text: str) -> Verdict:
    """The reference is found in the answer (``re.search``)."""
    pattern = _texts(item)[0]
    return _verdict(re.search(pattern, text) is not None, f"The answer should match the pattern {pattern}.")


def choice(item: Item, text: str) -> Verdict:
    """The answer names the right choice and no other."""
    (right, *_), choices = _texts(item), item.spec.get("choices")
    options = [str(option) for option in choices] if isinstance(choices, list) else [right]
    named = sorted(_named(options, text))
    asked = f"the right choice is {right}."
    if not named:
        return _verdict(False, f"The answer names none of the choices; {asked}")
    return _verdict(named == [_plain(right)], f"The answer names {_listed(named, 'and')}; {asked}")


def numeric(item: Item, text: str) -> Verdict:
    """The last number of the answer is the reference."""
    wanted, found = number_in(_texts(item)[0]), number_in(text)
    if wanted is None:
        return unscored("The reference is not a number.")
    if found is None:
        return _verdict(False, f"There is no number in the answer; it should be {wanted:g}.")
    tolerance = item.spec.get("tolerance")
    allowed = float(tolerance) if isinstance(tolerance, int | float) else 0.0
    passed = math.isclose(found, wanted, rel_tol=1e-9, abs_tol=allowed)
    return _verdict(passed, f"The answer gives {found:.10g}; it should be {wanted:.10g}.")


def json_schema(item: Item, text: str) -> Verdict:
    """The answer, a fence around it aside, is JSON that fits the schema."""
    fenced = FENCED.fullmatch(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return _verdict(False, "The answer should be JSON and nothing else.")
    try:
        # An empty registry: a schema must not make the checker fetch anything.
        Draft202012Validator(_schema(item.spec.get("reference")), registry=Registry()).validate(value)
    except ValidationError as error:
        at = "".join(f"[{part!r}]" for part in error.absolute_path)
        return _verdict(
            False, f"The JSON does not have the form asked for{f' at {at}' if at else ''}: {error.message}."
        )
    except Unresolvable as error:
        return unscored(f"The schema refers to something outside itself: {error}.")
    return _verdict(True, "")


def none(item: Item, text: str) -> Verdict:
    """Nothing is known about right answers to this row."""
    return unscored("The row has no check.")


def number_in(text: str) -> float | None:
    """Return the last number in a text, or None. 1,234.5 and 1e6 are understood; a decimal comma is not."""
    found = NUMBER.findall(text)
    if not found:
        return None
    return float(re.sub("[,\u202f\u00a0']", "", found[-1]).replace("−", "-"))


def _number_fault(reference: JsonValue) -> str:
    if isinstance(reference, int | float) and not isinstance(reference, bool):
        return ""
    text = str(reference).strip()
    return "" if NUMBER.fullmatch(text) else "expected a number"


def _regex_fault(reference: JsonValue) -> str:
    try:
        re.compile(str(reference))
    except re.error as error:
        return f"expected a regular expression: {error}"
    return "" if isinstance(reference, str) else "expected a regular expression"


def _schema_fault(reference: JsonValue) -> str:
    try:
        schema = _schema(reference)
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"expected a JSON schema: {error.message}"
    except ValueError as error:
        return f"expected a JSON schema: {error}"
    if any(not target.startswith("#") for target in re.findall(r'"\$ref":\s*"([^"]*)"', json.dumps(schema))):
        return "expected a JSON schema that refers only to parts of itself"
    return ""


CHECKS: dict[str, RowCheck] = {
    "exact": RowCheck(exact),
    "contains": RowCheck(contains),
    "regex": RowCheck(regex, fault=_regex_fault),
    "choice": RowCheck(choice),
    "numeric": RowCheck(numeric, fault=_number_fault),
    "json_schema": RowCheck(json_schema, fault=_schema_fault),
    "none": RowCheck(none, needs_reference=False),
}
"""Every check by its name."""

ANSWERS = frozenset({"exact", "contains", "choice", "numeric", "none"})
"""The checks whose reference is itself an answer that can be learned from."""


def _verdict(passed: bool, critique: str) -> Verdict:
    return Verdict(score=1.0 if passed else 0.0, reason="The answer is right." if passed else critique)


def _texts(item: Item) -> list[str]:
    reference = item.spec.get("reference")
    return [str(one) for one in reference] if isinstance(reference, list) else [str(reference)]


def _listed(texts: list[str], word: str) -> str:
    shown = [text if len(text) <= 100 else text[:99] + "…" for text in texts]
    return f"{', '.join(shown[:-1])} {word} {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _plain(text: str) -> str:
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    folded = folded.strip("\"'“”‘’«»`* ")
    return folded.rstrip(".").strip("\"'“”‘’«»`* ") or folded


def _stands_in(part: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(_plain(part))}(?!\w)", _plain(text)) is not None


def _named(options: list[str], text: str) -> set[str]:
    """The choices that a text names, plain. The longest is taken where several fit ("not stated", "stated").

    A choice of one letter counts only where it cannot be an article or an initial: alone, as in "B)", "(B)" or "B.",
    or after "answer" or "is".
    """
    if _plain(text) in {_plain(option) for option in options}:
        return {_plain(text)}
    letters = [option.strip() for option in options if len(option.strip()) == 1]
    words = sorted((_plain(option) for option in options if len(option.strip()) > 1), key=len, reverse=True)
    found: set[str] = set()
    if words:
        found |= set(re.findall(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", _plain(text)))
    for letter in letters:
        sign = re.escape(letter)
        labelled = rf"(?<!\w)\(?{sign}[).:](?!\w)|\({sign}\)|(?i:\b(?:answer|choice|option|is))\W{{1,3}}{sign}(?!\w)"
        if re.search(labelled, text):
            found.add(_plain(letter))
    return found


def _schema(reference: JsonValue) -> dict[str, JsonValue] | bool:
    schema = json.loads(reference) if isinstance(reference, str) else reference
    if not isinstance(schema, dict | bool):
        raise ValueError("a schema is an object")
    return schema
