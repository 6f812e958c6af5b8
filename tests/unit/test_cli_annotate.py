"""``tutelage annotate``, as somebody uses it in a terminal, mistakes included."""

import io
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tutelage.annotation.formats.jsonl import read_jsonl
from tutelage.annotation.responses import Writing
from tutelage.cli import main
from tutelage.cli.console import OUT
from tutelage.records import Example, Preference
from tutelage.records.importers import import_examples, import_preferences, import_prompts
from tutelage.records.jsonl import read_records

ROWS = [
    {"id": "q1", "instruction": "Why is the sky blue?", "output": "It scatters.", "dimension": "utility"},
    {"id": "q2", "instruction": "Is <script>alert(1)</script> safe?", "output": "[bold]No[/bold]."},
    {"id": "q3", "instruction": "2 + 2?", "output": "5"},
]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Annotate:
    """Calls the command line in this process, through its own ``main``."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str, code: int = 0, token: str = "") -> Result:
        self.monkeypatch.setattr(sys, "argv", ["tutelage", "annotate", *arguments])
        if token:
            self.monkeypatch.setenv("TUTELAGE_TOKEN", token)
        with pytest.raises(SystemExit) as left:
            main()
        said = self.capsys.readouterr()
        result = Result(int(left.value.code or 0), said.out, said.err)
        assert result.code == code, result
        return result

    def invite(self, *arguments: str) -> str:
        return self("invite", *arguments).out.splitlines()[-1]


@pytest.fixture
def annotate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Annotate:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUTELAGE_TOKEN", raising=False)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return Annotate(capsys, monkeypatch)


def test_from_questions_to_records(annotate: Annotate, tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text("Rate <fairly>.")
    rating = ("--work", "rate", "--scale", "truth", "--scale", "use:0-2", "--overlap", "2")
    annotate("new", "s.db", "rated", *rating, "--guidelines", "rules.txt")
    assert annotate("add", "s.db", "rated", "rows.jsonl").out == "3 items added to rated\n"
    assert "3 were there already" in annotate("add", "s.db", "rated", "rows.jsonl").out
    ann, bob = annotate.invite("s.db", "rated", "Ann"), annotate.invite("s.db", "rated", "Bob")
    (tmp_path / "rules.txt").write_text("Rate <fairly> and soon.")
    assert "revision 2" in annotate("guidelines", "s.db", "rated", "rules.txt").out
    assert "revision 2" in annotate("guidelines", "s.db", "rated", "rules.txt").out, "they are what they were"
    assert annotate("guidelines", "s.db", "rated").out == "Rate <fairly> and soon.\n"
    shown = annotate("next", "s.db", token=ann).out
    assert "Rate <fairly> and soon." in shown
    assert "answer a: It scatters." in shown
    assert "SAID: truth=5,use=2" in shown
    assert "expected a whole number from 0 to 2" in annotate("answer", "s.db", "q1", "truth=5,use=3", code=2).err
    assert "expected a scale" in annotate("answer", "s.db", "q1", "5", code=2).err
    assert "one of both" in annotate("answer", "s.db", "q1", code=2).err
    assert "judgment 1 of yours" in annotate("answer", "s.db", "q1", "truth=5,use=2", "--minutes", "2").out
    assert "there already" in annotate("answer", "s.db", "q1", "truth=5,use=2").out
    again = annotate("answer", "s.db", "q1", "truth=4,use=2", "--revision", "0", code=2)
    assert "nothing was overwritten" in again.err
    task = json.loads(annotate("next", "s.db", "--json").out)
    assert task["item"]["answers"][0]["text"] == "[bold]No[/bold]."
    annotate("answer", "s.db", "q2", '{"kind": "rate", "scores": {"truth": 1, "use": 0}}', "--comment", "bad")
    annotate("next", "s.db")
    annotate("answer", "s.db", "q3", "--skip", "not my field")
    assert "Nothing is left" in annotate("next", "s.db").out
    for said in ("truth=5,use=2", "truth=5,use=2", "truth=3,use=1"):
        item = json.loads(annotate("next", "s.db", "--json", token=bob).out)["item"]["id"]
        annotate("answer", "s.db", item, said, "--minutes", "1")
    told = annotate("status", "s.db").out
    assert "2 of 3 items are finished" in told
    assert "skipped 1 times: not my field" in told
    assert json.loads(annotate("status", "s.db", "rated", "--json").out)["wanted"] == 1
    told = annotate("agreement", "s.db", "rated").out
    assert "truth (ordinal)" in told
    assert "1 of 2 items are disputed (above 0.3); 1 wait for a decision." in told
    assert "Quality Q: 33.3% of 3 items reach 0.75" in told
    judge = annotate.invite("s.db", "rated", "Judge", "--adjudicator")
    told = annotate("adjudicate", "s.db", token=judge).out
    assert "item q2" in told
    assert '"comment":"bad"' in told
    annotate("answer", "s.db", "q2", "truth=1,use=0")
    assert "Nothing is left to decide" in annotate("adjudicate", "s.db").out
    told = annotate("export", "s.db", "rated", "out").out
    assert "1 of 3 items are in them" in told
    assert "2 are not: its score is below 0.75" in told
    [example] = read_records(tmp_path / "out" / "examples.jsonl", Example)
    assert example.lineage.cost.human_minutes == 3.0
    assert import_examples(tmp_path / "out" / "examples.jsonl", author="anybody") == [example]
    assert len(import_prompts(tmp_path / "out" / "examples.jsonl")) == 1


def test_all_formats_and_back(annotate: Annotate, tmp_path: Path) -> None:
    pairs = [{"prompt": f"Why {n}?", "chosen": "So.", "rejected": "No.", "id": f"p{n}"} for n in range(2)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    annotate("new", "s.db", "chosen", "--work", "choose")
    annotate("add", "s.db", "chosen", "pairs.jsonl")
    token = annotate.invite("s.db", "chosen", "Ann")
    for said in ("a", "neither"):
        item = json.loads(annotate("next", "s.db", "--json", token=token).out)["item"]["id"]
        annotate("answer", "s.db", item, said)
    for name, to in (("all.jsonl", "judgments"), ("argilla", "argilla"), ("studio", "label-studio"), ("t.csv", "csv")):
        assert "2 judgments of 2 items" in annotate("export", "s.db", "chosen", name, "--to", to).out
        if to != "csv":
            annotate("import", f"{to}.db", name)
            annotate("export", f"{to}.db", "chosen", f"{to}-again.jsonl", "--to", "judgments")
            again = (tmp_path / f"{to}-again.jsonl").read_text()
            assert again == (tmp_path / "all.jsonl").read_text()
    assert "Give a JSONL of export" in annotate("import", "s.db", "t.csv", code=2).err
    assert "there is a project of this name" in annotate("import", "s.db", "all.jsonl", code=2).err
    assert "other: 2 items" in annotate("import", "s.db", "all.jsonl", "--name", "other").out
    annotate("export", "s.db", "chosen", "out")
    [pair] = read_records(tmp_path / "out" / "preferences.jsonl", Preference)
    assert import_preferences(tmp_path / "out" / "preferences.jsonl", author="anybody") == [pair]
    assert "it exists already" in annotate("export", "s.db", "chosen", "out", code=5).err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("new s.db p --work write --label x --several", 2, "belongs to label and spans"),
        ("new s.db p --work label", 2, "needs labels"),
        ("new s.db p --work rate --scale x:5-1", 2, "low must be below high"),
        ("new s.db p --work rate --scale x:a-b", 2, "expected a scale"),
        ("new s.db p --work rate --scale x --scale x", 2, "a name of its own"),
        ("new no/where/s.db p --work write", 5, "cannot be opened"),
        ("new s.db p --work sing", 2, "sing"),
        ("add s.db p rows.jsonl", 5, "there is no annotation store"),
        ("import s.db rows.csv", 2, "nothing there can be read"),
        ("status mysql://root:secret@host/x", 2, "a SQLite file or a PostgreSQL database"),
    ],
)
def test_mistakes_are_named(annotate: Annotate, arguments: str, code: int, words: str) -> None:
    said = annotate(*arguments.split(), code=code).err
    assert words in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_tokens_and_options_that_do_not_fit(annotate: Annotate) -> None:
    annotate("new", "s.db", "p", "--work", "spans", "--label", "x")
    assert "TUTELAGE_TOKEN" in annotate("next", "s.db", code=2).err
    assert "belongs to nobody" in annotate("next", "s.db", token="wrong", code=2).err
    annotate("add", "s.db", "p", "rows.jsonl")
    token = annotate.invite("s.db", "p", "Ann")
    annotate("next", "s.db", token=token)
    assert "marks are given as JSON" in annotate("answer", "s.db", "q1", "x", code=2).err
    assert (
        "a reason is asked for"
        in annotate(
            "answer", "s.db", "q1", '{"kind": "spans", "spans": [{"start": 0, "end": 2, "label": "x"}]}', code=2
        ).err
    )
    assert "marks are no answers" in annotate("export", "s.db", "p", "out", code=2).err
    assert "choose records alone" in annotate("export", "s.db", "p", "o", "--to", "csv", "--people", "2", code=2).err
    assert "no longer asked" in annotate("invite", "s.db", "p", "Ann", "--end").out
    assert "belongs to nobody" in annotate("next", "s.db", code=2).err
    assert "only an adjudicator" in annotate("adjudicate", "s.db", token=annotate.invite("s.db", "p", "B"), code=2).err


def test_texts_that_people_give(annotate: Annotate, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate("new", "s.db", "p", "--work", "write")
    annotate("add", "s.db", "p", "rows.jsonl")
    token = annotate.invite("s.db", "p", "Ann")
    given = {"q1": "{a: 1}\n\n", "q2": '{"a": 1}', "q3": '{"kind": "write", "text": "plain"}'}
    for name, said in given.items():
        annotate("next", "s.db", token=token)
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        annotate("answer", "s.db", name, "-")
    annotate("export", "s.db", "p", "all.jsonl", "--to", "judgments")
    said = [one.response for one in read_jsonl(Path("all.jsonl")).judgments]
    assert said == [Writing(text="{a: 1}\n"), Writing(text='{"a": 1}'), Writing(text="plain")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    assert "not UTF-8" in annotate("answer", "s.db", "q1", "-", code=2).err


@pytest.mark.parametrize("said", ["truth=4,use=2,truth=1", "truth=4,use=2,use=2"])
def test_a_scale_that_is_given_twice_is_refused(annotate: Annotate, said: str) -> None:
    annotate("new", "s.db", "p", "--work", "rate", "--scale", "truth", "--scale", "use")
    annotate("add", "s.db", "p", "rows.jsonl")
    annotate("next", "s.db", token=annotate.invite("s.db", "p", "Ann"))
    assert "a number already" in annotate("answer", "s.db", "q1", said, code=2).err


def test_one_scale_takes_one_number(annotate: Annotate) -> None:
    annotate("new", "s.db", "p", "--work", "rate")
    annotate("add", "s.db", "p", "rows.jsonl")
    annotate("next", "s.db", token=annotate.invite("s.db", "p", "Ann"))
    assert "a number already" in annotate("answer", "s.db", "q1", "4,5", code=2).err
    annotate("answer", "s.db", "q1", "4")


@pytest.mark.parametrize(
    "arguments",
    ["answer s.db q1 caf\udce9", "answer s.db \udce9 5", "answer s.db q1 5 --comment \udce9", "status s.db \udce9"],
)
def test_bytes_that_are_no_text_are_refused(annotate: Annotate, arguments: str) -> None:
    said = annotate(*arguments.split(), code=2).err
    assert "not UTF-8" in said
    assert "\\udce9" in said


def test_numbers_that_no_store_can_keep_are_refused(annotate: Annotate) -> None:
    huge = str(10**19)
    said = annotate("new", "s.db", "p", "--work", "write", "--overlap", huge, "--lease", huge, code=2).err
    assert "1 to 10,000 people" in said
    assert "a year" in said


def test_names_and_texts_are_shown_as_they_are(annotate: Annotate, tmp_path: Path) -> None:
    row = {"id": "q:smile:", "prompt": "A\x1b[2J\u009b\tB :smile: [red]x[/red]\nC"}
    (tmp_path / "odd.jsonl").write_text(json.dumps(row))
    annotate("new", "s.db", "p", "--work", "label", "--label", "x", "--label", "y")
    annotate("add", "s.db", "p", "odd.jsonl")
    token = annotate.invite("s.db", "p", "Ann[/red] :smile:")
    shown = annotate("next", "s.db", token=token).out
    assert "user: A\\x1b[2J\\x9b" in shown
    assert "B :smile: [red]x[/red]\nC" in shown
    assert not set("\x1b\x9b") & set(shown)
    assert "Ann[/red] :smile:" in annotate("status", "s.db").out


def test_a_link_to_the_page_holds_the_token_where_no_server_sees_it(annotate: Annotate) -> None:
    annotate("new", "s.db", "p", "--work", "rate")
    link = annotate.invite("s.db", "p", "Ann", "--page", "https://work.example.org/")
    page, _, token = link.partition("/enter#")
    assert page == "https://work.example.org"
    annotate("next", "s.db", token=token)


def test_a_link_is_one_line_in_a_narrow_terminal_too(annotate: Annotate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OUT, "_force_terminal", True)
    monkeypatch.setattr(OUT, "_width", 60)
    annotate("new", "s.db", "p", "--work", "rate")
    shown = annotate("invite", "s.db", "p", "Ann", "--page", "https://annotation.example.org").out
    link = next(line for line in shown.splitlines() if "/enter#" in line)
    assert len(link) > 60
    annotate("next", "s.db", token=link.partition("#")[2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "none.db"), "there is no annotation store"),
        (("serve", "s.db", "--url", "work.example.org"), "expected an address of the web"),
        (("serve", "s.db", "--url", "https://work.example.org/here"), "a host of its own"),
        (("serve", "s.db", "--url", "http://[::1"), "expected an address of the web"),
        (("serve", "s.db", "--link", "q/Ann", "--link", "p/"), "2 problems"),
        (("serve", "s.db", "--link", "q/Ann"), "PROJECT/NAME with a project that is there: p, p/a"),
        (("serve", "s.db", "--link", "p/a/Ann"), "two projects fit"),
        (("serve", "s.db", "--link", "p/Ann", "--link", "p/Ann"), "given twice"),
        (("serve", "s.db", "--host", "203.0.113.7"), "cannot listen there"),
        (("serve", "s.db", "--host", "no host"), "cannot listen there"),
        (("invite", "s.db", "p", "Ann", "--page", "ftp://x"), "expected an address of the web"),
        (("invite", "s.db", "p", "Ann", "--page", "https://x.org", "--end"), "has no link"),
    ],
)
def test_mistakes_about_the_page_are_named_and_invite_nobody(
    annotate: Annotate, arguments: tuple[str, ...], words: str
) -> None:
    annotate("new", "s.db", "p", "--work", "rate")
    annotate("new", "s.db", "p/a", "--work", "rate")
    code = {"there is no annotation store": 5, "cannot listen there": 1}.get(words, 2)
    assert words in annotate(*arguments, code=code).err
    assert json.loads(annotate("status", "s.db", "p", "--json").out)["annotators"] == []


def test_a_port_that_is_taken_is_named(annotate: Annotate) -> None:
    annotate("new", "s.db", "p", "--work", "rate")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in annotate("serve", "s.db", "--port", port, code=1).err


def test_without_the_extra_the_install_line_is_told(annotate: Annotate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("tutelage.annotation.sql", "tutelage.cli.annotate"))]:
        if name != "tutelage.cli.annotate_commands":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert "pip install 'tutelage[annotation]'" in annotate("status", "s.db", code=8).err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "python_multipart"])
def test_without_the_page_s_own_packages_the_install_line_is_told(
    annotate: Annotate, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    annotate("new", "s.db", "p", "--work", "rate")
    for name in [name for name in sys.modules if name.startswith(("tutelage.studio", "tutelage.cli.annotate_page"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    told = annotate("serve", "s.db", code=8).err
    assert "the annotation page needs an optional dependency" in told
    assert "pip install 'tutelage[annotation]'" in told
