"""A round of instructions to order: what is kept is what was ordered, the rest is dropped with its reason."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.classroom import Shout, shout
from support.judging import is_judging, scores
from support.ordering import kind_of, request, teacher, worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.instructions.definitions import DIMENSIONS, LEVEL_WORDS
from tutelage.construct.instructions.source import check_source, instruction_rows
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Asker, Sampler
from tutelage.errors import CompletionError, DataError
from tutelage.events import Event
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import InstructionsSource
from tutelage.records import Answer, Demonstration, Dropped, Example, Level, Request
from tutelage.records.instructions import Order
from tutelage.records.jsonl import read_records
from tutelage.records.ledger import Ledger

PLAN: dict[tuple[str, Level], int] = {("utility", "basic"): 3, ("faithfulness", "expert"): 1}
CRITERIA = {"truth": "It is right.", "clarity": "It is clear."}
Change = Callable[[str, Request], str | Answer | None]


def sampler(folder: Path, told: list[Event] | None = None, judge: Bench | None = None) -> Sampler:
    emit = told.append if told is not None else lambda event: None
    tasks = {"shout": Shout()}
    return Sampler(folder / "out", ConstructSection(), tasks, seed=5, round=1, chunk=4, emit=emit, bench=judge)


def made(
    folder: Path,
    change: Change | None = None,
    *,
    told: list[Request] | None = None,
    notes: list[Event] | None = None,
    at: Sampler | None = None,
    judge: Asker | None = None,
    demonstrations: tuple[Demonstration, ...] = (),
    plan: dict[tuple[str, Level], int] | None = None,
    **keys: object,
) -> list[Example]:
    section = InstructionsSource.model_validate({"kind": "instructions", "rows": 4, **keys})
    return instruction_rows(
        section,
        at or sampler(folder, notes),
        teacher=teacher(change, told),
        judge=judge,
        plan=plan or PLAN,
        demonstrations=demonstrations,
        base=folder,
    )


@pytest.fixture(autouse=True)
def tasks_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task whose dimension the plan is about; others are named by the cells themselves."""
    monkeypatch.setattr(Shout, "dimension", "utility")


CELLS = [{"dimension": "utility", "level": "basic"}, {"dimension": "faithfulness", "level": "expert"}]


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/instructions/ledger.jsonl", Ledger)}


def test_rows_are_what_was_ordered_with_their_lineage(tmp_path: Path) -> None:
    notes: list[Event] = []
    rows = made(tmp_path, notes=notes, cells=CELLS, topics=["bread", "wine"], personas=["a nurse"], languages=["en"])
    assert Counter((row.dimension, row.level, row.facet) for row in rows) == {
        ("utility", "basic", ""): 2, ("faithfulness", "expert", "stated"): 2,
    }  # fmt: skip
    for row in rows:
        lineage = row.lineage
        assert (lineage.paradigm, lineage.source, lineage.author, row.task) == (
            "distill", "instructions", "teacher", "instructions",
        )  # fmt: skip
        assert lineage.order is not None
        assert lineage.assessment is not None
        assert (lineage.order.persona, lineage.order.topic in ("bread", "wine")) == ("a nurse", True)
        assert (
            (lineage.assessment.dimension, lineage.assessment.level) == lineage.order.cell == (row.dimension, row.level)
        )
        (verdict,) = lineage.verdicts
        assert verdict.score is None, "nobody has judged what it says"
        assert lineage.cost.completion_tokens == 40, "request, assessment and two answers"
        assert row.messages[0].text.startswith("In my notes") == (row.facet == "stated")
        assert [message.role for message in row.messages] == ["user", "assistant"]
        assert Example.from_json(row.to_json()) == row
    assert all(not one.dropped and one.rows_in == 4 for one in ledgers(tmp_path).values())
    said = " ".join(str(event.data.get("text")) for event in notes)
    assert "of 4 rows nobody has judged what the answer says" in said
    assert "instructions, cells: 4 of 4 kept" in said


def test_the_reader_does_not_see_the_order(tmp_path: Path) -> None:
    told: list[Request] = []
    made(tmp_path, told=told, cells=CELLS, topics=[f"quinces {n}" for n in "abcd"], personas=["a falconer"])
    read = [one for one in told if kind_of(one.messages[0].text) == "assessment"]
    assert len(read) == 4
    for one in read:
        prompt = one.messages[0].text
        assert "quinces" not in prompt
        assert "falconer" not in prompt
        assert all(text in prompt for text in (*DIMENSIONS.values(), *LEVEL_WORDS.values())), "the words of the order"
        assert one.sampling.temperature == 0
    answered = [one for one in told if kind_of(one.messages[0].text) == "answer"]
    assert all(len(one.messages) == 1 for one in answered)
    assert Counter(one.messages[0].text for one in answered).most_common(1)[0][1] == 2, "samples"


def test_what_is_read_as_another_cell_is_dropped_and_ordered_again(tmp_path: Path) -> None:
    strange: set[str] = set()

    def change(kind: str, asked: Request) -> str | None:
        if kind == "assessment" and (asked.id in strange or len(strange) < 2):
            strange.add(asked.id)
            return json.dumps({"reason": "r", "dimension": "utility", "level": "expert", "harmful": False})
        return None

    rows = made(tmp_path / "drop", change, cells=CELLS[:1])
    assert [(row.dimension, row.level) for row in rows] == [("utility", "basic")] * 4
    found = ledgers(tmp_path / "drop")
    assert (found["requests"].rows_in, found["assessment"].rows_in, found["assessment"].kept) == (6, 6, 4)
    assert found["assessment"].dropped == {"it is read as of another level": 2}
    assert "6 orders were given" in found["cells"].notes
    assert len(read_records(tmp_path / "drop/out/instructions/orders.jsonl", Order)) == 6

    kept = made(tmp_path / "relabel", change, cells=CELLS[:1], mismatch="relabel", passes=0)
    assert Counter(row.level for row in kept) == {"basic": 2, "expert": 2}
    cells = ledgers(tmp_path / "relabel")["cells"]
    assert cells.dropped == {"short in utility, basic": 2}
    assert "2 more rows are of cells for which they were not ordered" in cells.notes


def test_requests_near_to_one_another_or_to_an_expert_are_dropped(tmp_path: Path) -> None:
    same = json.dumps({"material": "", "request": "I need some help with in a simple case: how do I boil an egg?"})
    expert = Demonstration(item=shout("x"), answer="A", author="she")
    copied = json.dumps({"material": "", "request": expert.item.prompt + " please"})

    def change(kind: str, asked: Request) -> str | None:
        number = int(asked.id.split("/")[1]) if kind == "request" else 9
        return same if number in (0, 1) else copied if number == 2 else None

    rows = made(tmp_path, change, cells=CELLS[:1], passes=0, demonstrations=(expert,), novelty=0.6)
    assert len(rows) == 2
    assert ledgers(tmp_path)["requests"].dropped == {
        "the request is too near to one before": 1, "the request repeats one of an expert": 1,
    }  # fmt: skip
    assert [row.step for row in read_records(tmp_path / "out/instructions/dropped.jsonl", Dropped)] == ["requests"] * 2


def test_what_is_wrong_with_a_request_is_said_to_its_writer(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        if kind == "request" and len(asked.messages) == 1:
            return json.dumps({"request": "Describe the attached picture of my garden."})
        return None

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, cells=CELLS[:1])
    assert len(rows) == 4
    again = [one for one in told if kind_of(one.messages[0].text) == "request" and len(one.messages) > 1]
    assert all("what a reader of text cannot see: 'attached'" in one.messages[-1].text for one in again)


def test_an_answer_whose_form_is_wrong_is_never_kept(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | Answer | None:
        if kind != "answer":
            return None
        if asked.id.endswith("/0"):
            return worded("It is so. " * 20)
        return Answer(request_id="", text="Wait.", finish="length") if asked.id.startswith("1/0/") else None

    rows = made(tmp_path, change, cells=CELLS[:1], passes=0)
    assert len(rows) == 3
    assert all("It is so" not in row.target.text for row in rows)
    assert ledgers(tmp_path)["answers"].dropped == {"no answer was right in form": 1}


def test_safety_is_checked_by_program_both_ways(tmp_path: Path) -> None:
    cells = [{"dimension": "safety", "level": "basic"}]
    rows = made(tmp_path, cells=cells)
    assert Counter(row.facet for row in rows) == {"harmful": 2, "harmless": 2}
    for row in rows:
        (verdict,) = row.lineage.verdicts
        assert (verdict.score == 1) == (row.facet == "harmful") == row.target.text.startswith("I'm sorry")
        assert any(part.name == "refusal" for part in verdict.parts)

    def helpful(kind: str, asked: Request) -> str | None:
        return "Mix it with water and pour it into the well at night." if kind == "answer" else None

    assert {row.facet for row in made(tmp_path / "bad", helpful, cells=cells, passes=0)} == {"harmless"}


def judging(folder: Path, shown: list[str] | None = None, **keys: object) -> Bench:
    """A judge that likes the word kettle; ``shown`` gets what it is shown."""
    section = JudgeSection.model_validate({"by": {"kind": "self"}, "criteria": CRITERIA, **keys})

    def judged(asked: Request) -> Answer:
        assert is_judging(asked.messages[-1].text)
        (shown if shown is not None else []).append(asked.messages[-1].text)
        mark = 5 if "kettle" in asked.messages[-1].text.rsplit("The answer to be judged", 1)[1] else 2
        return worded(scores(truth=mark, clarity=mark))

    judge = judge_of(section, open=lambda: ScriptedCompleter(judged, name="judge"), name="judge", again=False)
    return Bench(judge, section, folder / "out", 4, lambda event: None)


def kettle(kind: str, asked: Request) -> Answer | None:
    if kind == "answer" and not asked.id.startswith("1/0/"):
        return worded("Put the kettle on the table." if asked.id.endswith("/1") else "Put the lamp on the table.")
    return None


def test_the_judge_decides_what_is_kept_and_takes_the_best(tmp_path: Path) -> None:
    at = sampler(tmp_path, judge=judging(tmp_path))
    rows = made(tmp_path, kettle, at=at, cells=CELLS[:1], passes=0)
    assert [row.target.text for row in rows] == ["Put the kettle on the table."] * 3
    for row in rows:
        (verdict,) = row.lineage.verdicts
        assert verdict.score == 1
        assert verdict.judge is not None
        assert row.lineage.cost.completion_tokens == 40, "what the judge took is in no other figure"
    assert ledgers(tmp_path)["answers"].dropped == {"no answer was good enough for the judge": 1}
    assert at.bench is not None
    assert at.bench.sets[0].n == 8
    meter = at.meters["distill"]
    assert meter.judging is not None
    assert (meter.answers, meter.passed, meter.judging.judged) == (4, 3, 8)
    assert (tmp_path / "out/instructions/answers-judge.jsonl").is_file()


def test_a_judge_that_only_chooses_gives_no_score_to_what_says_nothing(tmp_path: Path) -> None:
    at = sampler(tmp_path, judge=judging(tmp_path, unchecked=False, best_of="pointwise"))
    rows = made(tmp_path, kettle, at=at, cells=CELLS[:1], passes=0)
    assert len(rows) == 4
    assert sum(row.target.text == "Put the kettle on the table." for row in rows) == 3
    ranking, form = rows[1].lineage.verdicts
    assert ranking.judge is not None
    assert form.score is None


def test_a_refusal_that_is_due_is_shown_to_no_judge(tmp_path: Path) -> None:
    shown: list[str] = []
    at = sampler(tmp_path, judge=judging(tmp_path, shown, best_of="pointwise"))

    def refusing(kind: str, asked: Request) -> str | None:
        if kind == "answer" and "poison" in asked.messages[-1].text:
            return f"I'm sorry, but I can't help with {'that' if asked.id.endswith('/0') else 'this'}."
        return "Put the kettle on the table." if kind == "answer" else None

    rows = made(tmp_path, refusing, at=at, cells=[{"dimension": "safety", "level": "basic"}])
    assert Counter(row.facet for row in rows) == {"harmful": 2, "harmless": 2}
    assert shown
    assert not any("poison" in prompt for prompt in shown)


def test_the_model_of_the_judge_reads_unless_the_teacher_is_named(tmp_path: Path) -> None:
    reading: list[Request] = []
    reader = teacher(told=reading)
    judge = Asker(reader.open, "the judge")
    at = sampler(tmp_path)
    rows = made(tmp_path, at=at, judge=judge, cells=CELLS[:1])
    assert {row.lineage.assessment.by for row in rows if row.lineage.assessment} == {"the judge"}
    assert {kind_of(one.messages[0].text) for one in reading} == {"assessment"}
    meter = at.meters["distill"]
    assert meter.judging is not None
    assert (meter.judging.judged, meter.judging.completion_tokens, meter.tokens) == (4, 40, 120)
    rows = made(tmp_path / "own", judge=judge, cells=CELLS[:1], assessor="teacher")
    assert {row.lineage.assessment.by for row in rows if row.lineage.assessment} == {"teacher"}


def test_personas_are_written_first_and_alike_ones_dropped(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        if kind == "personas" and asked.id == "personas/0":
            twice = "A nurse in a small town who plans her week."
            return json.dumps({"personas": [twice, twice, " ", "An old sailor who wants to read his letters."]})
        return None

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, cells=CELLS[:1], personas=4, rows=8)
    personas = {row.lineage.order.persona for row in rows if row.lineage.order}
    assert len(personas) == 4
    assert "A nurse in a small town who plans her week." in personas
    found = ledgers(tmp_path)["personas"]
    assert (found.rows_in, found.kept) == (6, 4)
    assert found.dropped == {"it is empty": 1, "it is too near to another": 1}
    again = next(one for one in told if one.id == "personas-2/0")
    assert "An old sailor" in again.messages[0].text, "those that are there are shown"
    assert "Think of 2 people" in again.messages[0].text


def test_where_no_persona_comes_the_requests_are_nobodys(tmp_path: Path) -> None:
    rows = made(tmp_path, lambda kind, asked: "{}" if kind == "personas" else None, personas=4, cells=CELLS[:1], rows=8)
    assert len(rows) == 8
    assert {row.lineage.order.persona for row in rows if row.lineage.order} == {""}
    found = ledgers(tmp_path)["personas"]
    assert found.kept == 0
    assert found.rows_in == sum(found.dropped.values()) > 0, "each reply that gave none is counted, with its reason"
    assert "none can be used: requests are nobody's in particular" in found.notes[0]


def test_turns_go_on_until_the_user_is_done(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        if kind == "turn" and asked.id.startswith("1/0/"):
            return json.dumps({"done": True, "message": ""})
        if kind == "answer" and asked.id.startswith("1/1/answers-3"):
            return "No no no no no no. " * 9
        return None

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, cells=CELLS[:1], turns=3, passes=0, personas=["a nurse"])
    lengths = {row.lineage.order.id: len(row.messages) for row in rows if row.lineage.order}
    assert lengths == {"1/0": 2, "1/1": 4, "1/2": 6, "1/3": 6}
    for row in rows:
        turns = len(row.messages) // 2
        assert [message.role for message in row.messages] == ["user", "assistant"] * turns
        assert len(row.lineage.verdicts) == turns, "each answer that is learned has its own"
        assert len([name for name in row.lineage.parents if "/answers" in name]) == turns
    whole = next(row for row in rows if len(row.messages) == 6)
    assert whole.lineage.cost.completion_tokens == 100, "request, assessment, two turns, three times two answers"
    turns_asked = [one for one in told if kind_of(one.messages[0].text) == "turn"]
    assert all("a nurse" in one.messages[0].text for one in turns_asked)
    assert any(whole.messages[1].text in one.messages[0].text for one in turns_asked), "the user sees the conversation"
    found = ledgers(tmp_path)["turns"]
    assert (found.rows_in, found.kept) == (7, 5)
    assert found.dropped == {"no answer was right in form": 1, "the user had what was wanted": 1}


def test_a_user_who_repeats_himself_is_told_so(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        if kind == "turn" and len(asked.messages) == 1:
            said = asked.messages[0].text.split("] user:\n", 1)[1].split("\n", 1)[0]
            return json.dumps({"done": False, "message": said})
        return None

    rows = made(tmp_path, change, cells=CELLS[:1], turns=2, passes=0)
    assert {len(row.messages) for row in rows} == {4}
    said = (tmp_path / "out/instructions/turns-2.jsonl").read_text()
    assert len(said.splitlines()) == 8


def test_after_a_refusal_nothing_follows(tmp_path: Path) -> None:
    rows = made(tmp_path, cells=[{"dimension": "safety", "level": "expert"}], turns=2)
    assert {(row.facet, len(row.messages)) for row in rows} == {("harmful", 2), ("harmless", 4)}


def test_nothing_is_asked_twice_and_a_stopped_round_gives_the_same_rows(tmp_path: Path) -> None:
    keys = {"cells": CELLS, "turns": 2, "personas": 3}
    whole = made(tmp_path / "whole", **keys)
    told: list[Request] = []

    def down(kind: str, asked: Request) -> Answer | None:
        if kind != "answer" or len(asked.messages) > 1:
            return None
        return Answer(request_id="", text="", finish="error", error="busy", transient=True)

    with pytest.raises(CompletionError, match=r"8 of 8 answers did not come .*busy"):
        made(tmp_path / "again", down, told=told, **keys)
    before = {one.id for one in told if kind_of(one.messages[0].text) != "answer"}
    again: list[Request] = []
    assert made(tmp_path / "again", told=again, **keys) == whole
    assert not before & {one.id for one in again}
    at, once_more = sampler(tmp_path / "again"), list[Request]()
    assert made(tmp_path / "again", told=once_more, at=at, **keys) == whole
    assert once_more == []
    meter = at.meters["distill"]
    assert (meter.answers, meter.passed, meter.errors) == (4, 4, 0)
    assert meter.tokens == sum(row.lineage.cost.completion_tokens or 0 for row in whole) + 10, "and the personas"


def test_two_languages_are_written_and_checked(tmp_path: Path) -> None:
    german = (
        "Wie muss ich im Winter meinen Garten gießen, damit die Rosen nicht erfrieren und der Boden locker bleibt?",
        "Welche Unterlagen brauche ich beim Amt, wenn ich mit meinen Kindern in eine andere Wohnung ziehen möchte?",
    )

    def change(kind: str, asked: Request) -> str | None:
        prompt = asked.messages[0].text
        if kind == "request" and "write: German" in prompt:
            number = int(asked.id.split("/")[1]) % 4 // 2
            return json.dumps({"material": "", "request": f"{german[number]} in a simple case some help with"})
        return None

    rows = made(tmp_path, change, cells=CELLS[:1], languages=["en", "de"], passes=0)
    assert {row.lineage.order.language for row in rows if row.lineage.order} == {"en"}, "answers are in English"
    found = ledgers(tmp_path)
    assert found["requests"].kept == 4
    assert found["answers"].dropped == {"no answer was right in form": 2}


def test_what_cannot_be_ordered_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    section = InstructionsSource(kind="instructions")
    with pytest.raises(DataError, match="there is no cell to order for"):
        check_source(section, tmp_path, ["dates"])
    check_source(section, tmp_path, ["dates", "utility"])
    with pytest.raises(DataError, match="cannot be read"):
        check_source(section.model_copy(update={"personas": "gone.txt"}), tmp_path, ["utility"])


def test_the_scripted_teacher_is_in_earnest(tmp_path: Path) -> None:
    """Its requests differ from one another, or the tests above would prove little."""
    told: list[Request] = []
    made(tmp_path, told=told, cells=CELLS, rows=12)
    said = [request(one.messages[0].text) for one in told if kind_of(one.messages[0].text) == "request"]
    assert len(set(said)) == 12
