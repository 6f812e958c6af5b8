"""Personal data that has a form of its own: addresses and numbers, with their check digits where they have some.

Names, postal addresses and dates of birth have none; nothing here finds them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network
from typing import Literal

Kind = Literal["email", "iban", "card", "national_id", "ip", "phone"]
KINDS: tuple[Kind, ...] = ("email", "iban", "card", "national_id", "ip", "phone")
"""In the order in which a piece of text is taken for one of them."""

Spans = Iterator[tuple[int, int]]
Finder = Callable[[str], Spans]


@dataclass(frozen=True, slots=True)
class Found:
    """Characters ``start`` to ``end`` of a text, and what they are."""

    kind: Kind
    start: int
    end: int


def find_personal(text: str, kinds: Sequence[Kind] = KINDS, *, phones: Finder | None = None) -> list[Found]:
    """Return what of ``kinds`` stands in ``text``, in its order, no two overlapping; ``phones`` finds phone numbers."""
    found: list[Found] = []
    for kind in KINDS:
        finder = phones if kind == "phone" else FINDERS[kind]
        if kind not in kinds or finder is None:
            continue
        for start, end in finder(text):
            if not any(start < other.end and other.start < end for other in found):
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda one: one.start)


_EMAIL = re.compile(
    r"(?<![\w.+%-])(?P<who>\w[\w.+%'-]{0,63}(?<![.'-]))@(?P<where>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24})"
    r"(?![\w-]|\.[^\W_])"
)
# Names that nobody can have (RFC 2606, RFC 6761), and the account of every Git server.
_NOBODY = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost|local)$", re.I)


def _emails(text: str) -> Spans:
    for match in _EMAIL.finditer(text):
        git = match["who"] == "git" and text[match.end() : match.end() + 1] in {":", "/"}
        if not (_NOBODY.search(match["where"]) or git):
            yield match.span()


# Lengths by country: ISO 13616, the registry of SWIFT.
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {one[:2]: int(one[2:]) for one in _LENGTHS.split()}
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?=[ -]?[A-Z0-9]{3})")
_IBAN_SIGN = re.compile(r"[ \u00a0-]?([A-Z0-9])")


def _ibans(text: str) -> Spans:
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match.group()[:2], 0)
        signs, at = match.group(), match.end()
        while len(signs) < length and (more := _IBAN_SIGN.match(text, at)):
            signs, at = signs + more.group(1), more.end()
        if length and len(signs) == length and is_iban(signs) and not text[at : at + 1].isalnum():
            yield match.start(), at


def is_iban(signs: str) -> bool:
    """Return whether the check digits of an account number are right (ISO 7064, mod 97-10); signs without spaces."""
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1


_GROUPS = re.compile(r"(?<![\w.+-])\d+(?:[ \u00a0-]\d+)*")
_DIGITS = re.compile(r"\d+")
_GOES_ON = re.compile(r"[\w-]|\.\d")
# How cards are printed; digits without a gap are a group of their own. The longest first.
_PRINTED = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
_MOST_GROUPS = max(map(len, _PRINTED))
_CARD_DIGITS = range(12, 20)
_BRANDS = (
    re.compile(r"4(?:\d{12}|\d{15}|\d{18})"),  # Visa
    re.compile(r"(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"),  # Mastercard
    re.compile(r"3[47]\d{13}"),  # American Express
    re.compile(r"(?:6011|64[4-9]\d|65\d\d|62\d\d|35(?:2[89]|[3-8]\d))\d{12}"),  # Discover, UnionPay, JCB
    re.compile(r"3(?:0[0-5]|[689]\d)\d{11}"),  # Diners
    re.compile(r"(?:50|5[6-8])\d{10,17}"),  # Maestro
)


def _cards(text: str) -> Spans:
    for run in _GROUPS.finditer(text):
        groups = [one.span() for one in _DIGITS.finditer(text, *run.span())]
        if _GOES_ON.match(text, run.end()):
            groups.pop()  # "12" of "12.5" or "12th" ends no number
        first = 0
        while first < len(groups):
            near = groups if first == 0 else groups[first : first + _MOST_GROUPS]
            count = next((number for number in _windows(near, first == 0) if _is_card(text, near[:number])), 0)
            if count:
                yield groups[first][0], groups[first + count - 1][1]
            first += count or 1


def _windows(groups: Sequence[tuple[int, int]], whole: bool) -> Iterator[int]:
    """How many of the first groups of digits may be one card: all of them, as cards are printed, or the first alone."""
    if whole:
        yield len(groups)
    sizes = tuple(end - start for start, end in groups[:_MOST_GROUPS])
    yield from (len(printed) for printed in _PRINTED if sizes[: len(printed)] == printed)
    yield 1


def _is_card(text: str, groups: Sequence[tuple[int, int]]) -> bool:
    if sum(end - start for start, end in groups) not in _CARD_DIGITS:
        return False
    digits = "".join(text[start:end] for start, end in groups)
    return any(brand.fullmatch(digits) for brand in _BRANDS) and is_luhn(digits)


def is_luhn(digits: str) -> bool:
    """Return whether the last digit is the check digit of the others (Luhn, ISO/IEC 7812-1)."""
    doubled = (2 * int(digit) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


# United States: three areas that were never given, and the number that a wallet was sold with.
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([- ])(?!00)\d\d\1(?!0000)\d{4}(?![\w-]|\.\d)")
_SOLD = {"078051120", "219099999"}
# United Kingdom: letters that are not given, as HMRC's manual lists them.
_NINO = re.compile(
    r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]( ?)\d\d\1\d\d\1\d\d\1[A-D](?!\w)"
)


def _national_ids(text: str) -> Spans:
    for match in _SSN.finditer(text):
        if re.sub(r"\D", "", match.group()) not in _SOLD:
            yield match.span()
    for match in _NINO.finditer(text):
        yield match.span()


_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|::)(?:[0-9A-Fa-f]{0,4}:){0,6}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION = re.compile(r"(?:\bv|\bver\.?|\bversion|\brelease|§|\bsection)\s*$", re.I)
_RESOLVERS = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"}
_UNICAST = IPv6Network("2000::/3")
_RESOLVERS6 = ("2001:4860:4860:", "2606:4700:4700:")


def _ips(text: str) -> Spans:
    """Addresses that somebody may have: not private ones, nor those for documentation, nor public name servers."""
    for match in _IPV4.finditer(text):
        before = text[max(0, match.start() - 12) : match.start()]
        if match.group() not in _RESOLVERS and not _VERSION.search(before) and _is_given4(match.group()):
            yield match.span()
    for match in _IPV6.finditer(text):
        if not match.group().startswith(_RESOLVERS6) and _is_given6(match.group()):
            yield match.span()


def _is_given4(text: str) -> bool:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return False
    return address.is_global and not address.is_multicast and not text.startswith("0.")


def _is_given6(text: str) -> bool:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return False
    return address in _UNICAST and address.is_global


FINDERS: dict[Kind, Finder] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "national_id": _national_ids,
    "ip": _ips,
}
