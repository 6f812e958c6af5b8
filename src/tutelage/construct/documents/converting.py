"""Files as blocks of text. Markdown and DOCX go by way of HTML, so that headings are known wherever they are marked."""

import io
import logging
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers.expat import ExpatError

from tutelage.construct.documents.decoding import decode
from tutelage.construct.documents.faults import Unreadable, load_extra
from tutelage.construct.documents.markup import Block, html_blocks

MAX_BYTES = 64 * 2**20
MAX_UNPACKED = 512 * 2**20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9_:.-]+)|encoding\s*=\s*["']([\w.-]+)["']""", re.I
)
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n(?:---|\.\.\.)\r?\n", re.DOTALL)
# What readers of formats raise for damaged files, beside their own errors.
_BROKEN = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError, OSError),
    *(RecursionError, TypeError, ValueError, ExpatError, struct.error, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True)
class Converted:
    """The blocks of a file; ``encoding`` of a text file; ``notes``: what was not read."""

    blocks: list[Block]
    encoding: str = ""
    notes: tuple[str, ...] = ()


def convert(kind: str, data: bytes, *, encoding: str = "") -> Converted:
    """Return the blocks of a file of a ``kind`` in :data:`KINDS`; ``encoding`` is that of text that is not UTF-8 and
    does not name its own.

    Raises :class:`Unreadable`, and :class:`tutelage.errors.MissingExtra`.
    """
    if not data.strip():
        raise Unreadable("it is empty", remedy="leave it out")
    if len(data) > MAX_BYTES:
        received = f"{len(data) / 2**20:,.0f} MiB"
        raise Unreadable(f"it is larger than {MAX_BYTES // 2**20} MiB", received, "divide it, or leave it out")
    _refuse_disguise(kind, data)
    converted = KINDS[kind](data, encoding)
    if not any(re.search(r"\w", block.text) for block in converted.blocks):
        raise Unreadable("there is no word in it", remedy="leave it out")
    return converted


def _refuse_disguise(kind: str, data: bytes) -> None:
    """Refuse what is of another kind than its name says, where its first bytes tell."""
    found = "pdf" if data[:1024].lstrip().startswith(b"%PDF-") else "zip" if data.startswith(b"PK\x03\x04") else ""
    found = "ole" if data.startswith(_OLE) else found
    if kind == "docx" and found == "ole":
        what = "it is password-protected, or of the old format of Word"
        raise Unreadable(what, remedy="save it as DOCX without a password")
    if found and found != {"docx": "zip"}.get(kind, kind):
        names = {"pdf": "a PDF", "zip": "a ZIP archive (as DOCX is)", "ole": "a file of old Office"}
        raise Unreadable(f"its name says {kind}, and it is {names[found]}", remedy="give it the ending of what it is")
    if kind in ("pdf", "docx") and not found:
        raise Unreadable(f"its name says {kind}, and it is none", repr(data[:8]), "give it the ending of what it is")


def _plain(data: bytes, encoding: str) -> Converted:
    text, encoding = decode(data, declared=encoding)
    parts = re.split(r"\n[^\S\n]*\n\s*|\f", _newlines(text))
    return Converted([Block(part.strip()) for part in parts if part.strip()], encoding)


def _markdown(data: bytes, encoding: str) -> Converted:
    text, encoding = decode(data, declared=encoding)
    parser = load_extra("markdown_it").MarkdownIt("commonmark").enable("table")
    return Converted(html_blocks(parser.render(_FRONT_MATTER.sub("", _newlines(text), count=1))), encoding)


def _html(data: bytes, encoding: str) -> Converted:
    said = _CHARSET.search(data[:4096])
    named = (said[1] or said[2]).decode("ascii").lower() if said else ""
    declared = named if named not in ("", "utf-8", "utf8") else encoding
    text, encoding = decode(data, declared=declared)
    return Converted(html_blocks(_newlines(text)), encoding)


def _docx(data: bytes, encoding: str) -> Converted:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "word/document.xml" not in archive.namelist():
                raise Unreadable("it is a ZIP archive without a Word document in it", remedy="save it as DOCX")
            if any(entry.flag_bits & 1 for entry in archive.infolist()):
                raise Unreadable("it is password-protected", remedy="save it as DOCX without a password")
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise Unreadable(f"it unpacks to more than {MAX_UNPACKED // 2**20} MiB", remedy="leave it out")
        html = load_extra("mammoth").convert_to_html(io.BytesIO(data), convert_image=lambda image: []).value
    except Unreadable:
        raise
    except _BROKEN as fault:
        raise _damaged(fault) from fault
    return Converted(html_blocks(html))


def _pdf(data: bytes, encoding: str) -> Converted:
    pypdf = load_extra("pypdf")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of every small flaw of a file
    broken = (*_BROKEN, pypdf.errors.PyPdfError, pypdf.errors.DependencyError)
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is password-protected", remedy="save it without a password")
        pages = [_newlines(page.extract_text()) for page in reader.pages]
    except Unreadable:
        raise
    except pypdf.errors.DependencyError as fault:
        remedy = "save it without protection, or: pip install cryptography"
        raise Unreadable("it is encrypted in a way that needs another package", str(fault), remedy) from fault
    except broken as fault:
        raise _damaged(fault) from fault
    mute = sum(not re.search(r"\w", page) for page in pages)
    if mute == len(pages):
        what = "its pages are images without text" if pages else "it has no pages"
        number = f"{len(pages):,} page{'' if len(pages) == 1 else 's'}"
        raise Unreadable(what, number, "have its text recognized first (OCR)")
    blocks = [Block(text, page=number) for number, page in enumerate(pages, 1) for text in paragraphs(page)]
    notes = (f"{mute:,} of {len(pages):,} pages have no text (images?) and are left out",) if mute else ()
    return Converted(blocks, notes=notes)


def paragraphs(page: str) -> list[str]:
    """Return the paragraphs of a page that is written line by line.

    A paragraph ends at an empty line, or where a sentence ends in a line of less than three quarters of the longest,
    as last lines are. Words that are divided at the end of a line are joined.
    """
    longest = max((len(line.strip()) for line in page.split("\n")), default=0)
    found: list[str] = []
    text = ""
    for line in (line.strip() for line in page.split("\n")):
        divided = text.endswith(("-", "\u00ad")) and text[-2:-1].isalpha() and line[:1].islower()
        text = text[:-1] + line if divided else f"{text} {line}".strip()
        if not line or (len(line) < 0.75 * longest and line.endswith((".", "!", "?", ":", "。"))):
            found += [text] if text else []
            text = ""
    return [*found, *([text] if text else [])]


def _damaged(fault: Exception) -> Unreadable:
    said = f"{type(fault).__name__}: {fault}"[:120]
    return Unreadable("it is damaged", said, "open it in its own program and save it again")


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


KINDS: dict[str, Callable[[bytes, str], Converted]] = {
    "text": _plain,
    "markdown": _markdown,
    "html": _html,
    "docx": _docx,
    "pdf": _pdf,
}
"""What is read, and by what."""
ENDINGS = {".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown", ".html": "html"}
ENDINGS |= {".htm": "html", ".xhtml": "html", ".docx": "docx", ".pdf": "pdf"}
"""The kind of a file by the ending of its name."""
