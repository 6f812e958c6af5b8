"""Projects of every kind of work survive the files of other tools, and those of other tools survive the store."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.annotation.bundle import Bundle, check_bundle
from tutelage.annotation.formats.argilla import read_argilla, write_argilla
from tutelage.annotation.formats.items import read_items
from tutelage.annotation.formats.jsonl import read_jsonl, write_jsonl
from tutelage.annotation.formats.label_studio import read_label_studio, write_label_studio
from tutelage.annotation.formats.table import read_judgments, write_table
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import (
    Choice,
    Correction,
    Labels,
    Ranking,
    Rating,
    Response,
    Span,
    Spans,
    Writing,
)
from tutelage.annotation.sql.filling import bundle_of, fill
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Judgment, Project
from tutelage.annotation.work import (
    ChooseWork,
    CorrectWork,
    LabelWork,
    RankWork,
    RateWork,
    Scale,
    SpansWork,
    Work,
    WriteWork,
)
from tutelage.errors import DataError
from tutelage.records import assistant, user

WORKS: tuple[Work, ...] = (
    WriteWork(max_words=500),
    CorrectWork(),
    RateWork(scales=(Scale(name="truth"), Scale(name="the use", low=0, high=10, question="Of <use>?"))),
    RankWork(),
    ChooseWork(),
    ChooseWork(ties=False),
    LabelWork(labels=("good & new", "bad")),
    LabelWork(labels=("x", "y", "z"), several=True),
    SpansWork(labels=("wrong", "right")),
    SpansWork(labels=("wrong",), of="question", reasons=False),
)
# Letters of all kinds: more than one unit of UTF-16, quotes, tags; line breaks are left to one example below.
texts = st.text(st.sampled_from("ab <>&\"'=,;é漢🙂\\$"), min_size=1, max_size=12).map(lambda text: f"x{text}y")
comments = st.sampled_from(["", "why not", "=1+1"])


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    work = draw(st.sampled_from(WORKS))
    least = {"rank": 2, "choose": 2, "correct": 1, "rate": 1}.get(work.kind, 0)
    least = 1 if isinstance(work, SpansWork) and work.of == "answer" else least
    items = []
    for number in range(draw(st.integers(1, 3))):
        turns = (user("Before?"), assistant("So.")) if draw(st.booleans()) else ()
        answers = tuple(Candidate(key="abc"[at], text=draw(texts), author="m") for at in range(least))
        asked = (*turns, user(draw(texts)))
        items.append(WorkItem(id=f"i {number}", messages=asked, answers=answers, metadata={"n": [number]}, group="g"))
    judgments = []
    for item in items:
        for person in draw(st.lists(st.integers(1, 4), unique=True, max_size=3)):
            for number in range(1, draw(st.integers(1, 2)) + 1):
                judgments.append(
                    Judgment(
                        item=item.id,
                        annotator=f"annotator-{person}",
                        role="adjudicator" if person == 4 else "annotator",
                        number=number,
                        response=draw(responses(work, item)),
                        seconds=draw(st.sampled_from([None, 1.5, 60.0])),
                        guidelines_revision=1,
                        created_at=1_700_000_000.0 + number,
                    )
                )
    project = Project(name="a project", work=work, overlap=2, guidelines='Be <fair> & "kind".', guidelines_revision=1)
    return Bundle(project=project, items=tuple(items), judgments=tuple(sorted(judgments, key=order)))


def order(one: Judgment) -> tuple[str, str, int]:
    return (one.item, one.annotator, one.number)


@st.composite
def responses(draw: st.DrawFn, work: Work, item: WorkItem) -> Response:
    comment = draw(comments)
    match work:
        case WriteWork():
            return Writing(text=draw(texts), comment=comment)
        case CorrectWork():
            return Correction(text=draw(st.one_of(texts, st.just(item.answers[0].text))), comment=comment)
        case RateWork(scales=scales):
            scores = {scale.name: draw(st.integers(scale.low, scale.high)) for scale in scales}
            return Rating(scores=scores, comment=comment)
        case RankWork():
            first, second = draw(st.permutations(item.keys))
            together = draw(st.booleans())
            return Ranking(order=((first, second),) if together else ((first,), (second,)), comment=comment)
        case ChooseWork(ties=ties):
            return Choice(better=draw(st.sampled_from([*item.keys, *([None] if ties else [])])), comment=comment)
        case LabelWork(labels=labels, several=True):
            chosen = draw(st.lists(st.sampled_from(labels), unique=True, min_size=1))
            return Labels(labels=tuple(chosen), comment=comment)
        case LabelWork(labels=labels):
            return Labels(labels=(draw(st.sampled_from(labels)),), comment=comment)
        case SpansWork(labels=labels, of=of, reasons=reasons):
            length = len(item.marked(of))
            spans = {}
            for _ in range(draw(st.integers(0, 3))):
                start = draw(st.integers(0, length - 1))
                end, label = draw(st.integers(start + 1, length)), draw(st.sampled_from(labels))
                spans[start, end, label] = Span(start=start, end=end, label=label, reason="so" if reasons else "")
            return Spans(spans=tuple(spans.values()), comment=comment)


def same(found: Bundle, made: Bundle) -> None:
    assert found.project == made.project
    assert found.items == made.items
    assert sorted(found.judgments, key=order) == sorted(made.judgments, key=order)


@settings(max_examples=30, deadline=None)
@given(bundles())
def test_nothing_is_lost_on_the_way_there_and_back(bundle: Bundle) -> None:
    check_bundle(bundle, "made")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_jsonl(folder / "all.jsonl", bundle)
        same(read_jsonl(folder / "all.jsonl"), bundle)
        write_argilla(folder / "argilla", bundle)
        same(read_argilla(folder / "argilla"), bundle)
        write_label_studio(folder / "studio", bundle)
        same(read_label_studio(folder / "studio"), bundle)
        if bundle.judgments:
            write_table(folder / "said.csv", bundle)
            assert read_judgments(folder / "said.csv") == bundle.judgments


@settings(max_examples=4, deadline=None)
@given(bundles())
def test_a_project_goes_through_the_store_unchanged(bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(str(Path(temporary) / "store.db"), create=True)
        fill(store, bundle)
        same(bundle_of(store, "a project"), bundle)
        store.close()


def test_line_breaks_and_formulas_in_a_table(tmp_path: Path) -> None:
    item = WorkItem(id="i", messages=(user("=cmd|' /C calc'!A0"),))
    said = Judgment(item="i", annotator="annotator-1", number=1, response=Writing(text='@one\r\ntwo\n\n"three"'))
    bundle = Bundle(project=Project(name="p", work=WriteWork()), items=(item,), judgments=(said,))
    write_table(tmp_path / "said.csv", bundle)
    assert read_judgments(tmp_path / "said.csv") == (said,)
    text = (tmp_path / "said.csv").read_bytes().decode()
    assert ",'=cmd" in text
    assert "\"'@one" in text


USERS = ("1f5e9f9e-2c5b-4c6e-9b51-000000000001", "1f5e9f9e-2c5b-4c6e-9b51-000000000002")
# As Argilla 2.8 writes it: Settings.serialize and Record.to_dict.
ARGILLA: dict[str, Any] = {
    "guidelines": "Rate it.",
    "questions": [
        {
            "id": "q1",
            "name": "quality",
            "title": "Quality",
            "description": None,
            "required": True,
            "settings": {"type": "rating", "options": [{"value": value} for value in (1, 2, 3)]},
            "dataset_id": None,
        },
        {
            "id": "q2",
            "name": "notes",
            "title": "Notes",
            "required": False,
            "settings": {"type": "text", "use_markdown": True},
        },
    ],
    "fields": [
        {"id": "f1", "name": "instruction", "title": "I", "required": True, "settings": {"type": "text"}},
        {"id": "f2", "name": "context", "title": "C", "required": False, "settings": {"type": "text"}},
        {"id": "f3", "name": "response", "title": "R", "required": True, "settings": {"type": "text"}},
    ],
    "vectors": [{"name": "v", "dimensions": 2}],
    "metadata": [{"name": "source"}],
    "allow_extra_metadata": False,
    "distribution": {"strategy": "overlap", "min_submitted": 2},
    "mapping": None,
}
RECORDS: list[dict[str, Any]] = [
    {
        "id": "r1",
        "fields": {"instruction": "Why?", "context": "A text.", "response": "So."},
        "metadata": {"source": "book"},
        "suggestions": {"quality": {"value": 2, "score": 0.5, "agent": "model"}},
        "responses": {
            "quality": [{"value": 3, "user_id": USERS[0]}, {"value": 1, "user_id": USERS[1]}],
            "notes": [{"value": "fine", "user_id": USERS[0]}],
        },
        "vectors": {"v": [0.5, 0.25]},
        "_server_id": "2e8a3f0e-0000-4000-8000-000000000000",
    },
    {
        "id": "r2",
        "fields": {"instruction": "And?", "context": None, "response": "Yes."},
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "_server_id": None,
    },
]


def argilla_folder(folder: Path, settings_: Any = ARGILLA, records: Any = RECORDS) -> Path:
    (folder / ".argilla").mkdir(parents=True)
    (folder / ".argilla" / "settings.json").write_text(json.dumps(settings_))
    (folder / ".argilla" / "dataset.json").write_text(json.dumps({"name": "rated", "status": "ready"}))
    (folder / "records.json").write_text(json.dumps(records))
    return folder


def test_a_data_set_of_argillas_goes_through_the_store_and_back(tmp_path: Path) -> None:
    bundle = read_argilla(argilla_folder(tmp_path / "in"))
    assert bundle.project.work == RateWork(scales=(Scale(name="quality", low=1, high=3, question="Quality"),))
    assert bundle.project.overlap == 2
    first = bundle.items[0]
    assert first.messages == (user("Why?\n\nA text."),)
    assert [answer.text for answer in first.answers] == ["So."]
    assert [one.response for one in bundle.judgments] == [
        Rating(scores={"quality": 3}, comment="fine"),
        Rating(scores={"quality": 1}),
    ]
    store = Store(str(tmp_path / "store.db"), create=True)
    fill(store, bundle)
    assert [one.name for one in store.annotators("rated")] == list(USERS)
    out = bundle_of(store, "rated")
    store.close()
    names = {f"annotator-{number}": name for number, name in enumerate(USERS, start=1)}
    renamed = tuple(one.model_copy(update={"annotator": names[one.annotator]}) for one in out.judgments)
    write_argilla(tmp_path / "out", out.model_copy(update={"judgments": renamed}))
    assert json.loads((tmp_path / "out" / ".argilla" / "settings.json").read_text()) == ARGILLA
    records = json.loads((tmp_path / "out" / "records.json").read_text())
    for record in records:
        record["metadata"].pop("tutelage_judgments", None)
    assert records == RECORDS


def test_what_was_changed_in_argilla_is_a_later_judgment(tmp_path: Path) -> None:
    write_argilla(tmp_path / "a", read_argilla(argilla_folder(tmp_path / "in")))
    records = json.loads((tmp_path / "a" / "records.json").read_text())
    records[0]["responses"]["quality"][0]["value"] = 2
    (tmp_path / "a" / "records.json").write_text(json.dumps(records))
    said = [one for one in read_argilla(tmp_path / "a").judgments if one.annotator == USERS[0]]
    assert [(one.number, one.response) for one in said] == [
        (1, Rating(scores={"quality": 3}, comment="fine")),
        (2, Rating(scores={"quality": 2}, comment="fine")),
    ]


def test_a_change_in_argilla_is_as_late_as_what_it_changes(tmp_path: Path) -> None:
    item = WorkItem(id="i", messages=(user("Why?"),), answers=(Candidate(key="a", text="So."),))
    said = Judgment(item="i", annotator="annotator-1", number=1, response=Rating(scores={"quality": 3}), created_at=7.0)
    write_argilla(tmp_path / "a", Bundle(project=Project(name="p", work=RateWork()), items=(item,), judgments=(said,)))
    records = json.loads((tmp_path / "a" / "records.json").read_text())
    records[0]["responses"]["scale_1"][0]["value"] = 2
    (tmp_path / "a" / "records.json").write_text(json.dumps(records))
    assert [one.created_at for one in read_argilla(tmp_path / "a").judgments] == [7.0, 7.0]


MARKED = WorkItem(
    id="i",
    messages=(user("Earlier?"), assistant("Yes 🙂."), user("Ann 🙂 in Rome")),
    answers=(Candidate(key="a", text="So."),),
)


def marking(of: Literal["question", "answer"], *spans: Span, reasons: bool = False) -> Bundle:
    work = SpansWork(labels=("x", "y"), of=of, reasons=reasons)
    said = Judgment(item="i", annotator="annotator-1", number=1, response=Spans(spans=spans))
    return Bundle(project=Project(name="p", work=work), items=(MARKED,), judgments=(said,))


def test_marks_of_the_question_point_into_the_text_that_is_shown(tmp_path: Path) -> None:
    bundle = marking("question", Span(start=9, end=13, label="x"))
    write_argilla(tmp_path / "a", bundle)
    asked = json.loads((tmp_path / "a" / ".argilla" / "settings.json").read_text())
    types = {one["name"]: one["settings"]["type"] for one in asked["fields"]}
    field = asked["questions"][0]["settings"]["field"]
    assert types[field] == "text", "Argilla marks text alone"
    [record] = json.loads((tmp_path / "a" / "records.json").read_text())
    [span] = record["responses"]["marks"][0]["value"]
    assert record["fields"][field][span["start"] : span["end"]] == "Rome"
    assert [turn["content"] for turn in record["fields"]["before"]] == ["Earlier?", "Yes 🙂."]
    record["metadata"].pop("tutelage")
    (tmp_path / "a" / "records.json").write_text(json.dumps([record]))
    assert read_argilla(tmp_path / "a").items[0].messages == MARKED.messages
    write_label_studio(tmp_path / "s", bundle)
    [task] = json.loads((tmp_path / "s" / "tasks.json").read_text())
    [mark] = task["annotations"][0]["result"]
    shown = {tag.get("name"): tag.get("value", "") for tag in ElementTree.parse(tmp_path / "s" / "config.xml").iter()}
    text = task["data"][str(shown[mark["to_name"]]).removeprefix("$")].encode("utf-16-le")
    assert text[2 * mark["value"]["start"] : 2 * mark["value"]["end"]].decode("utf-16-le") == "Rome"
    assert task["data"]["before"] == "user: Earlier?\n\nassistant: Yes 🙂."


def test_marks_of_one_field_among_several_fit_its_text(tmp_path: Path) -> None:
    asked = copy.deepcopy(ARGILLA)
    options = {"type": "span", "options": [{"value": "x"}], "field": "context"}
    asked["questions"] = [{"name": "marks", "title": "M", "required": True, "settings": options}]
    asked["fields"] = asked["fields"][:2]
    value = [{"start": 2, "end": 6, "label": "x"}]
    record = {**RECORDS[0], "responses": {"marks": [{"value": value, "user_id": USERS[0]}]}, "suggestions": {}}
    bundle = read_argilla(argilla_folder(tmp_path / "in", asked, [record]))
    assert bundle.items[0].marked("question")[2:6] == "text"
    asked["fields"][1]["settings"]["type"] = "chat"
    with pytest.raises(DataError, match="no text"):
        read_argilla(argilla_folder(tmp_path / "chat", asked, [record]))
    config = CONFIG.replace("<View>", '<View><Text name="first" value="$first"/>')
    task = {**TASKS[0], "data": {**TASKS[0]["data"], "first": "Read this."}}
    assert read_label_studio(studio_folder(tmp_path / "s", config, [task])).items[0].marked("question")[-4:] == "Rome"


def test_marks_changed_in_argilla_keep_their_reasons(tmp_path: Path) -> None:
    first, second = Span(start=0, end=1, label="x", reason="why"), Span(start=1, end=2, label="y", reason="wherefore")
    write_argilla(tmp_path / "a", marking("answer", first, second, reasons=True))
    records = json.loads((tmp_path / "a" / "records.json").read_text())
    values = records[0]["responses"]["marks"]
    values[0]["value"][1]["label"] = "x"
    values.append({"value": [{"start": 0, "end": 3, "label": "y"}], "user_id": USERS[0]})
    (tmp_path / "a" / "records.json").write_text(json.dumps(records))
    told = read_argilla(tmp_path / "a").judgments
    reasons = [[span.reason for span in one.response.spans] for one in told if isinstance(one.response, Spans)]
    note = "(none: marked in Argilla)"
    assert reasons == [["why", "wherefore"], ["why", note], [note]]


def test_label_studio_is_told_no_members_of_its_own(tmp_path: Path) -> None:
    items = (MARKED,)
    said = [
        Judgment(item="i", annotator=who, role=role, number=1, response=Rating(scores={"quality": 3}), created_at=5.0)
        for who, role in (("annotator-2", "annotator"), ("Łu~1 #", "adjudicator"))
    ]
    bundle = Bundle(project=Project(name="p", work=RateWork()), items=items, judgments=tuple(said))
    write_label_studio(tmp_path / "s", bundle)
    same(read_label_studio(tmp_path / "s"), bundle)
    [task] = json.loads((tmp_path / "s" / "tasks.json").read_text())
    mine, other = task["annotations"]
    assert not {"completed_by"} & (mine.keys() | other.keys())
    for one in (mine, other):  # as Label Studio gives it back: whoever imported is who completed it
        one["completed_by"] = 1
    other["result"][0]["value"]["rating"] = 5
    other["updated_at"] = "1970-01-01T00:00:09Z"
    new = copy.deepcopy(mine)
    new["completed_by"], new["result"][0]["id"] = {"id": 2}, "Hx3"
    task["annotations"].append(new)
    (tmp_path / "s" / "tasks.json").write_text(json.dumps([task]))
    told = read_label_studio(tmp_path / "s").judgments
    assert [(one.annotator, one.role, one.number, one.created_at) for one in told] == [
        ("annotator-2", "annotator", 1, 5.0),
        ("Łu~1 #", "adjudicator", 1, 5.0),
        ("Łu~1 #", "adjudicator", 2, 9.0),
        ("2", "annotator", 1, 5.0),
    ]


def test_each_control_of_label_studios_points_to_its_own_text(tmp_path: Path) -> None:
    config = """<View><Text name="q" value="$q"/><Text name="r" value="$answer"/>
      <Rating name="ask" toName="q"/><Rating name="tell" toName="r"/></View>"""
    result = [
        {"from_name": name, "to_name": to, "type": "rating", "value": {"rating": 3}}
        for name, to in (("ask", "q"), ("tell", "r"))
    ]
    task = {"id": 1, "data": {"q": "Why?", "answer": "So."}, "annotations": [{"result": result}]}
    write_label_studio(tmp_path / "out", read_label_studio(studio_folder(tmp_path / "in", config, [task])))
    [written] = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert [one["to_name"] for one in written["annotations"][0]["result"]] == ["q", "r"]


def test_what_has_no_place_here_is_named(tmp_path: Path) -> None:
    asked = copy.deepcopy(ARGILLA)
    asked["questions"].append({"name": "kind", "settings": {"type": "span", "options": [], "field": "response"}})
    asked["fields"].append({"name": "picture", "settings": {"type": "image"}})
    with pytest.raises(DataError) as refused:
        read_argilla(argilla_folder(tmp_path / "a", asked))
    assert {problem.where for problem in refused.value.problems} == {"quality", "kind", "picture"}
    gaps = copy.deepcopy(ARGILLA)
    gaps["questions"][0]["settings"]["options"] = [{"value": 1}, {"value": 5}]
    with pytest.raises(DataError, match="leave out some"):
        read_argilla(argilla_folder(tmp_path / "b", gaps))
    wrong = copy.deepcopy(RECORDS)
    wrong[0]["responses"]["quality"][0]["value"] = 9
    wrong[1] = {"id": "r2"}
    with pytest.raises(DataError, match="record 1"):
        read_argilla(argilla_folder(tmp_path / "c", ARGILLA, wrong))
    with pytest.raises(DataError, match="from 1 to 3"):
        read_argilla(argilla_folder(tmp_path / "d", ARGILLA, wrong[:1]))


CONFIG = """<View>
  <Text name="txt" value="$text"/>
  <Labels name="mark" toName="txt"><Label value="person" background="red"/><Label value="place"/></Labels>
</View>"""
# As Label Studio's JSON export is documented, with an emoji before the second mark.
TASKS: list[dict[str, Any]] = [
    {
        "id": 7,
        "data": {"text": "Ann 🙂 in Rome", "source": "web"},
        "annotations": [
            {
                "id": 1001,
                "completed_by": 10,
                "was_cancelled": False,
                "ground_truth": False,
                "created_at": "2021-03-09T22:16:08.728353Z",
                "lead_time": 4.288,
                "result": [
                    {
                        "id": "a1",
                        "from_name": "mark",
                        "to_name": "txt",
                        "type": "labels",
                        "value": {"start": 0, "end": 3, "text": "Ann", "labels": ["person"]},
                    },
                    {
                        "id": "a2",
                        "from_name": "mark",
                        "to_name": "txt",
                        "type": "labels",
                        "value": {"start": 10, "end": 14, "text": "Rome", "labels": ["place"]},
                    },
                ],
            },
            {"id": 1002, "completed_by": {"id": 11}, "was_cancelled": True, "result": []},
        ],
        "predictions": [{"model_version": "m", "score": 0.5, "result": []}],
        "meta": {"page": 3},
    }
]


def studio_folder(folder: Path, config: str = CONFIG, tasks: Any = TASKS) -> Path:
    folder.mkdir()
    (folder / "config.xml").write_text(config, encoding="utf-8")
    (folder / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    return folder


def test_tasks_of_label_studios_come_in_and_go_out(tmp_path: Path) -> None:
    bundle = read_label_studio(studio_folder(tmp_path / "in"))
    assert bundle.project.work == SpansWork(labels=("person", "place"), of="question", reasons=False)
    [said] = bundle.judgments
    assert said.response == Spans(spans=(Span(start=0, end=3, label="person"), Span(start=9, end=13, label="place")))
    assert (said.annotator, said.seconds) == ("10", 4.288)
    write_label_studio(tmp_path / "out", bundle)
    [task] = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert (tmp_path / "out" / "config.xml").read_text() == CONFIG
    for key in ("id", "data", "predictions"):
        assert task[key] == TASKS[0][key]
    assert task["meta"]["page"] == 3
    [annotation] = task["annotations"]
    assert "completed_by" not in annotation, "another Label Studio has other members"
    assert [one["value"] for one in annotation["result"]] == [
        one["value"] for one in TASKS[0]["annotations"][0]["result"]
    ]
    same(read_label_studio(tmp_path / "out"), bundle)


def test_files_that_are_damaged_are_told_as_such(tmp_path: Path) -> None:
    for number, asked in enumerate(([], {"questions": [{"name": "q"}]}, {"questions": 3})):
        with pytest.raises(DataError, match=r"of Argilla|expected an object of settings"):
            read_argilla(argilla_folder(tmp_path / f"a{number}", asked))
    folder = argilla_folder(tmp_path / "own")
    (folder / ".argilla" / "tutelage.json").write_text('{"name": "p", "overlap": "many"}')
    with pytest.raises(DataError, match="overlap"):
        read_argilla(folder)
    for number, tasks in enumerate(
        ({}, [3], [{"id": 1}], [{"id": 1, "data": {"text": "x"}, "annotations": [{"result": [{}]}]}])
    ):
        with pytest.raises(DataError, match=r"list of tasks|not a task"):
            read_label_studio(studio_folder(tmp_path / f"s{number}", CONFIG, tasks))
    (tmp_path / "lines.jsonl").write_text('{"item": {}}\n{}\nno\n')
    with pytest.raises(DataError) as refused:
        read_jsonl(tmp_path / "lines.jsonl")
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("<View><Text name='t' value='$t'/><Brush name='b' toName='t'/></View>", "<Brush>"),
        ("<View><Text name='t' value='$t'/></View>", "no one kind of work"),
        ("<View><Rating name='r' toName='t'/></View>", "nothing is shown"),
        ("<View><Text name='t' value='$t'/><Number name='n' toName='t'/></View>", "needs min and max"),
        ("<View>", "not valid XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><View/>", "no entities"),
    ],
)
def test_configurations_that_have_no_place_here(tmp_path: Path, config: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_label_studio(studio_folder(tmp_path / "in", config, []))


def test_pairwise_and_choices_of_label_studio(tmp_path: Path) -> None:
    config = """<View><Text name="q" value="$q"/><Text name="l" value="$one"/><Text name="r" value="$two"/>
      <Pairwise name="pw" toName="l,r"/></View>"""
    value = {"from_name": "pw", "to_name": "l,r", "type": "pairwise", "value": {"selected": "right"}}
    task = {"id": 1, "data": {"q": "Which?", "one": "1", "two": "2"}, "annotations": [{"result": [value]}]}
    bundle = read_label_studio(studio_folder(tmp_path / "a", config, [task]))
    assert bundle.judgments[0].response == Choice(better="two")
    assert bundle.items[0].messages == (user("Which?"),)


@pytest.mark.parametrize(
    ("work", "row", "keys"),
    [
        (WriteWork(), {"prompt": "Why?"}, ()),
        (RateWork(), {"instruction": "Why?", "output": "So."}, ("a",)),
        (ChooseWork(), {"prompt": "Why?", "chosen": "So.", "rejected": "No."}, ("a", "b")),
        (RankWork(), {"prompt": "Why?", "answers": [{"key": "x", "text": "So."}, "No.", "Hm."]}, ("x", "b", "c")),
        (SpansWork(labels=("l",)), {"messages": [{"role": "user", "content": "?"}], "answers": ["So."]}, ("a",)),
    ],
)
def test_rows_of_any_form_become_items(tmp_path: Path, work: Work, row: dict[str, Any], keys: tuple[str, ...]) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": "own"}) + "\n")
    first, second = read_items(tmp_path / "rows.jsonl", work)
    assert first.keys == second.keys == keys
    assert (len(first.id), second.id) == (16, "own")


def test_the_order_of_a_pair_does_not_give_it_away(tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": f"Why {n}?", "chosen": "good", "rejected": "bad"}) for n in range(200)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    first = [item.answers[0].text for item in read_items(tmp_path / "rows.jsonl", ChooseWork())]
    assert 70 < first.count("good") < 130


@pytest.mark.parametrize("nothing", [None, ""])
def test_answers_that_are_not_given_blind_as_if_absent(tmp_path: Path, nothing: object) -> None:
    pairs = [{"prompt": f"Why {n}?", "chosen": "good", "rejected": "bad", "id": f"r{n}"} for n in range(40)]
    for name, more in (("absent", {}), ("empty", {"answers": nothing})):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({**row, **more}) for row in pairs))
    found = read_items(tmp_path / "empty.jsonl", ChooseWork())
    assert found == read_items(tmp_path / "absent.jsonl", ChooseWork())
    assert {item.answers[0].text for item in found} == {"good", "bad"}


@pytest.mark.parametrize("name", ["=1+1", "'=1", "'", "@x", "-1"])
def test_names_in_a_table_run_nothing_and_come_back(tmp_path: Path, name: str) -> None:
    item = WorkItem(id=name, messages=(user("Why?"),))
    said = Judgment(item=name, annotator=name, number=1, response=Writing(text="So."))
    write_table(
        tmp_path / "t.csv", Bundle(project=Project(name="p", work=WriteWork()), items=(item,), judgments=(said,))
    )
    assert read_judgments(tmp_path / "t.csv") == (said,)
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith(f"'{name},'{name},")


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "Why?", "answers": [1]}\n{"answers": "["}\n')
    with pytest.raises(DataError) as refused:
        read_items(tmp_path / "rows.jsonl", RankWork())
    assert len(refused.value.problems) == 3
    (tmp_path / "latin.csv").write_bytes("prompt\nWhy caf\xe9?\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_items(tmp_path / "latin.csv", WriteWork())
