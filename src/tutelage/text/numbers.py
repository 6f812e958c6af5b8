"""Numbers in a text."""

import re

_NUMBER = re.compile(r"\d+(?:[.,’'\u202f\u00a0]\d+)*")


def numbers(text: str) -> list[str]:
    """Return the numbers of ``text`` as digits alone, so that 1,000 and 1 000 are one."""
    return [re.sub(r"\D", "", found) for found in _NUMBER.findall(text)]
