"""Marks around text that others wrote: what stands between them is shown and cannot end the showing.

A mark is a hash of the very texts that it fences. Whoever writes a text would have to know the hash of a text that
holds this hash; and a mark that stands in one of the texts all the same is not used. Equal texts have equal marks, so
that a rerun sends equal requests.
"""

import hashlib
from collections.abc import Sequence
from itertools import count


def mark_for(texts: Sequence[str]) -> str:
    """Return 16 hexadecimal digits that occur in none of ``texts``."""
    for salt in count():
        whole = "\x00".join([str(salt), *texts])
        mark = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        if not any(mark in text.lower() for text in texts):
            return mark
    raise AssertionError("numbers do not end")
