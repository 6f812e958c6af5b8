"""Reasons before answers, with a scripted teacher: what is asked, what is lost and counted, what a row learns."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.classroom import Shout, sampler, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.distill import distill
from tutelage.construct.rationales.asking import UNFIT, asking
from tutelage.construct.rationales.conclusions import contradiction
from tutelage.construct.rationales.examining import Examiner, Reasoned, Shown
from tutelage.construct.sampling import Asker, Sampler
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.recipe.rationales import RationalesSection
from tutelage.records import (
    Answer,
    Conversation,
    ImagePart,
    Item,
    Ledger,
    Message,
    Request,
    TextPart,
    Verdict,
    assistant,
    content_id,
    user,
)
from tutelage.records.jsonl import read_records
from tutelage.records.structured import StructuredYield

WHY = "Capitals are the louder form of the letters, and the word stays what it is."
SECTION = RationalesSection(place="reasoning")
Reply = Callable[[Request], str | Answer]


def said(reasoning: str, answer: str) -> str:
    return json.dumps({"reasoning": reasoning, "answer": answer})


def scripted(*texts: str | Answer, seen: list[Request] | None = None) -> Asker:
    """One who gives the texts in the order in which it is asked."""
    left = list(texts)

    def reply(request: Request) -> str | Answer:
        if seen is not None:
            seen.append(request)
        return left.pop(0)

    return Asker(open=lambda: ScriptedCompleter(reply), name="teacher")


def reasoning(folder: Path, place: str = "reasoning", *, task: Shout | None = None, **more: object) -> Sampler:
    """The sampler of a recipe that wants rationales."""
    wanted = {"place": place, "retries": 0, **more}
    return sampler(folder, task, distill={"rationales": wanted})


BOTH = f"ANT is what is shouted: {WHY}"


@pytest.mark.parametrize(
    ("place", "reply", "reasons", "text"),
    [("reasoning", (WHY, " ANT\n"), WHY, "ANT"), ("answer", (BOTH, "ANT"), "", f"{BOTH}\n\nANT")],
)
def test_the_check_judges_the_answer_and_the_row_learns_both(
    tmp_path: Path, place: str, reply: tuple[str, str], reasons: str, text: str
) -> None:
    asked = reasoning(tmp_path, place)
    rows, pairs, _ = distill([shout("ant")], asked, teacher=scripted(said(*reply)), contexts={}, samples=1)
    (row,) = rows
    assert (row.target.reasoning, row.target.text) == (reasons, text)
    assert row.prompt == shout("ant").messages, "the student sees the plain question"
    assert row.lineage.prompt.startswith("rationale@")
    assert row.lineage.verdicts == (Verdict(score=1.0, reason="'ANT' should begin with ANT."),)
    assert row.lineage.sampling is not None
    assert row.lineage.sampling.max_tokens == 512
    assert not pairs


def test_reasons_before_the_answer_must_pass_the_check_with_it(tmp_path: Path) -> None:
    """The student will be scored on the whole text."""
    rows, pairs, asked = distill(
        [shout("ant")], reasoning(tmp_path, "answer"), teacher=scripted(said(WHY, "ANT")), contexts={}, samples=1
    )
    (sample,) = asked["id-ant"]
    assert not rows
    assert not pairs
    assert sample.lost == UNFIT
    (ledger,) = read_records(tmp_path / "teacher_rationales.jsonl", Ledger)
    assert ledger.dropped == {UNFIT: 1}


def test_a_wrong_answer_is_rejected_with_its_reasons_and_a_lost_one_is_nobodys(tmp_path: Path) -> None:
    replies = said("", "ant"), said(WHY, "ant"), "no JSON at all", said(WHY, "ANT")
    sampling = reasoning(tmp_path)
    rows, pairs, _ = distill([shout("ant")], sampling, teacher=scripted(*replies), contexts={}, samples=4)
    (pair,) = pairs
    assert [row.target.text for row in rows] == ["ANT"]
    assert (pair.rejected.text, pair.rejected.reasoning) == ("ant", WHY)
    meter = sampling.meters["distill"]
    assert (meter.answers, meter.passed, meter.errors, meter.unjudged) == (4, 1, 0, 0)
    (cell,) = sampling.cells.values()
    assert (cell.attempted, cell.accepted) == (4, 1), "a teacher that gives no reasons has that yield"
    (ledger,) = read_records(tmp_path / "teacher_rationales.jsonl", Ledger)
    assert ledger.dropped == {"no JSON in it": 1, "the reasoning is empty": 1}
    counts = StructuredYield.from_json((tmp_path / "teacher_yield.json").read_text())
    assert counts.lost == {"no_json": 1, "rejected": 1}


def test_it_is_asked_again_with_what_was_wrong_and_pays_for_both(tmp_path: Path) -> None:
    seen: list[Request] = []
    first = Answer(request_id="", text=said("ANT", "ANT"), finish="stop", prompt_tokens=10, completion_tokens=20)
    second = first.model_copy(update={"text": said(WHY, "ANT"), "completion_tokens": 30})
    told: list[Event] = []
    asked = reasoning(tmp_path, retries=1)
    asked = Sampler(tmp_path, asked.section, asked.tasks, seed=7, round=2, chunk=4, emit=told.append)
    teacher = scripted(first, second, seen=seen)
    rows, _, _ = distill([shout("ant")], asked, teacher=teacher, contexts={}, samples=1)
    assert "only repeats the answer" in seen[1].messages[-1].text
    assert rows[0].lineage.cost.completion_tokens == 50
    assert rows[0].lineage.parents[-1].endswith("/again/1")
    assert asked.meters["distill"].tokens == 50
    text = " ".join(str(event.data.get("text")) for event in told)
    assert "teacher: 1 of 1 answers have reasons that can be used" in text
    again, _, _ = distill([shout("ant")], asked, teacher=scripted(), contexts={}, samples=1)
    assert again == rows, "what stands in the log is asked of nobody"


def test_what_never_came_is_no_failure_of_the_teacher(tmp_path: Path) -> None:
    gone = Answer(request_id="", text="", finish="error", error="filtered")
    asked = reasoning(tmp_path)
    rows, pairs, _ = distill([shout("ant")], asked, teacher=scripted(gone, said(WHY, "ANT")), contexts={}, samples=2)
    meter = asked.meters["distill"]
    assert (meter.answers, meter.passed, meter.errors) == (1, 1, 1)
    assert len(rows) == 1
    assert not pairs
    (ledger,) = read_records(tmp_path / "teacher_rationales.jsonl", Ledger)
    assert (ledger.rows_in, ledger.kept, ledger.notes) == (1, 1, ("1 more did not come",))
    lost = gone.model_copy(update={"transient": True})
    with pytest.raises(CompletionError, match="3 of 3 answers did not come"):
        distill([shout("bee")], reasoning(tmp_path / "b"), teacher=scripted(lost, lost, lost), contexts={}, samples=3)


def test_demonstrations_stand_as_texts_before_the_question(tmp_path: Path) -> None:
    """They have no reasons: as turns they would show that none are wanted."""
    seen: list[Request] = []
    context = (user("Shout fox."), assistant("FOX"))
    own = (user("Shout ant."), assistant("ANT"))
    rows, _, _ = distill(
        [shout("ant")],
        reasoning(tmp_path),
        teacher=scripted(said(WHY, "ANT"), seen=seen),
        contexts={"id-ant": (*context, *own)},
        samples=1,
    )
    (request,) = seen
    (turn,) = request.messages
    example = "<example>\n<question>\nShout fox.\n</question>\n<answer>\nFOX\n</answer>\n</example>"
    assert turn.text.startswith(f"{example}\n\nShout ant.\n\nThe examples above show")
    assert "ANT\n</answer>" not in turn.text, "the item is no example of itself"
    assert request.answer_schema is not None
    assert request.answer_schema.strict
    assert rows[0].lineage.source == "context_distillation"
    plain = asking(shout("ant"), (), SECTION)
    assert plain[0].text.startswith("Shout ant.\n\nAnswer in two parts.")


def test_images_of_demonstrations_and_questions_keep_their_places() -> None:
    picture = ImagePart(kind="image", uri="a.png")
    question = Message(role="user", content=(TextPart(kind="text", text="What is it?"), picture))
    item = shout("ant").model_copy(update={"messages": (user("Look."), assistant("Yes."), question)})
    turns = asking(item, (question, assistant("A cat.")), SECTION)
    assert turns[:2] == item.messages[:2]
    kinds = [part.kind for part in turns[-1].content]
    assert kinds == ["text", "text", "image", "text", "text", "text", "text", "text", "image", "text"]


def fault(reasons: str, answer: str, *, question: str = "Why?", context: Conversation = (), most: int = 40) -> str:
    request = Request(id="r", messages=(user(question),))
    loss = Examiner({"r": Shown(question, context)}, most)(request, Reasoned(reasoning=reasons, answer=answer))
    return "" if loss is None else loss.reason


SHOWN = (user("Say it."), assistant("A pump that rattles at night has worn bearings and needs new ones."))


@pytest.mark.parametrize(
    ("reasons", "answer", "reason"),
    [
        (" \n", "42", "the reasoning is empty"),
        ("...", "42", "the reasoning is empty"),
        ("Six times seven is what was asked.", " ", "the answer is empty"),
        ("42", "42", "the reasoning only repeats the answer"),
        ("It is 42.", "42", "the reasoning only repeats the answer"),
        (
            "The pump must be cleaned before winter comes.",
            "The pump must be cleaned before winter comes, and dried.",
            "the reasoning only repeats the answer",
        ),
        ("Why is the sky so blue at noon", "Air scatters it.", "the reasoning only repeats the question"),
        ("word " * 41, "42", "the reasoning is longer than 40 words"),
        ("字" * 401, "四十二", "the reasoning is longer than 40 words"),
        ("I add <think> six and seven.", "13", "there are marks of reasoning in it"),
        ("It rattles at night has worn bearings and needs new ones, so.", "Repair it.", "the reasoning copies"),
        ("As in the examples above, it is wear of the bearings.", "Wear.", "the reasoning points at examples"),
        ("Six and seven are added. The answer is 14.", "13", "the reasoning comes to another answer"),
        ("Six and seven are added, which makes thirteen.", "13", ""),
        ("六和七相加等于十三,因此得到这个结果。", "13", ""),
        ("For examples of wear, look at the bearings first.", "Wear.", ""),
    ],
)
def test_what_is_wrong_with_reasons(reasons: str, answer: str, reason: str) -> None:
    question = "Why is the sky so blue at noon?"
    found = fault(reasons, answer, question=question, context=SHOWN)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_words_of_the_question_are_no_copy_and_without_examples_nothing_points_at_them() -> None:
    own = SHOWN[1].text
    reasons = f"It is said that {own} Bearings wear out by friction, which is heard first when all else is silent."
    assert fault(reasons, "Wear.", context=SHOWN).startswith("the reasoning copies")
    assert fault(reasons, "Wear.", question=own, context=SHOWN) == ""
    assert fault("Of the examples given in law, theft is the clearest of all.", "Theft.") == ""


@pytest.mark.parametrize(
    ("reasons", "answer", "differs"),
    [
        ("The answer is Paris.", "London", True),
        ("So the answer is: **the Seine**.", "Seine", False),
        ("The answer must be no, for it is closed.", "Yes.", True),
        ("The answer is yes, for it is open.", "Yes, it is.", False),
        ("The correct answer is (B).", "C", True),
        ("The answer is option b.", "(B)", False),
        ("The total is 1,000 dollars.", "1000", False),
        ("The result is 1.50.", "1.5 liters", False),
        ("First the answer is 3, they say. But no: the answer is 4.", "4", False),
        ("3 + 4 = 7. So 7 apples are left.", "7", False),
        ("3 + 4 = 7. So 7 apples are left.", "8 apples", True),
        ("3 + 4 = 7. So 7 apples are left.", "There are 8 apples left on the tree.", False),
        ("Die Antwort lautet 12.", "13", True),
        ("La respuesta es no.", "Sí", True),
        ("Nothing is concluded here 5", "6", False),
        ("The answer is long and says many things at once", "London", False),
        ("The answer is", "London", False),
    ],
)
def test_conclusions(reasons: str, answer: str, differs: bool) -> None:
    assert bool(contradiction(reasons, answer)) is differs


def test_a_row_of_other_reasons_is_another_row(tmp_path: Path) -> None:
    other = "Letters have two sizes, of which the larger is heard from afar."
    rows, _, _ = distill(
        [shout("ant")],
        sampler(tmp_path, keep_per_prompt=2, distill={"rationales": {"place": "reasoning"}}),
        teacher=scripted(said(WHY, "ANT"), said(other, "ANT")),
        contexts={},
        samples=2,
    )
    assert [row.target.reasoning for row in rows] == [WHY], "the same answer is kept once"
    assert rows[0].id != content_id("distillation", "id-ant", "ANT")


class Bulleted(Shout):
    """A task whose program mends drafts."""

    def mend(self, item: Item, text: str) -> str | None:
        return str(item.reference) if text else None

    def plain(self, item: Item) -> Conversation | None:
        return None


def test_what_is_mended_has_no_reasons_and_what_was_lost_is_not_mended(tmp_path: Path) -> None:
    rows, _, _ = distill(
        [shout("ant"), shout("bee")],
        reasoning(tmp_path, task=Bulleted()),
        teacher=scripted(said(WHY, "the ant"), said("", "the bee")),
        contexts={},
        samples=1,
    )
    assert [(row.target.text, row.target.reasoning, row.lineage.source) for row in rows] == [("ANT", "", "mending")]
