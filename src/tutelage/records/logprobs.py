"""What a model said of each token that it wrote: the likeliest in its place, with their log-probabilities."""

import re

from tutelage.records.base import Record

_WRITTEN = re.compile(r"\\(?:\\|x[0-9a-f]{2})")


def bytes_as_text(token: bytes) -> str:
    """Return the bytes of a token as text: UTF-8 as it reads, other bytes as ``\\xe2``, a backslash as two.

    A token may hold half a character; :func:`text_as_bytes` gives the bytes back.
    """
    return token.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def text_as_bytes(text: str) -> bytes:
    """Return the bytes that :func:`bytes_as_text` wrote."""
    found = bytearray()
    at = 0
    for match in _WRITTEN.finditer(text):
        found += text[at : match.start()].encode()
        found += b"\\" if match[0] == "\\\\" else bytes([int(match[0][2:], 16)])
        at = match.end()
    return bytes(found + text[at:].encode())


class TokenChoices(Record):
    """A token that was written, and the likeliest ones in its place, itself perhaps among them.

    Tokens are bytes, written as :func:`bytes_as_text` does; log-probabilities are natural, of the model's distribution
    as the server gives it.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
