"""A whole round of construct with scripted answers, and the placebo: what is asked, kept, counted and written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.classroom import CUT, Shout, answered, kept_text, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.build import Cast, Constructed, construct
from tutelage.construct.placebo import placebo
from tutelage.construct.sampling import Asker, Place
from tutelage.errors import CompletionError
from tutelage.events import silent
from tutelage.recipe.construct import ConstructSection, DistillSection, ExpertSection, SelfImproveSection, SelfTeacher
from tutelage.records import (
    LEVELS,
    Answer,
    Demonstration,
    Example,
    Level,
    Lineage,
    Request,
    Sampling,
    assistant,
    user,
)
from tutelage.records.jsonl import read_records
from tutelage.records.tradeoff import CellYield, TradeOff


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


SECTION = ConstructSection(
    expert=ExpertSection(),
    distill=DistillSection(teacher=SelfTeacher(kind="self"), share=0.5, shots=1, samples=2),
    self_improve=SelfImproveSection(samples=2, revisions=1),
    rehearsal=None,
    references=False,
)


def demonstrations(level: Level, number: int, facet: str = "", task: str = "shout") -> list[Demonstration]:
    return [
        Demonstration(
            item=shout(f"{level}-{facet}-{n}", level, facet=facet).model_copy(update={"task": task}),
            answer=f"{level} {facet} {n}".upper(),
            author="Ada",
            minutes=2.0,
        )
        for n in range(number)
    ]


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


def test_a_round_that_an_endpoint_left_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    asked: list[str] = []

    def gone(request: Request) -> Answer:
        asked.append(request.id)
        if len(asked) > 6:
            return Answer(request_id="", text="", finish="error", error="no connection", transient=True)
        return right_at(0)(request)

    def back(request: Request) -> str | Answer:
        assert request.id not in asked[:6], "what came is kept"
        return right_at(0)(request)

    with pytest.raises(CompletionError, match="no connection"):
        round_of(tmp_path / "cut", gone)
    assert not (tmp_path / "cut" / "records.jsonl").exists()
    made = round_of(tmp_path / "cut", back)
    assert made.rows == round_of(tmp_path / "whole", right_at(0)).rows
    assert {row.errors for row in made.tradeoffs} == {0}


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
