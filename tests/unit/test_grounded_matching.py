"""Values in many formats, and many ways of saying that something is not stated."""

import pytest

from tutelage.tasks.grounded.absence import claims_absence
from tutelage.tasks.grounded.matching import dates, gives, numbers, times
from tutelage.tasks.grounded.values import ValueKind, canonical, parse_domain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,200", {1200}),
        ("It has 1200 seats.", {1200}),
        ("$4,200.50 a year", {4200.5}),
        ("twelve", {12}),
        ("Forty-two people", {42}),
        ("two hundred and five", {205}),
        ("three thousand four hundred", {3400}),
        ("1.2 thousand", {1200}),
        ("twelve hundred", {1200}),
        ("a hundred and ten", {110}),
        ("12 or 30", {12, 30}),
        ("in 1947, 30 rooms", {1947, 30}),
        ("one, two", {1, 2}),
        ("£7.90", {7.9}),
        ("nobody often tends it", set()),
    ],
)
def test_numbers(text: str, expected: set[float]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize("text", ["14 March", "March 14", "the 14th of March", "14th March 2020", "Mar. 14", "14 Mar"])
def test_dates(text: str) -> None:
    assert dates(text) == {(14, "mar")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7:30", (7, 30)),
        ("at 7.30 am", (7, 30)),
        ("half past seven", (7, 30)),
        ("quarter to eight", (7, 45)),
        ("9 a.m.", (9, 0)),
    ],
)
def test_times(text: str, expected: tuple[int, int]) -> None:
    assert times(text) == {expected}


@pytest.mark.parametrize(
    ("kind", "value", "text", "expected"),
    [
        ("person", "Mira Oldan", "Dr. Oldan", True),
        ("person", "Mira Oldan", "Mira Oldanik", False),
        ("person", "Mira Oldan", "Mira", False),
        ("weekday", "Tuesday", "on Tuesdays", True),
        ("weekday", "Tuesday", "Tue.", True),
        ("weekday", "Tuesday", "Thursday", False),
        ("place", "Fosmere", "It lies in Fosmere.", True),
        ("thing", "a goat", "goats", True),
        ("thing", "oat flakes", "flakes of oat", False),
        ("thing", "oat flakes", "Oat flake", True),
        ("number", "twelve", "12 rooms", True),
        ("number", "12", "120 rooms", False),
        ("number", "$1,200", "1200 dollars", True),
        ("year", "1947", "in 1948", False),
        ("date", "14 March", "15 March", False),
        ("time", "7:30", "7:15", False),
    ],
)
def test_gives(kind: ValueKind, value: str, text: str, expected: bool) -> None:
    assert gives(kind, value, text) is expected


ABSENT = """The passage does not say.|Not stated.|It isn't mentioned.|Not mentioned in the text|No information.
There is no information about the price.|Unknown.|Unknown from the passage.|The passage gives no date.|N/A
I can't tell from this.|That is not given.|Nothing is said about it.|The memo says nothing about the rent.
The note is silent on that.|It's left out.|Not specified|The passage doesn't give the captain's name.
The text never mentions it.|This is not in the passage.|It can't be determined from the text.|not provided
No year is given for the bridge.|The author does not tell us.|The passage leaves that open.
The answer isn't in the text.|The passage fails to mention the captain.|No mention of it.
There's no way to know from this.|I don't know; it isn't in the text.|The document doesn’t answer this.
The coach is not named.|Its price is missing.|No director is named.|The information is absent.
Sorry, the source has no answer.|That is nowhere in the text.|Only the other mill's year is given.
The passage only gives the price for the other one.|The letter lists no fee.|Not there.|It's not clear from the text.
The tenant isn't identified.|The text has no such information.|The fee is not part of the text."""

PRESENT = """Mira Oldan.|It opened in 1947.|Twelve rooms.|It is not 1947 but 1953.|1953|No later than 9:30
The director is Nora Ell.|silver|Nobody but Mira Ell|Below 25 degrees|Mondays only|It costs $30, without tax.
He noted it in 1912.|The number of rooms is 12.|It leaves at 9:30.|Not more than 12 days|No fewer than 12
Otto Birkardi leads it, not Aldo.|1912, not 1913 as noted first|It is stated to be 12."""


@pytest.mark.parametrize("text", ABSENT.replace("\n", "|").split("|"))
def test_claims_of_absence(text: str) -> None:
    assert claims_absence(text)


@pytest.mark.parametrize("text", PRESENT.replace("\n", "|").split("|"))
def test_plain_answers_claim_no_absence(text: str) -> None:
    assert not claims_absence(text)


def test_a_domain_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'colour' is not a kind of value"):
        parse_domain("colour red|blue")


@pytest.mark.parametrize(("written", "digits"), [("$1,200", "1200"), ("twelve", "12"), ("0.2 percent", "0.2")])
def test_canonical_numbers(written: str, digits: str) -> None:
    assert canonical(written) == digits
