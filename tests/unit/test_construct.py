"""Construct with scripted answers: which answer is kept, what becomes a preference, what a row knows of its making."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.build import Cast, Constructed, construct
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.placebo import placebo
from tutelage.construct.sampling import Asker, Place, Sampler
from tutelage.events import silent
from tutelage.recipe.construct import ConstructSection, DistillSection, ExpertSection, SelfImproveSection, SelfTeacher
from tutelage.records import (
    LEVELS,
    Answer,
    Demonstration,
    Example,
    Item,
    Level,
    Lineage,
    Request,
    Sampling,
    Split,
    Verdict,
    assistant,
    content_id,
    user,
)
from tutelage.records.jsonl import read_records
from tutelage.records.tradeoff import CellYield, TradeOff


class Shout:
    """Say the word in capitals."""

    name = "shout"
    dimension = "instruction_following"
    levels: tuple[Level, ...] = ("basic", "advanced")

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        return [item(f"{level}{seed % 1000}x{number}", level, split) for number in range(n)]

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [self._verdict(item, answer.text) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        raise AssertionError("construct must never see the audit")

    @staticmethod
    def _verdict(item: Item, text: str) -> Verdict:
        if text == "?":
            return Verdict(score=None, reason="Nobody could judge it.")
        right = str(item.reference)
        return Verdict(score=float(text.strip().split(" ")[0] == right), reason=f"{text!r} should begin with {right}.")


def item(word: str, level: Level = "basic", split: Split = "train", facet: str = "") -> Item:
    return Item(
        id=f"id-{word}",
        task="shout",
        dimension="instruction_following",
        level=level,
        split=split,
        messages=(user(f"Shout {word}."),),
        group=word,
        facet=facet,
        reference=word.upper(),
    )


def answered(text: str, finish: str = "stop", tokens: int = 5) -> Answer:
    return Answer.model_validate(
        {"request_id": "", "text": text, "finish": finish, "prompt_tokens": 10, "completion_tokens": tokens}
    )


CUT = "length"
Script = dict[str, list[str | Answer]]


def asker(answers: Script, name: str = "student") -> Asker:
    """One who answers as written: ``{"word/attempts": [first sample, second, ...]}``."""

    def reply(request: Request) -> str | Answer:
        word, stage, number = request.id.removeprefix("id-").split("/")
        return answers[f"{word}/{stage}"][int(number)]

    return Asker(open=lambda: ScriptedCompleter(reply), name=name)


def sampler(folder: Path, **settings: object) -> Sampler:
    section = ConstructSection.model_validate({"references": False, **settings})
    return Sampler(folder, section, {"shout": Shout()}, seed=7, round=2, chunk=4, emit=silent)


def kept_text(rows: Sequence[Example]) -> list[str]:
    return [row.target.text for row in rows]


# Distillation.


def test_the_first_passing_answer_that_ended_is_kept(tmp_path: Path) -> None:
    answers: Script = {
        "ant/teacher": ["ant", answered("ANT cut", CUT), " ANT first \n", "ANT second"],
        "bee/teacher": ["bee", "bees", "?", answered("BEE", CUT)],
    }
    rows, pairs, asked = distill(
        [item("ant"), item("bee")], sampler(tmp_path), teacher=asker(answers, "teacher"), contexts={}, samples=4
    )
    assert kept_text(rows) == ["ANT first"]
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [("ANT first", "ant")]
    assert [len(group) for group in asked.values()] == [4, 4]


@pytest.mark.parametrize(("most", "kept"), [(1, ["ANT a"]), (2, ["ANT a", "ANT b"]), (9, ["ANT a", "ANT b", "ANT c"])])
def test_different_passing_answers_are_kept_up_to_the_limit(tmp_path: Path, most: int, kept: list[str]) -> None:
    answers: Script = {"ant/teacher": ["ANT a", "ANT a ", "ANT b", "ant", "ANT c"]}
    rows, pairs, _ = distill(
        [item("ant")], sampler(tmp_path, keep_per_prompt=most), teacher=asker(answers), contexts={}, samples=5
    )
    assert kept_text(rows) == kept
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [("ANT a", "ant")]
    assert len({row.id for row in rows}) == len(rows)


def test_what_was_cut_or_never_judged_is_nobodys_rejected_answer(tmp_path: Path) -> None:
    failed = Answer(request_id="", text="", finish="error", error="no connection")
    answers: Script = {"ant/teacher": [answered("ant", CUT), "?", failed, "ANT"]}
    rows, pairs, _ = distill([item("ant")], sampler(tmp_path), teacher=asker(answers), contexts={}, samples=4)
    assert kept_text(rows) == ["ANT"]
    assert pairs == []


def test_the_teachers_prompt_is_in_the_request_and_not_in_the_row(tmp_path: Path) -> None:
    context = (user("Shout fox."), assistant("FOX"))
    seen: list[Request] = []

    def reply(request: Request) -> Answer:
        seen.append(request)
        return answered("ANT", tokens=3) if request.id.endswith("/1") else answered("ant", tokens=4)

    rows, _, _ = distill(
        [item("ant")],
        sampler(tmp_path, temperature=0.5, top_p=0.9, max_tokens=33),
        teacher=Asker(lambda: ScriptedCompleter(reply), "the teacher"),
        contexts={"id-ant": context},
        samples=3,
    )
    assert [request.messages for request in seen] == [(*context, user("Shout ant."))] * 3
    assert {request.sampling for request in seen} == {Sampling(temperature=0.5, top_p=0.9, max_tokens=33)}
    assert len({request.seed for request in seen}) == 3, "equal seeds would give equal samples"
    (row,) = rows
    assert row.messages == (user("Shout ant."), assistant("ANT"))
    assert row.lineage.paradigm == "distill"
    assert row.lineage.source == "context_distillation"
    assert row.lineage.author == "the teacher"
    assert row.lineage.parents == ("id-ant", "id-ant/teacher/1")
    assert row.lineage.prompt == content_id([message.to_json() for message in context])
    assert row.lineage.round == 2
    assert row.lineage.verdicts[-1].passed
    assert row.lineage.cost.prompt_tokens == 30
    assert row.lineage.cost.completion_tokens == 11, "the attempts that were thrown away are paid, too"
    assert (row.task, row.dimension, row.level, row.group) == ("shout", "instruction_following", "basic", "ant")


def test_an_answer_that_copies_a_demonstration_is_not_kept(tmp_path: Path) -> None:
    shown = "FOX the quick brown fox jumps over the lazy dog"
    answers: Script = {"ant/teacher": ["ANT the quick, brown fox jumps over the lazy dog!", "ANT the quick brown fox"]}
    rows, _, asked = distill(
        [item("ant")],
        sampler(tmp_path),
        teacher=asker(answers),
        contexts={"id-ant": (user("Shout fox."), assistant(shown))},
        samples=2,
    )
    assert kept_text(rows) == ["ANT the quick brown fox"]
    assert len(asked["id-ant"]) == 2


def test_without_a_prompt_it_is_plain_distillation(tmp_path: Path) -> None:
    rows, _, _ = distill(
        [item("ant")], sampler(tmp_path), teacher=asker({"ant/teacher": ["ANT"]}), contexts={}, samples=1
    )
    assert rows[0].lineage.source == "distillation"


# Lessons.


def lesson(
    folder: Path, answers: Script, *, taught_by: Script | None = None, revisions: int = 2, **more: object
) -> Taught:
    words = list(dict.fromkeys(key.split("/")[0] for key in answers))
    return teach(
        [item(word) for word in words],
        sampler(folder, **more),
        student=asker(answers),
        teacher=asker(taught_by, "teacher") if taught_by is not None else None,
        contexts={},
        samples=2,
        revisions=revisions,
    )


def test_an_attempt_that_passes_is_kept_and_nothing_is_revised(tmp_path: Path) -> None:
    taught = lesson(tmp_path, {"ant/attempts": ["ant", "ANT"]}, taught_by={})
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.rows[0].lineage.source == "rejection"
    assert taught.rows[0].lineage.paradigm == "self"
    assert [(pair.chosen.text, pair.rejected.text) for pair in taught.pairs] == [("ANT", "ant")]
    (given,) = taught.lessons
    assert given.kept == "attempt"
    assert [turn.answer.text for turn in given.turns] == ["ANT"]
    assert not (tmp_path / "revisions.jsonl").exists()


def test_a_failed_attempt_is_criticized_and_its_revision_is_kept(tmp_path: Path) -> None:
    seen: list[Request] = []
    script = {"attempts": ["ant one", "ant two"], "revisions": ["no", "ANT now"]}

    def reply(request: Request) -> str:
        seen.append(request)
        _, stage, number = request.id.split("/")
        return script[stage][int(number)]

    taught = teach(
        [item("ant")],
        sampler(tmp_path),
        student=Asker(lambda: ScriptedCompleter(reply), "student"),
        teacher=None,
        contexts={},
        samples=2,
        revisions=2,
    )
    asked = seen[-1].messages
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    assert asked[1].text == "ant one"
    assert "'ant one' should begin with ANT." in asked[2].text
    (row,) = taught.rows
    assert row.messages == (user("Shout ant."), assistant("ANT now")), "the critique is not learned"
    assert row.lineage.source == "revision"
    assert row.lineage.parents == ("id-ant", "id-ant/revisions/1")
    (pair,) = taught.pairs
    assert (pair.prompt, pair.chosen.text, pair.rejected.text) == ((user("Shout ant."),), "ANT now", "ant one")
    (given,) = taught.lessons
    assert given.kept == "revision"
    assert [turn.answer.text for turn in given.turns] == ["ant one", "ANT now"]
    assert given.turns[0].critique == asked[2].text


def test_a_cut_attempt_is_told_so_and_is_no_rejected_answer(tmp_path: Path) -> None:
    answers: Script = {
        "ant/attempts": [answered("ANT and on", CUT), answered("ANT and on and on", CUT)],
        "ant/revisions": ["ANT", "ANT"],
    }
    taught = lesson(tmp_path, answers)
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.pairs == []
    assert "cut off because it is too long" in taught.lessons[0].turns[0].critique


def test_an_engines_error_is_no_answer_to_criticize(tmp_path: Path) -> None:
    error = Answer(request_id="", text="", finish="error", error="the prompt is too long")
    answers: Script = {
        "ant/attempts": [error, answered("a", CUT)],
        "ant/revisions": ["ANT", "ANT"],
        "bee/attempts": [error, error],
    }
    taught = lesson(tmp_path, answers)
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.lessons[0].turns[0].answer.text == "a"
    assert taught.lessons[1].kept == "nothing"
    assert [turn.answer.error for turn in taught.lessons[1].turns] == ["the prompt is too long"]


def test_the_teacher_answers_where_the_student_cannot_and_the_lesson_says_so(tmp_path: Path) -> None:
    answers: Script = {
        "ant/attempts": ["ant", "a"],
        "ant/revisions": ["an", "ants"],
        "bee/attempts": ["bee", "b"],
        "bee/revisions": ["be", "bees"],
    }
    taught = lesson(tmp_path, answers, taught_by={"ant/fallback": ["x", "ANT"], "bee/fallback": ["x", "y"]})
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.rows[0].lineage.paradigm == "distill"
    assert taught.rows[0].lineage.author == "teacher"
    assert [(pair.chosen.text, pair.rejected.text) for pair in taught.pairs] == [("ANT", "ant")]
    assert [given.kept for given in taught.lessons] == ["teacher", "nothing"]
    assert [turn.answer.text for turn in taught.lessons[0].turns] == ["ant", "an", "ANT"]
    assert [turn.answer.text for turn in taught.lessons[1].turns] == ["bee", "be", "x"]


def test_without_revisions_and_teacher_nothing_is_kept(tmp_path: Path) -> None:
    taught = lesson(tmp_path, {"ant/attempts": ["ant", "a"]}, revisions=0)
    assert (taught.rows, taught.pairs) == ([], [])
    assert taught.lessons[0].kept == "nothing"
    assert len(taught.lessons[0].turns) == 1


def test_without_verification_any_answer_that_ended_is_kept(tmp_path: Path) -> None:
    answers: Script = {"ant/attempts": [answered("ANT", CUT), "wrong"], "bee/attempts": ["  ", "also wrong"]}
    taught = lesson(tmp_path, answers, revisions=0, verify=False)
    assert kept_text(taught.rows) == ["wrong", "also wrong"]
    rows, _, _ = distill(
        [item("cat")],
        sampler(tmp_path / "more", verify=False),
        teacher=asker({"cat/teacher": ["dog", "CAT"]}),
        contexts={},
        samples=2,
    )
    assert kept_text(rows) == ["dog"]


def demonstrations(level: Level, number: int, facet: str = "", task: str = "shout") -> list[Demonstration]:
    return [
        Demonstration(
            item=item(f"{level}-{facet}-{n}", level, facet=facet).model_copy(update={"task": task}),
            answer=f"{level} {facet} {n}".upper(),
            author="Ada",
            minutes=2.0,
        )
        for n in range(number)
    ]


# The placebo.


def trained(word: str, answer: str) -> Example:
    return Example(
        id=f"row-{word}",
        messages=(user(f"Shout {word}."), assistant(answer)),
        lineage=Lineage(paradigm="self", source="rejection", author="student"),
        task="shout",
        dimension="instruction_following",
        level="basic",
    )


def test_the_placebo_is_the_ended_answer_nearest_in_length_right_or_wrong(tmp_path: Path) -> None:
    rows = [trained("ant", "ANT is four words"), trained("bee", "BEE"), trained("cat", "CAT"), trained("dog", "DOG")]
    answers = {
        "row-ant": [
            "one",
            "one two three four five",
            answered("one two three four", CUT),
        ],  # the cut one would fit best
        "row-bee": [answered("one two three", CUT), answered("one two", CUT), answered("", CUT)],  # nothing ended
        "row-cat": ["a b", " ", "c d"],  # equally near: the first
        "row-dog": ["", "  ", "\n"],  # nothing said
    }

    def reply(request: Request) -> str | Answer:
        row, _, number = request.id.split("/")
        assert request.messages == (user(f"Shout {row.removeprefix('row-')}."),), "the plain question"
        return answers[row][int(number)]

    made = placebo(
        tmp_path,
        rows,
        start=Asker(lambda: ScriptedCompleter(reply), "the start"),
        sampling=Sampling(temperature=0.8, max_tokens=20),
        samples=3,
        place=Place(seed=1, round=0, chunk=5, emit=silent),
    )
    assert kept_text(made) == ["one two three four five", "one two", "a b"]
    assert [row.lineage.parents[0] for row in made] == ["row-ant", "row-bee", "row-cat"]
    assert {row.lineage.source for row in made} == {"placebo"}
    assert {row.lineage.author for row in made} == {"the start"}
    assert all(row.lineage.verdicts == () for row in made), "nobody verified it"
    assert [row.prompt for row in made] == [row.prompt for row in rows[:3]]
    assert read_records(tmp_path / "records.jsonl", Example) == made


# A whole round.

SECTION = ConstructSection(
    expert=ExpertSection(),
    distill=DistillSection(teacher=SelfTeacher(kind="self"), share=0.5, shots=1, samples=2),
    self_improve=SelfImproveSection(samples=2, revisions=1),
    rehearsal=None,
    references=False,
)


def round_of(
    folder: Path, reply: Callable[[Request], str | Answer], section: ConstructSection = SECTION
) -> Constructed:
    one = Asker(lambda: ScriptedCompleter(reply), "student")
    return construct(
        folder,
        section=section,
        tasks={"shout": Shout()},
        prompts={("shout", "basic"): 6, ("shout", "advanced"): 4},
        demonstrations=demonstrations("basic", 3),
        cast=Cast(student=one, teacher=one, start=one),
        place=Place(seed=5, round=1, chunk=4, emit=silent),
    )


def right_at(*numbers: int) -> Callable[[Request], str | Answer]:
    """Answers that are right in the samples with these numbers."""

    def reply(request: Request) -> Answer:
        question = next(m.text for m in reversed(request.messages) if m.text.startswith("Shout "))
        word = question.removeprefix("Shout ").removesuffix(".")
        right = int(request.id.rsplit("/", 1)[1]) in numbers and "/revisions/" not in request.id
        return answered(word.upper() if right else word, tokens=3)

    return reply


def test_a_round_divides_its_items_and_its_files_agree(tmp_path: Path) -> None:
    made = round_of(tmp_path, right_at(1))
    by = {name: [row for row in made.rows if row.lineage.paradigm == name] for name in ("expert", "distill", "self")}
    assert {name: len(rows) for name, rows in by.items()} == {"expert": 3, "distill": 5, "self": 5}
    asked = [row.messages[0].text for row in [*by["distill"], *by["self"]]]
    assert len(set(asked)) == 10, "an item goes to the teacher or into a lesson"
    assert len(made.preferences) == 10
    assert len(made.lessons) == 5
    assert read_records(tmp_path / "records.jsonl", Example) == made.rows
    table = {row.paradigm: row for row in read_records(tmp_path / "tradeoffs.jsonl", TradeOff)}
    assert table["expert"].attempted == table["expert"].accepted == 3
    assert table["expert"].human_minutes == 6.0
    assert (table["distill"].attempted, table["distill"].accepted, table["distill"].tokens) == (10, 5, 30)
    assert (table["self"].attempted, table["self"].accepted, table["self"].tokens) == (10, 5, 30)
    assert table["self"].acceptance == 0.5
    cells = {(cell.level): cell for cell in read_records(tmp_path / "cells.jsonl", CellYield)}
    assert (cells["basic"].attempted, cells["basic"].accepted) == (12, 6)
    assert (cells["advanced"].attempted, cells["advanced"].accepted) == (8, 4)


def test_a_round_asked_again_asks_nothing_and_gives_the_same(tmp_path: Path) -> None:
    first = round_of(tmp_path, right_at(0))

    def never(request: Request) -> str:
        raise AssertionError(f"{request.id} was answered before")

    assert round_of(tmp_path, never) == first, "times included: they are those of the answers"


def test_what_is_switched_off_asks_nothing(tmp_path: Path) -> None:
    alone = SECTION.model_copy(update={"distill": None, "expert": None})
    made = round_of(tmp_path / "self", right_at(0), alone)
    assert {row.lineage.paradigm for row in made.rows} == {"self"}
    assert len(made.rows) == 10
    assert [row.paradigm for row in made.tradeoffs] == ["self"]
    made = round_of(tmp_path / "distill", right_at(0), SECTION.model_copy(update={"self_improve": None}))
    assert {row.lineage.paradigm for row in made.rows} == {"expert", "distill"}
    assert len(made.rows) == 13
    taught = SECTION.model_copy(
        update={"self_improve": SelfImproveSection(samples=1, revisions=0, teacher_fallback=False)}
    )
    assert {lesson.kept for lesson in round_of(tmp_path / "none", right_at(9), taught).lessons} == {"nothing"}


def test_levels_of_the_task_are_levels_of_the_record() -> None:
    assert set(Shout.levels) <= set(LEVELS)
