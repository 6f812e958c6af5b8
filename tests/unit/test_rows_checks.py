from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from tutelage.errors import TutelageError
from tutelage.records import Item, Verdict, user
from tutelage.tasks.rows.checks import CHECKS, number_in
from tutelage.tasks.rows.own import as_verdict, load_check


def item(reference: JsonValue, **spec: JsonValue) -> Item:
    return Item(
        id="i", task="rows", dimension="utility", level="basic", split="train", group="g", messages=(user("Q?"),),
        spec={"reference": reference, "question": "Q?", **spec},
    )  # fmt: skip


YES_NO: dict[str, JsonValue] = {"choices": ["stated", "not stated"]}
LETTERS: dict[str, JsonValue] = {"choices": ["A", "B", "C"]}
SCHEMA: JsonValue = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("check", "reference", "spec", "text", "passed"),
    [
        ("exact", "Paris", {}, " paris. ", True),
        ("exact", "Paris", {}, '"Paris"', True),
        ("exact", "Paris", {}, "It is Paris.", False),
        ("exact", ["NYC", "New York"], {}, "new  york", True),
        ("exact", "-5", {}, "5", False),
        ("exact", "...", {}, "...", True),
        ("contains", "Paris", {}, "I think PARIS, France", True),
        ("contains", "art", {}, "a party", False),
        ("contains", ["red", "blue"], {}, "red only", False),
        ("contains", "C++", {}, "Use C++ here", True),
        ("regex", r"^\d{4}$", {}, "1984", True),
        ("regex", r"^\d{4}$", {}, "in 1984", False),
        ("choice", "stated", YES_NO, "It is stated.", True),
        ("choice", "stated", YES_NO, "It is not stated.", False),
        ("choice", "not stated", YES_NO, "Not stated", True),
        ("choice", "stated", YES_NO, "stated or not stated", False),
        ("choice", "stated", YES_NO, "No idea", False),
        ("choice", "A", LETTERS, "A", True),
        ("choice", "A", LETTERS, "a.", True),
        ("choice", "A", LETTERS, "(A) because a B is no C", True),
        ("choice", "A", LETTERS, "The answer is A", True),
        ("choice", "A", LETTERS, "A dog is a B.", False),
        ("choice", "B", LETTERS, "A cat; the answer: B", True),
        ("numeric", "1,234.5", {}, "It makes 1234.50 in all", True),
        ("numeric", "7", {}, "3 + 4 = 7", True),
        ("numeric", "-7", {}, "minus: −7", True),
        ("numeric", "7", {}, "seven", False),
        ("numeric", 0.3, {"tolerance": 0.05}, "0.34", True),
        ("numeric", 0.3, {"tolerance": 0.05}, "0.36", False),
        ("json_schema", SCHEMA, {}, '{"n": 3}', True),
        ("json_schema", SCHEMA, {}, '```json\n{"n": 3}\n```', True),
        ("json_schema", SCHEMA, {}, '{"n": "3"}', False),
        ("json_schema", SCHEMA, {}, 'Here: {"n": 3}', False),
        ("json_schema", '{"type": "array"}', {}, "[1]", True),
    ],
)
def test_checks(check: str, reference: JsonValue, spec: dict[str, JsonValue], text: str, passed: bool) -> None:
    verdict = CHECKS[check].judge(item(reference, **spec), text)
    assert verdict.score == float(passed)
    assert verdict.reason.endswith(".")


def test_reasons_say_what_was_found_and_what_was_asked() -> None:
    def reason(check: str, reference: JsonValue, text: str, **spec: JsonValue) -> str:
        return CHECKS[check].judge(item(reference, **spec), text).reason

    assert reason("exact", ["a", "b"], "c") == "The answer should be a or b and nothing else."
    assert reason("contains", ["a", "b", "c"], "b") == "The answer should mention a and c."
    assert reason("numeric", "12", "so 8") == "The answer gives 8; it should be 12."
    assert reason("choice", "stated", "stated or not stated", **YES_NO) == (
        "The answer names not stated and stated; the right choice is stated."
    )
    assert reason("json_schema", SCHEMA, '{"n": "3"}') == (
        "The JSON does not have the form asked for at ['n']: '3' is not of type 'integer'."
    )


def test_no_check_is_unscored() -> None:
    assert CHECKS["none"].judge(item(None), "anything").score is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234,567.5 and", 1234567.5), ("3-4", 4), ("-.5", -0.5), ("1e3", 1000), ("12.", 12), ("5kg", 5), ("x2", None),
        ("e5", None), ("-", None), ("12,34", 34), ("1'000", 1000), ("", None),
    ],
)  # fmt: skip
def test_number_in(text: str, number: float | None) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("check", "reference", "fault"),
    [
        ("regex", "(", "expected a regular expression: "),
        ("regex", 3, "expected a regular expression"),
        ("numeric", "about 3", "expected a number"),
        ("numeric", True, "expected a number"),
        ("json_schema", "{", "expected a JSON schema: "),
        ("json_schema", [1], "expected a JSON schema: a schema is an object"),
        ("json_schema", {"type": "objekt"}, "expected a JSON schema: 'objekt' is not valid"),
        ("json_schema", {"$ref": "https://example.org/s.json"}, "expected a JSON schema that refers only to parts"),
    ],
)
def test_faults_of_references(check: str, reference: JsonValue, fault: str) -> None:
    assert CHECKS[check].fault(reference).startswith(fault)


@pytest.mark.parametrize(("check", "reference"), [("regex", "a+"), ("numeric", " -3.5 "), ("json_schema", SCHEMA)])
def test_sound_references(check: str, reference: JsonValue) -> None:
    assert CHECKS[check].fault(reference) == ""


@pytest.mark.parametrize(
    ("result", "score", "reason"),
    [
        (True, 1.0, "The answer is right."),
        (False, 0.0, "The answer is wrong."),
        (np.True_, 1.0, "The answer is right."),
        (0.25, 0.25, "The answer is wrong."),
        ((0, "Say the dose."), 0.0, "Say the dose."),
        (Verdict(score=0.5, reason="half"), 0.5, "half"),
        (None, None, "The check p returned None; a truth value or a score in [0, 1] was expected."),
        ("yes", None, "The check p returned 'yes'; a truth value or a score in [0, 1] was expected."),
        (3, None, "The check p returned the score 3; it must lie in [0, 1]."),
        (float("nan"), None, "The check p returned the score nan; it must lie in [0, 1]."),
    ],
)
def test_what_a_check_of_ones_own_may_return(result: object, score: float | None, reason: str) -> None:
    verdict = as_verdict(result, "p")
    assert (verdict.score, verdict.reason) == (score, reason)


def test_a_check_of_ones_own_gets_prompt_answer_reference_and_row(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def told(prompt, answer_text, reference, row):\n"
        "    return 1.0, repr((prompt, answer_text, reference, row))\n"
        "def fails(prompt, answer_text, reference, row):\n"
        "    return row['none']\n"
        "def two(prompt, answer):\n"
        "    return True\n"
        "number = 3\n"
    )
    own = load_check("mine.py:told", tmp_path)
    told = own.judge(item("ref", row={"ward": 3}), "text")
    assert told.reason == "('Q?', 'text', 'ref', {'ward': 3})"
    failed = load_check("mine.py:fails", tmp_path).judge(item(None), "text")
    assert (failed.score, failed.reason) == (None, "The check mine.py:fails raised KeyError: 'none'")
    with pytest.raises(TutelageError, match=r"takes other arguments.*function\(prompt, answer_text, reference, row\)"):
        load_check("mine.py:two", tmp_path)
    with pytest.raises(TutelageError, match="a check is a function"):
        load_check("mine.py:number", tmp_path)
