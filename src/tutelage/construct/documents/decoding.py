"""Bytes of a text file as text: UTF-8, what names its encoding itself, and what somebody says that it is in.

Nothing is guessed: of four German, French, Spanish and Turkish texts in their usual encodings charset-normalizer 3.5
read three with wrong letters (à as ŕ), which nobody would see before they are learned.
"""

import codecs
import re

from tutelage.construct.documents.faults import Unreadable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Letters beyond ASCII as UTF-8 writes them: two bytes, or three, or four.
_WELL_FORMED = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
MOST_CONTROLS = 0.02
"""Share of control characters above which a file is no text."""
MIXED_FROM = 0.05
"""Share of the bytes beyond ASCII that are well-formed UTF-8, from which a file that is not UTF-8 is of two kinds."""
REMEDY = "save it as UTF-8, or say what it is in: encoding"


def decode(data: bytes, *, declared: str = "") -> tuple[str, str]:
    """Return the text in ``data`` and its encoding; ``declared`` is what it is in if it is not UTF-8.

    A file that is UTF-8 up to single lines, or single-byte text with UTF-8 in it, has been put together from two:
    read as either, a part of it would be wrong, so it is refused. Raises :class:`Unreadable`.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _text(data, encoding), encoding.removesuffix("-sig")
    try:
        text, encoding = data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as fault:
        if b"\x00" in data:
            raise _binary("zero bytes") from None
        _refuse_mixed(data, fault, declared)
        if not declared:
            line = data.count(b"\n", 0, fault.start) + 1
            received = f"byte 0x{data[fault.start]:02x} in line {line}"
            raise Unreadable("its encoding is not UTF-8 and cannot be told", received, REMEDY) from None
        text, encoding = _text(data, declared), declared.lower()
    controls = len(_CONTROLS.findall(text))
    if controls > MOST_CONTROLS * len(text):
        raise _binary(f"{controls:,} control characters")
    return text, encoding


def _refuse_mixed(data: bytes, fault: UnicodeDecodeError, declared: str) -> None:
    high = sum(byte >= 0x80 for byte in data)
    formed = sum(len(match) for match in _WELL_FORMED.findall(data))
    if formed >= (0.5 if declared and not _is_single_byte(declared) else MIXED_FROM) * high:
        line = data.count(b"\n", 0, fault.start) + 1
        received = f"UTF-8, and byte 0x{data[fault.start]:02x} in line {line}, which is none"
        raise Unreadable("its text is in more than one encoding", received, "save all of it as UTF-8")


def _is_single_byte(encoding: str) -> bool:
    """Whether nearly every byte is a character by itself."""
    try:
        read = [bytes([byte]).decode(encoding, errors="replace") for byte in range(0x80, 0x100)]
    except LookupError:
        return False
    return read.count("\ufffd") < 64 and "" not in read


def _text(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as fault:
        raise Unreadable(f"it is said to be {encoding}, and is not", str(fault)[:80], "save it as UTF-8") from fault


def _binary(received: str) -> Unreadable:
    return Unreadable("it is no text", received, "leave it out, or give it the ending of what it is")
