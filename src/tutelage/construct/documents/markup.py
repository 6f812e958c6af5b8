"""HTML as blocks: headings, paragraphs, list items, rows of tables; what a page says beside its matter is left out."""

import re
from dataclasses import dataclass
from typing import Any

from tutelage.construct.documents.faults import load_extra

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LEFT_OUT = {"script", "style", "noscript", "template", "svg", "head", "nav", "footer", "aside", "form", "iframe"}
_INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd"}
_INLINE |= {"label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}
_CELLS = {"td", "th"}
CELL = " | "


@dataclass(frozen=True, slots=True)
class Block:
    """A heading of a ``level``, or a paragraph (level 0); ``page``: the page that it stands on, where there are any."""

    text: str
    level: int = 0
    page: int | None = None


def html_blocks(html: str) -> list[Block]:
    """Return the blocks of a page in reading order, without empty ones."""
    soup = load_extra("bs4").BeautifulSoup(html, "html.parser")
    blocks: list[Block] = []
    open_text: list[str] = []
    _walk(soup, blocks, open_text)
    _close(blocks, open_text)
    return blocks


def _walk(node: Any, blocks: list[Block], text: list[str], *, pre: bool = False) -> None:
    """Append the blocks below ``node``; ``text`` is what has been read of the block that is open."""
    for child in node.children:
        name = getattr(child, "name", None)
        if name is None:
            if type(child).__name__ == "NavigableString":  # comments and declarations are classes of their own
                text.append(str(child) if pre else re.sub(r"\s+", " ", str(child)))
        elif name == "br":
            text.append("\n")
        elif name in _LEFT_OUT or child.has_attr("hidden"):
            continue
        elif name in _INLINE:
            _walk(child, blocks, text, pre=pre)
        elif name in _CELLS:
            row = "".join(text).rstrip()
            text[:] = [row, CELL] if row else []
            text.append(" ".join(child.get_text(" ").split()))
        else:
            _close(blocks, text)
            _walk(child, blocks, text, pre=pre or name == "pre")
            _close(blocks, text, _HEADINGS.get(name, 0))


def _close(blocks: list[Block], text: list[str], level: int = 0) -> None:
    """End the block that is open."""
    lines = [line.rstrip() for line in "".join(text).split("\n") if line.strip()]
    if lines:
        blocks.append(Block(" ".join(" ".join(lines).split()) if level else "\n".join(lines).strip(), level))
    text.clear()
