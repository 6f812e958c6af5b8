"""Personal data: labelled cases with their precision and recall, check digits, and what becomes of a row."""

import json
import string
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.curate import Personal, Sifted, build_steps, curate
from tutelage.curate.filters.phones import phone_finder
from tutelage.curate.step import drop
from tutelage.errors import RecipeError
from tutelage.recipe.curate import CurateSection, PiiStep
from tutelage.records import (
    CriterionScore,
    Dropped,
    Evidence,
    Example,
    Lineage,
    Message,
    PartVerdict,
    ToolCall,
    Verdict,
    assistant,
    user,
)
from tutelage.records.instructions import Assessment, Order
from tutelage.text.personal import IBAN_LENGTHS, KINDS, find_personal, is_iban, is_luhn

LINEAGE = Lineage(paradigm="expert", source="test", author="test")
PHONES = phone_finder(("US", "DE", "GB"))

# Labelled by hand: what stands between « and » is personal data of the kind that is named.
HELD = [
    ("email", "Write to «jane.doe@hospital-west.org», please."),
    ("email", "Mail: «o'neil+news@mail.co.uk»."),
    ("email", "<«max@uni-köln.de»>; cc «A_B%c@sub.domain.io»"),
    ("email", "«info@1und1.de»/«a@b.museum»"),
    ("email", "mailto:«first_last@company.com»?subject=Hi"),
    ("iban", "Pay to «DE89 3704 0044 0532 0130 00» by Friday."),
    ("iban", "IBAN:«GB82WEST12345698765432»."),
    ("iban", "«FR14 2004 1010 0505 0001 3M02 606» and «NL91-ABNA-0417-1643-00»"),
    ("iban", "Konto «CH93 0076 2011 6238 5295 7», Bern"),
    ("card", "My card is «4539 1488 0343 6467»."),
    ("card", "«5500005555555559» or «3714-496353-98431»"),
    ("card", "card=«6011000990139424»;"),
    ("card", "My card is «4111 1111 1111 1111» 12/27 123"),
    ("card", "Visa «4111 1111 1111 1111» 123, card 12 «4539-1488-0343-6467» 12.5"),
    ("card", "«4111 1111 1111 1111» «5500 0000 0000 0004» 4 10 of 7 «3714 496353 98431» 9"),
    ("card", "Diners «30569309025904», JCB «3530 1113 3330 0000»"),
    ("national_id", "SSN «219-09-9998»."),
    ("national_id", "Her number («536 22 1234») is known."),
    ("national_id", "NI no. «AB 12 34 56 C», or «JG103759A»"),
    ("ip", "Logged in from «93.184.216.34»."),
    ("ip", "client «2a00:1450:4001:81b::200e» connected"),
    ("ip", "«203.0.114.7»:8080"),
    ("phone", "Call «+49 30 901820» today."),
    ("phone", "Ring «(202) 456-1111» or «+44 20 7946 1234»."),
    ("phone", "Tel. «030 901820», Fax «+33 1 42 68 53 00»"),
    ("phone", "WhatsApp: «+91 98765 43210»"),
]  # fmt: skip
CLEAN = [
    "someone@example.com, x@test.example and me@localhost are nobody.",
    "Clone it with git clone git@github.com:owner/name.git",
    "Install lodash@4.17.21 and @angular/core@17; use @app.route('/x').",
    "DE89 3704 0044 0532 0130 01 has wrong check digits, XX12 3456 7890 1234 no country.",
    "GB82 is a prefix, and AB12 CDE a post code.",
    "Card 4539 1488 0343 6468 fails, 1234 5678 9012 3456 and 1111222233334444 are no cards.",
    "pi is 3.14159265358979323846, e is 2.718281828459045; 0.4539148803436467 is a share.",
    "ISBN 978-3-16-148410-0, ISBN-10 3-16-148410-0, EAN 4006381333931.",
    "Numbers 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567 and 123-45-0000 were never given.",
    "Servers 192.168.0.1, 10.0.0.7, 127.0.0.1, 172.16.4.4, 192.0.2.1, 198.51.100.9 and 8.8.8.8.",
    "Version 1.2.3.4 and v10.4.2.1 of it; section 4.3.2.1.5; 300.1.2.3; 12:30:45; 10:20:30:40.",
    "std::vector<int> a::b ::1 fe80::1 2001:db8::1 and 2001:4860:4860::8888",
    "Between 1990 and 2020, 3,500,000 people; 12/24/2023; 2023-12-24T10:00:00; 1-2-3.",
    "Call 555-0123 or (212) 555-0187 in the film.",
    "x = 10000000000; y = [123456789, 987654321]; #336699; 0xDEADBEEF; 1e10",
    "def f(a, b): return a@b  # a matrix product",
    "The order number is 100-200-300, the score 21-19, 25-23.",
]


def unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without its marks, and where they stood."""
    plain, spans = "", []
    for piece in text.split("«"):
        held, closed, rest = piece.partition("»")
        if closed:
            spans.append((len(plain), len(plain) + len(held)))
        plain += held + rest
    return plain, spans


@pytest.mark.parametrize(("kind", "marked"), HELD)
def test_labelled_personal_data_is_found_where_it_stands(kind: str, marked: str) -> None:
    text, spans = unmarked(marked)
    assert [(one.kind, (one.start, one.end)) for one in find_personal(text, phones=PHONES)] == [
        (kind, span) for span in spans
    ]


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert [text[one.start : one.end] for one in find_personal(text, phones=PHONES)] == []


def test_the_registry_gives_an_example_of_every_kind_of_account() -> None:
    """Examples of the registry (ISO 13616), one for each length."""
    known = (
        "NO9386011117947 BE68539007547034 DK5000400440116243 NL91ABNA0417164300 MK07250120000058984 "
        "AT611904300234573201 HR1210010051863000160 DE89370400440532013000 GB29NWBK60161331926819 "
        "PT50000201231234567890154 "
        "GR1601101250000000012300695 IT60X0542811101000000123456 AL47212110090000000235698741 "
        "AZ21NABZ00000000137010001944 BR9700360305000010009795493P1 KW81CBKU0000000000001234560101 "
        "MT84MALT011000012345MTLCAST001S"
    )  # fmt: skip
    for account in known.split():
        assert (len(account), is_iban(account)) == (IBAN_LENGTHS[account[:2]], True)
        found = find_personal(f"a {account} b", ["iban"])
        assert [(one.start, one.end) for one in found] == [(2, 2 + len(account))]


@given(st.text("0123456789", min_size=12, max_size=18))
def test_one_check_digit_in_ten_is_right_and_one_wrong_digit_is_seen(digits: str) -> None:
    right = [digit for digit in string.digits if is_luhn(digits + digit)]
    assert len(right) == 1
    whole = digits + right[0]
    assert not any(is_luhn(whole[:3] + other + whole[4:]) for other in string.digits if other != whole[3])


@given(st.text(st.sampled_from("0123456789.:-+@aZß «»\n()"), max_size=60))
def test_masks_hold_nothing_to_mask(text: str) -> None:
    rows = [Example(id="a", messages=(user("p"), assistant(text)), lineage=LINEAGE)]
    once = curate(rows, [Personal(phones=PHONES)])
    again = curate(once.kept, [Personal(phones=PHONES)])
    assert again.kept == once.kept
    assert not again.ledger.changed


def held(id: str = "a") -> Example:
    call = ToolCall(name="send", arguments={"to": ["jane@mail.org"], "at": {"n": 1, "by": "x"}})
    said = Message(role="assistant", tool_calls=(call,), reasoning="She has +49 30 901820.")
    answer = assistant("Sent to jane@mail.org and joe@mail.org.")
    return Example(id=id, messages=(user("Write to Jane."), said, Message.of("tool", "ok"), answer), lineage=LINEAGE)


CLEAR = Example(id="b", messages=(user("Write to Jane Doe, 5 Elm Street."), assistant("Done.")), lineage=LINEAGE)


def test_a_row_is_masked_everywhere_and_says_so() -> None:
    curated = curate([held(), CLEAR], [Personal(phones=PHONES)])
    masked, clear = curated.kept
    assert clear == CLEAR
    assert masked.messages[1].tool_calls[0].arguments == {"to": ["[EMAIL]"], "at": {"n": 1, "by": "x"}}
    assert masked.messages[1].reasoning == "She has [PHONE]."
    assert masked.target.text == "Sent to [EMAIL] and [EMAIL]."
    assert masked.lineage.changes == ("pii: e-mail address masked", "pii: phone number masked")
    assert curated.ledger.changed == {"pii: e-mail address masked": 1, "pii: phone number masked": 1}
    assert curated.ledger.notes == ("pii: names, postal addresses and dates of birth are not looked for",)


def test_a_row_is_dropped_without_what_it_held() -> None:
    curated = curate([held(), CLEAR], [Personal(action="drop", phones=PHONES)])
    assert [row.id for row in curated.kept] == ["b"]
    (dropped,) = curated.dropped
    assert dropped.reason == "holds personal data: 3 × e-mail address, 1 × phone number"
    assert "jane@mail.org" not in dropped.to_json()
    assert json.loads(dropped.row)["messages"][-1]["content"][0]["text"] == "Sent to [EMAIL] and [EMAIL]."


def test_a_row_is_flagged_and_kept_as_it_is() -> None:
    curated = curate([held(), held("c"), CLEAR], [Personal(action="flag", find=["email"])])
    assert [row.lineage.changes for row in curated.kept] == [(), (), ()]
    assert curated.ledger.notes[0] == "pii: 2 rows with personal data kept: a, c"


def test_only_what_is_asked_for_is_looked_for() -> None:
    (step,) = build_steps(CurateSection(steps=(PiiStep(kind="pii", find=("phone",)),)), [])
    (kept,) = step.apply([held()]).kept
    assert kept.target == held().target
    assert kept.messages[1].reasoning == "She has [PHONE]."
    assert {one.kind for one in find_personal("a@b.org 93.184.216.34", [kind for kind in KINDS if kind != "ip"])} == {
        "email"
    }


def test_a_region_that_no_number_is_of_is_refused() -> None:
    section = CurateSection(steps=(PiiStep(kind="pii", regions=("DE", "XX")),))
    with pytest.raises(RecipeError, match="no phone numbers of this region are known"):
        build_steps(section, [])


def told(lineage: Lineage = LINEAGE, answer: str = "As you wish.", id: str = "a") -> Example:
    return Example(id=id, messages=(user("Whom do I write?"), assistant(answer)), lineage=lineage)


JANE = "jane.roe@gmail.com"
TOLD = Lineage(
    paradigm="distill",
    source="documents",
    author=f"tutor {JANE}",
    evidence=(Evidence(document="d", section=f"Of {JANE}", start=0, end=5, text=f"Write to {JANE}"),),
    verdicts=(
        Verdict(
            score=1,
            reason=f"Says {JANE}.",
            parts=(PartVerdict(name="one", passed=True, reason=f"It has {JANE}."),),
            criteria=(CriterionScore(name="clear", score=3, reason=f"{JANE} is clear."),),
        ),
    ),
    assessment=Assessment(by="m", dimension="d", level="basic", reason=f"It asks for {JANE}."),
    order=Order(id="o", dimension="d", level="basic", topic=JANE, persona=f"A friend of {JANE}"),
)


def test_what_lineage_says_is_masked_and_who_says_it_is_kept() -> None:
    (row,) = curate([told(TOLD)], [Personal(find=("email",))]).kept
    assert row.to_json().count(JANE) == 1
    assert row.lineage.author == TOLD.author
    assert row.lineage.evidence[0].text == "Write to [EMAIL]"
    assert row.lineage.changes == ("pii: e-mail address masked",)
    assert curate([row], [Personal(find=("email",))]).kept == (row,)


def test_a_row_is_dropped_for_its_turns_and_nothing_of_it_stays_raw() -> None:
    rows = [told(TOLD, f"Write to {JANE}", id="dropped"), told(TOLD, id="kept")]
    found = curate(rows, [Personal(action="drop", find=("email",))])
    assert [row.id for row in found.kept] == ["kept"]
    assert found.dropped[0].reason == "holds personal data: 1 × e-mail address"
    assert [text.count(JANE) for text in (found.kept[0].to_json(), found.dropped[0].row)] == [1, 1]


class Telling:
    """Drops every row, and says in the reason what it holds."""

    name = "telling"

    def apply(self, rows: Sequence[Example]) -> Sifted:
        return Sifted([], [drop(row, self.name, "it says", row.target.text) for row in rows])


@pytest.mark.parametrize(("action", "raw"), [("mask", 0), ("drop", 0), ("flag", 2)])
def test_what_was_dropped_before_is_masked_too(action: Literal["mask", "drop", "flag"], raw: int) -> None:
    (lost,) = curate([told(answer=f"Write to {JANE}")], [Telling(), Personal(action=action, find=("email",))]).dropped
    assert (lost.reason + lost.row).count(JANE) == raw
    assert ("[EMAIL]" in lost.row) == (not raw)


def test_a_dropped_row_that_is_no_example_is_masked_as_a_text() -> None:
    lost = Personal(find=("email",)).mask_dropped(Dropped(id="a", step="own", reason="odd", row=f'{{"x": "{JANE}"}}'))
    assert lost.row == '{"x":"[EMAIL]"}'


@pytest.mark.parametrize(
    "text",
    ["DE89 3704 0044 0532 0130 00 030 901820", "123-45-6789/212-736-5001", "81.2.69.142 030 901820"],
)
def test_what_overlapped_with_another_find_is_masked_too(text: str) -> None:
    step = Personal(phones=phone_finder(("US", "DE")))
    (once,) = step.apply([told(answer=text)]).kept
    assert step.apply([once]).kept == [once]
