"""Which lines of a text are code: fenced blocks as in CommonMark, also inside list items and quotes."""

import re
from collections.abc import Iterator

_OPENS = re.compile(r"(\s*(?:[-*+]\s+|\d{1,9}[.)]\s+|>\s?)*)(`{3,}(?=[^`]*$)|~{3,})")


def fenced_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of ``text`` (parted at line feeds), each with whether it belongs to a fenced block.

    The fences belong to their block; one that is never closed goes on to the end, or to the end of the quote that it
    stands in. Code that is only indented is not told from prose.
    """
    fence, quoted = "", 0
    for line in text.split("\n"):
        if fence and _within_quotes(line, quoted) is None:
            fence = ""
        if not fence:
            opened = _OPENS.match(line)
            fence, quoted = (opened.group(2), opened.group(1).count(">")) if opened else ("", 0)
            yield line, bool(fence)
            continue
        yield line, True
        bare = (_within_quotes(line, quoted) or "").strip()
        if len(bare) >= len(fence) and bare == fence[0] * len(bare):
            fence = ""


def _within_quotes(line: str, quoted: int) -> str | None:
    """What a line says inside of so many quotes; None where it is not in them all."""
    for _ in range(quoted):
        mark, said, line = line.partition(">")
        if not said or mark.strip():
            return None
    return line


def prose_of(text: str) -> str:
    """Return ``text`` without its fenced blocks."""
    return "\n".join(line for line, is_code in fenced_lines(text) if not is_code)
