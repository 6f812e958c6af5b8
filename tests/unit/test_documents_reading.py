"""Documents of every kind as text with sections, and every file that gives none, named with its reason."""

import re
from pathlib import Path

import pytest

from support.papers import docx, locked_pdf, pdf
from tutelage.construct.documents.converting import MAX_BYTES, paragraphs
from tutelage.construct.documents.decoding import decode
from tutelage.construct.documents.faults import Unreadable, load_extra
from tutelage.construct.documents.reading import Library, read_documents
from tutelage.construct.documents.source import shelve
from tutelage.errors import DataError, MissingExtra
from tutelage.recipe.sources import DocumentsSource
from tutelage.records.documents import Document

LEASE = "The deposit is returned within 30 days of the end of the lease, less what repairs have cost the owner."
KEYS = "Tenants who lose a key pay for the new lock and tell the office within two working days."


def read(folder: Path, *paths: str, unreadable: str = "refuse") -> Library:
    section = DocumentsSource.model_validate({"kind": "documents", "path": paths or ".", "unreadable": unreadable})
    return read_documents(section, folder)


def one(folder: Path, name: str, content: bytes | str) -> Document:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (document,) = read(folder, name).documents
    return document


def titled(document: Document) -> dict[str, str]:
    """What stands where each section begins."""
    return {section.title: document.text[section.start :].partition("\n\n")[0] for section in document.sections}


def test_markdown(tmp_path: Path) -> None:
    wrapped = LEASE.replace(" end ", "\nend ")
    rest = "- one *key*\n- `two`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    document = one(tmp_path, "lease.md", f"---\ntitle: x\n---\n# Lease\n\n## Deposit\n\n{wrapped}\n\n{rest}")
    assert document.text.split("\n\n") == ["Lease", "Deposit", LEASE, "one key", "two", "a | b", "1 | 2"]
    assert titled(document) == {"Lease": "Lease", "Lease > Deposit": "Deposit"}


def test_html(tmp_path: Path) -> None:
    page = (
        "<html><head><title>t</title><style>p {}</style></head><body><nav>Home</nav><h1>Lease &amp; rules</h1>"
        f"<div>Intro <b>bold</b>.<p>{LEASE}</p></div><script>alert(1)</script><!-- note --><h2>Keys</h2>"
        f"<ul><li>{KEYS}</li></ul><table><tr><th>Day</th><td>Fee</td></tr></table><pre>a\n  b</pre>"
        "<p>one<br>two</p><p hidden>never</p><footer>(c)</footer></body></html>"
    )
    document = one(tmp_path, "lease.html", page)
    parts = ["Lease & rules", "Intro bold.", LEASE, "Keys", KEYS, "Day | Fee", "a\n  b", "one\ntwo"]
    assert document.text == "\n\n".join(parts)
    assert titled(document) == {"Lease & rules": "Lease & rules", "Lease & rules > Keys": "Keys"}


def test_an_html_page_in_the_encoding_that_it_names(tmp_path: Path) -> None:
    page = "<meta charset='iso-8859-2'><p>Zażółć gęślą jaźń w umowie najmu lokalu.</p>"
    document = one(tmp_path, "a.html", page.encode("iso-8859-2"))
    assert (document.text, document.encoding) == ("Zażółć gęślą jaźń w umowie najmu lokalu.", "iso-8859-2")


def test_docx(tmp_path: Path) -> None:
    document = one(tmp_path, "a.docx", docx([("Heading1", "Lease"), ("", LEASE), ("Heading2", "Keys"), ("", KEYS)]))
    assert document.text == "\n\n".join(["Lease", LEASE, "Keys", KEYS])
    assert titled(document) == {"Lease": "Lease", "Lease > Keys": "Keys"}


def test_pdf(tmp_path: Path) -> None:
    lines = [
        "The deposit is returned within thirty days of the end of the",
        "lease, less what re-",
        "pairs cost.",
        KEYS,
    ]
    document = one(tmp_path, "a.pdf", pdf([lines, [], ["A second page with a sentence."]]))
    assert "end of the lease, less what repairs cost." in document.text
    assert [section.title for section in document.sections] == ["page 1", "page 3"]
    assert document.notes == ("1 of 3 pages have no text (images?) and are left out",)
    opened = one(tmp_path, "b.pdf", locked_pdf([[KEYS]], ""))
    assert opened.text == KEYS


def test_lines_of_a_page_become_paragraphs() -> None:
    first, second = (
        "A first paragraph that goes on over\nits line and ends here.",
        "A second one is divi-\nded, state-of-the-",
    )
    page = f"{first}\n{second}\nArt is not.\n\nThird"
    assert paragraphs(page) == [
        "A first paragraph that goes on over its line and ends here.",
        "A second one is divided, state-of-the- Art is not.",
        "Third",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "cp1252", "shift_jis", "gb18030"])
def test_text_of_one_encoding_is_read(encoding: str) -> None:
    text = {
        "cp1251": "Залог возвращается в течение тридцати дней после окончания аренды. Ключи сдаются в контору. " * 3,
        "shift_jis": "敷金は契約終了後三十日以内に返還されます。鍵を紛失した場合は事務所に連絡してください。" * 3,
        "gb18030": "押金在租约结束后三十天内退还。丢失钥匙的租户应在两个工作日内通知办公室。" * 3,
    }.get(encoding, "Die Kaution wird binnen dreißig Tagen zurückgezahlt, abzüglich der Kosten für Schäden. " * 3)
    assert decode(text.encode(encoding), declared=encoding if "utf" not in encoding else "")[0] == text
    if "utf" not in encoding:
        with pytest.raises(Unreadable, match=r"not UTF-8 and cannot be told .*in line 1|more than one encoding"):
            decode(text.encode(encoding))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Gebühr\n".encode() * 9 + "Prüfung\n".encode("latin-1"), r"more than one encoding .*0xfc in line 10"),
        (
            "Prüfung der Gebühr, die für Räume fällig wird.\n".encode("latin-1") * 3 + "für Räume".encode(),
            "more than one",
        ),
        (b"MZ\x90\x00\x03\x00\x00\x00\xff\xff", "it is no text .*zero bytes"),
        (b"abc\x01\x02\x03\x04", "it is no text .*4 control characters"),
    ],
)
def test_text_that_is_none_or_of_two_encodings_is_refused(content: bytes, said: str) -> None:
    for declared in ("", "cp1252"):
        with pytest.raises(Unreadable, match=said):
            decode(content, declared=declared)


BAD: dict[str, tuple[bytes, str]] = {
    "scan.pdf": (pdf([[], []]), r"its pages are images without text \(2 pages\)"),
    "locked.pdf": (locked_pdf([[KEYS]], "secret"), "it is password-protected"),
    "half.pdf": (pdf([[KEYS]])[:200], "damaged|no pages"),
    "none.pdf": (b"hello there, I am no PDF", "its name says pdf, and it is none"),
    "locked.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password-protected, or of the old format"),
    "half.docx": (docx([("", KEYS)])[:300], "it is damaged"),
    "table.xlsx": (b"PK\x03\x04", r"files of this kind are not read \(.xlsx\)"),
    "README": (b"text", r"files of this kind are not read \(no ending\)"),
    "empty.md": (b" \n", "it is empty"),
    "bare.md": (b"---\n\n***\n", "there is no word in it"),
    "program.txt": (b"\x7fELF\x02\x01\x01\x00\x00\x00", "it is no text"),
    "paper.txt": (pdf([[KEYS]]), "its name says text, and it is a PDF"),
    "letter.txt": (docx([("", KEYS)]), "its name says text, and it is a ZIP archive"),
    "mixed.txt": ("Gebühr ".encode() * 5 + "Gebühr".encode("latin-1"), "more than one encoding"),
    "large.txt": (b"a " * (MAX_BYTES // 2 + 1), "larger than 64 MiB"),
}


def test_all_files_of_a_folder_that_cannot_be_read_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    for name, (content, _) in BAD.items():
        (tmp_path / "docs" / "deep" / name).write_bytes(content)
    (tmp_path / "docs" / "good.txt").write_text(LEASE)
    (tmp_path / "docs" / "again.md").write_text(LEASE)
    (tmp_path / "docs" / ".hidden").write_bytes(b"\x00")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "docs", "absent.md")
    problems = {problem.where: problem for problem in caught.value.problems}
    assert problems.keys() == {*(f"docs/deep/{name}" for name in BAD), "absent.md", ""}
    for name, (_, said) in BAD.items():
        problem = problems[f"docs/deep/{name}"]
        assert re.search(said, f"{problem.what} ({problem.received})"), problem
        assert problem.remedy
    assert problems["absent.md"].what == "there is no such file or folder"
    assert "unreadable: leave_out" in str(problems[""])
    library = read(tmp_path, "docs", unreadable="leave_out")
    assert [document.name for document in library.documents] == ["docs/again.md"]
    reasons = {row.id: row.reason for row in library.dropped}
    assert len(reasons) == len(BAD) + 1
    assert reasons["docs/good.txt"] == "it has the same text as docs/again.md"
    assert all(re.search(said, reasons[f"docs/deep/{name}"]) for name, (_, said) in BAD.items())


def test_where_nothing_is_left_it_is_an_error_however_files_are_taken(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(DataError, match="there is no file in it"):
        read(tmp_path, "docs", unreadable="leave_out")
    (tmp_path / "docs" / "scan.pdf").write_bytes(BAD["scan.pdf"][0])
    with pytest.raises(DataError, match="images without text"):
        read(tmp_path, "docs", unreadable="leave_out")
    (tmp_path / "docs" / "short.txt").write_text("Too short to ask of.")
    section = DocumentsSource(kind="documents", path="docs", unreadable="leave_out")
    with pytest.raises(DataError, match="no document has a passage of 25 words"):
        shelve(section, tmp_path)


def test_the_counts_of_a_shelf_add_up(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("Die Gebühr für die Prüfung der Räume ist fällig. " * 5).encode("cp1252"))
    (tmp_path / "b.txt").write_text("short")
    (tmp_path / "c.xls").write_text("x")
    shelf = shelve(
        DocumentsSource(kind="documents", path=".", unreadable="leave_out", encoding="Windows-1252"), tmp_path
    )
    files, passages = shelf.ledgers
    assert (files.rows_in, files.kept, files.dropped) == (3, 2, {"files of this kind are not read": 1})
    assert files.notes == ("a.txt: read as cp1252",)
    assert (passages.rows_in, passages.kept, passages.dropped) == (2, 1, {"fewer than 25 words": 1})


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'tutelage\[documents\]'"):
        load_extra("no_such_reader_of_documents")
