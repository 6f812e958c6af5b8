"""What a teacher says of a passage becomes a row only with its proof; everything else is dropped with its reason."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.documents.asking import LEVEL_WORDS, Asked, Examiner, Grounded, questions
from tutelage.construct.documents.source import document_rows, passages_of_round
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.curate.contamination import Contamination
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.sources import DocumentsSource
from tutelage.records import Answer, Dropped, Example, Item, Ledger, Level, Request, Sampling, user
from tutelage.records.documents import Document, Passage
from tutelage.records.jsonl import read_records

DEPOSIT = (
    "Tenants pay a deposit of 900 euros before they move in. The “deposit” is returned within 30 days of the end of "
    "the lease, less what repairs have cost the owner – with a list of them."
)
KEYS = (
    "Tenants who lose a key tell the office within two working days. A new lock costs 120 euros, and the office orders "
    "it from the locksmith in the harbor street on the same day."
)
PETS = (
    "Cats and small dogs are allowed in every flat of the house. Larger animals need a permit that the council of "
    "owners grants once a year, in its meeting in spring."
)
GOOD = {
    "question": "When does a tenant get the deposit back?",
    "answer": "Within 30 days after the lease has ended.",
    "quotes": [
        '"The "deposit" is returned within 30 days"',
        "less what repairs have cost the\nowner - with a list of them",
    ],
}

NOT_THERE = "a quote is not in the passage, word for word"


def passage(text: str = DEPOSIT) -> Passage:
    return Passage(id="p", document="d", name="a.txt", section="Deposit", start=100, end=100 + len(text), text=text)


def fault(level: Level = "basic", form: str = "open_book", text: str = DEPOSIT, **changes: object) -> str:
    section = DocumentsSource.model_validate({"kind": "documents", "path": ".", "form": form})
    request = Request(id="r", messages=(user("?"),))
    examine = Examiner({"r": Asked(passage=passage(text), level=level)}, section)
    loss = examine(request, Grounded.model_validate({**GOOD, **changes}))
    return "" if loss is None else loss.reason


def test_quotes_are_looked_for_in_any_typography() -> None:
    assert fault() == ""
    assert fault("expert") == ""


@pytest.mark.parametrize(
    ("reason", "level", "form", "changes"),
    [
        ("the question is empty", "basic", "open_book", {"question": " ?"}),
        ("the answer is empty", "basic", "open_book", {"answer": "..."}),
        ("there are too few quotes for its level", "basic", "open_book", {"quotes": []}),
        ("there are too few quotes for its level", "advanced", "open_book", {"quotes": GOOD["quotes"][:1]}),
        ("there are too few quotes for its level", "advanced", "open_book",
         {"quotes": ["returned within 30 days", "is returned within 30 days of the end"]}),
        (NOT_THERE, "basic", "open_book", {"quotes": ["is paid back within 30 days"]}),
        (NOT_THERE, "basic", "open_book", {"quotes": ["pay a deposit ... move in"]}),
        (NOT_THERE, "basic", "open_book", {"quotes": ["enants pay a deposit"]}),
        (NOT_THERE, "basic", "open_book", {"quotes": ["tenants pay a deposit"]}),
        ("a quote is too short to prove anything", "basic", "open_book", {"quotes": ["30 days"]}),
        ("the answer is a copy of the whole passage", "basic", "open_book", {"answer": f"It says: {DEPOSIT}"}),
        ("a number of the answer stands neither in the passage nor in the question", "basic", "open_book",
         {"answer": "Within 30 days, so 4 weeks."}),
        ("the question says the answer itself", "basic", "open_book",
         {"question": "Is it within 30 days of the end?", "answer": "Within 30 days of the end."}),
        ("the question points at a passage that its reader does not have", "basic", "closed_book",
         {"question": "According to the passage, when is it returned?"}),
        ("the question points at a passage that its reader does not have", "basic", "closed_book",
         {"question": "Welche Frist wird in diesem Text genannt?"}),
        ("the question points at a passage that its reader does not have", "basic", "closed_book",
         {"question": "What is the deadline mentioned above?"}),
        ("", "basic", "open_book", {"question": "According to the passage, when is it returned?"}),
        ("", "basic", "closed_book", {"question": "Which document does a tenant get with the deposit?"}),
        ("", "basic", "open_book", {"question": "Who gets 1,000 euros?", "answer": "Nobody gets 1000 euros, but 900."}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(reason: str, level: Level, form: str, changes: dict) -> None:
    assert fault(level, form, **changes) == reason


def test_levels_and_subjects_come_in_turn() -> None:
    section = DocumentsSource(kind="documents", path=".", per_chunk=3)
    passages = [passage().model_copy(update={"id": f"p{n}"}) for n in range(4)]
    requests, asked = questions(passages, section, sampling=Sampling(), seed=1)
    assert Counter(one.level for one in asked.values()) == dict.fromkeys(LEVEL_WORDS, 3)
    assert len({request.seed for request in requests}) == 12
    assert all(len({request.messages for request in requests[at : at + 3]}) == 3 for at in range(0, 12, 3))
    for request in requests:
        assert DEPOSIT in request.messages[0].text
        assert LEVEL_WORDS[asked[request.id].level] in request.messages[0].text
    closed, _ = questions(
        passages, DocumentsSource(kind="documents", path=".", form="closed_book"), sampling=Sampling(), seed=1
    )
    assert "read without the passage" in closed[0].messages[0].text
    assert "read without the passage" not in requests[0].messages[0].text


def said(question: str, answer: str, *quotes: str) -> str:
    return json.dumps({"question": question, "answer": answer, "quotes": quotes}, ensure_ascii=False)


ANSWERS = {
    ("deposit", 0): [said("When is the deposit returned?", "Within 30 days.", "is returned within 30 days of the end")],
    ("deposit", 1): [said("When is the deposit returned?", "In 30 days.", "is returned within 30 days of the end")],
    ("lose a key", 0): [
        said("What does a new lock cost?", "It costs 120 euros.", "A new lock is 120 euros"),
        said("What does a new lock cost?", "It costs 120 euros.", "A new lock costs 120 euros"),
    ],
    ("lose a key", 1): ["I would rather not.", "No."],
    ("Cats", 0): [said("Which animals need no permit?", "Cats and small dogs.", "Cats and small dogs are allowed")],
    ("Cats", 1): [said("Who grants permits?", "The mayor of 1999.", "the council of owners grants")] * 2,
}


def teacher(told: list[str] | None = None, lost: Sequence[str] = ()) -> Asker:
    def reply(request: Request) -> str | Answer:
        if told is not None:
            told.append(request.id)
        first, number, *again = request.id.split("/")[0], int(request.id.split("/")[1]), *request.id.split("/")[4:]
        word = next(word for word, _ in ANSWERS if word in request.messages[0].text)
        if word in lost:
            return Answer(request_id=first, text="", finish="error", error="busy", transient=True)
        texts = ANSWERS[word, number]
        return Answer(
            request_id=first, text=texts[int(again[0]) if again else 0], prompt_tokens=100, completion_tokens=10
        )

    return Asker(lambda: ScriptedCompleter(reply), name="teacher")


def sampler(folder: Path, told: list[Event] | None = None, round: int = 1) -> Sampler:
    emit = told.append if told is not None else lambda event: None
    return Sampler(folder / "out", ConstructSection(), {}, seed=5, round=round, chunk=4, emit=emit)


def made(folder: Path, asker: Asker | None = None, told: list[Event] | None = None, **keys: object) -> list[Example]:
    for name, text in (("a.txt", DEPOSIT), ("b.md", f"# Keys\n\n{KEYS}"), ("c.html", f"<h1>Pets</h1><p>{PETS}</p>")):
        (folder / "docs").mkdir(exist_ok=True)
        (folder / "docs" / name).write_text(text)
    section = DocumentsSource.model_validate({"kind": "documents", "path": "docs", "levels": ["basic"], **keys})
    return document_rows(section, sampler(folder, told), teacher=asker or teacher(), seed=1, base=folder)


def test_rows_carry_their_proof_and_the_counts_add_up(tmp_path: Path) -> None:
    told: list[Event] = []
    rows = made(tmp_path, told=told)
    by_answer = {row.target.text: row for row in rows}
    assert len(by_answer.keys() & {"Within 30 days.", "In 30 days."}) == 1, "one question once"
    assert by_answer.keys() - {"Within 30 days.", "In 30 days."} == {"It costs 120 euros.", "Cats and small dogs."}
    folder = tmp_path / "out" / "documents"
    documents = {document.name: document for document in read_records(folder / "documents.jsonl", Document)}
    passages = {one.id: one for one in read_records(folder / "passages.jsonl", Passage)}
    lock = by_answer["It costs 120 euros."]
    (proof,) = lock.lineage.evidence
    assert (proof.document, proof.section, proof.text) == ("docs/b.md", "Keys", "A new lock costs 120 euros")
    assert documents["docs/b.md"].text[proof.start : proof.end] == proof.text
    document, own, answer = lock.lineage.parents
    assert (document, answer) == (documents["docs/b.md"].id, f"{own}/0/basic/again/1")
    assert lock.prompt == (user(f"{passages[own].text}\n\nWhat does a new lock cost?"),)
    assert (lock.lineage.paradigm, lock.lineage.source, lock.lineage.author) == ("distill", "documents", "teacher")
    assert lock.lineage.prompt == version("document_question")
    assert lock.lineage.cost.completion_tokens == 20, "both tries"
    assert (lock.level, lock.dimension, lock.facet, lock.group) == ("basic", "faithfulness", "stated", own)
    assert lock.lineage.verdicts[0].passed
    files, cut, asked = read_records(folder / "ledger.jsonl", Ledger)
    assert (files.kept, cut.kept, asked.rows_in, asked.kept) == (3, 3, 6, 3)
    assert asked.dropped == {
        "the same question was kept before": 1,
        "no JSON in it": 1,
        "a number of the answer stands neither in the passage nor in the question": 1,
    }
    dropped = read_records(folder / "dropped.jsonl", Dropped)
    assert len(dropped) == 3
    assert {row.step for row in dropped} == {"questions"}
    assert any("documents, questions: 3 of 6 kept" in str(event.data.get("text")) for event in told)
    assert Example.from_json(lock.to_json()) == lock


def test_the_meter_of_the_trade_off_counts_them(tmp_path: Path) -> None:
    made(tmp_path)
    asking = sampler(tmp_path)
    section = DocumentsSource(kind="documents", path="docs", levels=("basic",))
    document_rows(section, asking, teacher=Asker(lambda: ScriptedCompleter({}), "nobody"), seed=1, base=tmp_path)
    meter = asking.meters["distill"]
    assert (meter.answers, meter.passed, meter.errors, meter.tokens) == (6, 4, 0, 90), "read from the log alone"


def test_closed_book_rows_have_no_passage(tmp_path: Path) -> None:
    rows = made(tmp_path, form="closed_book")
    assert {row.prompt[0].text for row in rows} == {
        "When is the deposit returned?", "What does a new lock cost?", "Which animals need no permit?",
    }  # fmt: skip
    assert {row.dimension for row in rows} == {"utility"}


def test_unanswerable_rows_have_a_passage_without_the_quoted_words(tmp_path: Path) -> None:
    rows = made(tmp_path, unanswerable=0.4, abstention="Dazu steht nichts im Text.")
    absent = [row for row in rows if row.facet == "absent"]
    assert (len(rows), len(absent)) == (5, 2)
    stated = {row.id: row for row in rows if row.facet == "stated"}
    for row in absent:
        document, own, origin = row.lineage.parents
        assert row.target.text == "Dazu steht nichts im Text."
        assert own != stated[origin].group == stated[origin].lineage.parents[1]
        assert document != stated[origin].lineage.parents[0]
        assert all(proof.text not in row.prompt[0].text for proof in row.lineage.evidence)
        assert row.prompt[0].text.endswith(stated[origin].prompt[0].text.split("\n\n")[-1])
        assert row.lineage.cost.completion_tokens == 0, "no answer was asked for it"
    ledger = read_records(tmp_path / "out/documents/ledger.jsonl", Ledger)[-1]
    assert (ledger.stage, ledger.rows_in, ledger.kept) == ("abstentions", 2, 2)


def test_a_question_that_every_passage_answers_gives_no_row_that_abstains(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(3):
        (tmp_path / "docs" / f"{number}.txt").write_text(
            f"{KEYS} It was printed {number + 2} times, and is read rarely."
        )
    section = DocumentsSource(kind="documents", path="docs", levels=("basic",), per_chunk=1, unanswerable=0.5)
    rows = document_rows(section, sampler(tmp_path), teacher=teacher(), seed=1, base=tmp_path)
    assert {row.facet for row in rows} == {"stated"}
    ledger = read_records(tmp_path / "out/documents/ledger.jsonl", Ledger)[-1]
    assert ledger.dropped == {"every other passage has words of its quotes or its answer": 3}


def test_a_teacher_that_is_down_stops_the_stage_and_only_the_rest_is_asked_for(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(CompletionError, match=r"4 of 6 answers did not come .*busy"):
        made(tmp_path, teacher(told, lost=("lose a key", "Cats")))
    before = len(told)
    rows = made(tmp_path, teacher(told))
    assert len(rows) == 3
    again = [name for name in told[before:] if "/again/" not in name]
    assert len(again) == 4
    assert made(tmp_path, teacher(told)) == rows


def test_every_round_takes_the_next_passages() -> None:
    passages = [passage().model_copy(update={"id": str(n)}) for n in range(5)]
    taken = [[one.id for one in passages_of_round(passages, 2, round=r, seed=3)] for r in (1, 2, 3)]
    assert len({*taken[0], *taken[1]}) == 4
    assert len({*taken[0], *taken[1], *taken[2]}) == 5
    assert [one.id for one in passages_of_round(passages, 2, round=2, seed=3)] == taken[1]
    assert len(passages_of_round(passages, None, round=2, seed=3)) == 5


def test_rows_that_share_words_with_an_evaluation_item_are_left_out_by_curation(tmp_path: Path) -> None:
    rows = made(tmp_path)
    item = Item(
        id="i", task="t", dimension="faithfulness", level="basic", split="test", group="g",
        messages=(user(f"What follows? {DEPOSIT}"),),
    )  # fmt: skip
    sifted = Contamination([item]).apply(rows)
    assert len(sifted.dropped) == 1
    assert {row.group for row in sifted.kept} == {row.group for row in rows if "deposit" not in row.prompt[0].text}
