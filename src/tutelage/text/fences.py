"""Which lines of a text are code: fenced blocks as in CommonMark, also inside list items."""

import re
from collections.abc import Iterator

_OPENS = re.compile(r"\s*(?:[-*+]\s+|\d{1,9}[.)]\s+|>\s?)*(`{3,}(?=[^`]*$)|~{3,})")


def fenced_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of ``text`` (parted at line feeds), each with whether it belongs to a fenced block.

    The fences belong to their block; one that is never closed goes on to the end. Code that is only indented is not
    told from prose.
    """
    fence = ""
    for line in text.split("\n"):
        if not fence:
            opened = _OPENS.match(line)
            fence = opened.group(1) if opened else ""
            yield line, bool(fence)
            continue
        yield line, True
        bare = line.strip()
        if len(bare) >= len(fence) and bare == fence[0] * len(bare):
            fence = ""


def prose_of(text: str) -> str:
    """Return ``text`` without its fenced blocks."""
    return "\n".join(line for line, is_code in fenced_lines(text) if not is_code)
