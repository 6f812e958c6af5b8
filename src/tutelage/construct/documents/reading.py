"""Files and folders as documents, and every file of which none comes, with its reason."""

from dataclasses import dataclass, field
from pathlib import Path

from tutelage.construct.documents.converting import ENDINGS, Converted, convert
from tutelage.construct.documents.faults import Unreadable
from tutelage.errors import DataError, Problem
from tutelage.files import sha256_file, storage
from tutelage.recipe.inputs import document_files
from tutelage.recipe.sources.passages import PassagesSource
from tutelage.records import Dropped, content_id
from tutelage.records.documents import PARAGRAPH, Document, Section

READ = ", ".join(ENDINGS)


@dataclass(slots=True)
class Library:
    """The documents of a recipe; ``dropped`` are files that became none."""

    documents: list[Document] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_documents(section: PassagesSource, folder: Path) -> Library:
    """Return the documents that ``section`` names, relative to ``folder``.

    A file whose text another one has too is left out and counted. A file that cannot be read is as well, if the
    section says so.

    Raises
    ------
    DataError: with all files at once: those that are not there, those that cannot be read where that is refused, and
    all where no document is left. MissingExtra: a kind of file needs a package that is not installed.
    """
    library = Library()
    missing = [path for path in section.paths if not (folder / path).exists()]
    absent = [Problem("there is no such file or folder", path, remedy="check the path") for path in missing]
    seen: dict[str, str] = {}
    for name in document_files(section, folder):
        if name in missing:
            continue
        try:
            document = _document(name, folder / name, section.encoding or "")
        except Unreadable as fault:
            library.problems.append(fault.at(name))
            library.dropped.append(Dropped(id=name, step="files", reason=str(fault)))
            continue
        if document.id in seen:
            reason = f"it has the same text as {seen[document.id]}"
            library.dropped.append(Dropped(id=name, step="files", reason=reason))
            continue
        seen[document.id] = name
        library.documents.append(document)
    refused = library.problems if section.unreadable == "refuse" or not library.documents else []
    if not library.documents and not refused and not absent:
        absent = [
            Problem("there is no file in it", path, remedy=f"put documents there: {READ}") for path in section.paths
        ]
    if absent or refused:
        raise DataError(f"construct.sources, {section.folder}", [*absent, *_with_way_out(refused, section, library)])
    return library


def _with_way_out(problems: list[Problem], section: PassagesSource, library: Library) -> list[Problem]:
    """The problems, the last with how to go on without these files, where that is possible."""
    if not problems or section.unreadable == "leave_out" or not library.documents:
        return problems
    what = f"{len(library.documents):,} other files can be read"
    remedy = "to go on with these alone, set unreadable: leave_out"
    return [*problems, Problem(what, remedy=remedy)]


def _document(name: str, file: Path, encoding: str) -> Document:
    kind = ENDINGS.get(file.suffix.lower())
    if kind is None:
        raise Unreadable("files of this kind are not read", file.suffix or "no ending", f"there are: {READ}")
    with storage(file, "read the document"):
        data = file.read_bytes()
    converted = convert(kind, data, encoding=encoding)
    text, sections = _joined(converted)
    return Document(
        id=content_id("document", text),
        name=name,
        kind=kind,
        sha256=sha256_file(file),
        text=text,
        sections=sections,
        encoding=converted.encoding,
        notes=converted.notes,
    )


def _joined(converted: Converted) -> tuple[str, tuple[Section, ...]]:
    """The text, a paragraph a block, and where sections begin: at headings, whose title is the path to them."""
    parts: list[str] = []
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    at, page = 0, None
    for block in converted.blocks:
        written = "\n".join(line for line in block.text.split("\n") if line.strip())
        if block.level:
            path = [*((level, title) for level, title in path if level < block.level), (block.level, written)]
            sections.append(Section(start=at, title=" > ".join(title for _, title in path)))
        elif block.page != page:
            sections.append(Section(start=at, title=f"page {block.page}", page=True))
        page = block.page
        parts.append(written)
        at += len(written) + len(PARAGRAPH)
    return PARAGRAPH.join(parts), tuple(sections)
