"""Decomposition: an answer that met some demands becomes a row for the item that asks only these."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.classroom import Script, asker, lesson, sampler
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught
from tutelage.records import LEVELS, Answer, Level
from tutelage.tasks.constraints import Constraints
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.items import SEEN

TASK = Constraints()


FAMILIES = {"start", "keywords_in", "no_commas"}
ITEM = next(item for item in TASK.items("train", "advanced", 400, seed=3) if set(item.kinds) == FAMILIES)
START, KEYWORDS = (
    next(constraint for constraint in read_constraints(ITEM) if constraint.name == name)
    for name in ("start", "keywords_in")
)


def answer(*met: str, extra: str = "") -> str:
    """A text that meets exactly those demands of ``ITEM`` that are named."""
    opening = START.literals() if "start" in met else "Zounds"
    words = " ".join([KEYWORDS.literals()] * 3) if "keywords_in" in met else "nothing"
    return f"{opening} {words}{'' if 'no_commas' in met else ','} and so on{extra}."


def met_by(text: str) -> set[str]:
    (verdict,) = TASK.check([ITEM], [Answer(request_id="", text=text, finish="stop")])
    return {part.name for part in verdict.parts if part.passed}


def held(folder: Path, script: Script, *, taught: bool = False, **settings: object) -> Taught:
    return lesson([ITEM], sampler(folder, TASK, **settings), script, taught_by=script if taught else None)


@given(met=st.sets(st.sampled_from(sorted(FAMILIES))))
def test_the_scripted_answers_meet_what_they_say(met: set[str]) -> None:
    assert met_by(answer(*met)) == met


def test_the_answer_that_met_most_is_kept_for_what_it_met(tmp_path: Path) -> None:
    one, two = answer("no_commas"), answer("start", "no_commas")
    taught = held(tmp_path, {"attempts": [one, two], "revisions": [one]})
    (row,) = taught.rows
    assert row.target.text == two
    assert row.level == "intermediate"
    assert row.lineage.source == "decomposition"
    assert row.lineage.paradigm == "self"
    assert row.lineage.author == "student"
    assert row.lineage.parents[1:] == (ITEM.id, f"{ITEM.id}/attempts/1")
    assert row.lineage.verdicts[0].passed
    assert {part.name for part in row.lineage.verdicts[0].parts} == {"start", "no_commas"}
    assert row.prompt != ITEM.messages
    assert str(ITEM.spec["base"]) in row.prompt[0].text
    assert taught.lessons[0].kept == "part"
    assert taught.lessons[0].item == ITEM
    assert taught.pairs == [], "nothing met the whole item"


def test_a_teacher_that_met_more_is_kept_and_named(tmp_path: Path) -> None:
    one, two = answer("no_commas"), answer("start", "no_commas")
    taught = held(tmp_path, {"attempts": [one, one], "revisions": [one], "fallback": [one, two]}, taught=True)
    (row,) = taught.rows
    assert (row.lineage.paradigm, row.lineage.author) == ("distill", "teacher")
    assert row.target.text == two


def test_of_equal_ones_the_students_is_kept(tmp_path: Path) -> None:
    mine = answer("no_commas", extra=" mine")
    theirs = answer("no_commas", extra=" theirs")
    taught = held(tmp_path, {"attempts": [mine, mine], "revisions": [mine], "fallback": [theirs] * 2}, taught=True)
    assert [(row.lineage.paradigm, row.target.text) for row in taught.rows] == [("self", mine)]


def cut(text: str) -> Answer:
    return Answer(request_id="", text=text, finish="length")


NOTHING = answer()


@pytest.mark.parametrize(
    ("answers", "settings"),
    [
        ([cut(answer("no_commas")), NOTHING], {}),
        ([NOTHING, ""], {}),
        ([answer("no_commas")] * 2, {"decompose": False}),
    ],
    ids=["cut", "nothing met", "switched off"],
)
def test_when_nothing_is_kept(tmp_path: Path, answers: list[str | Answer], settings: dict[str, object]) -> None:
    assert met_by(NOTHING) == set()
    taught = held(tmp_path, {"attempts": answers, "revisions": [answers[0]]}, **settings)
    assert taught.rows == []
    assert taught.lessons[0].kept == "nothing"


def distilled(folder: Path, answers: Sequence[str], parts: bool) -> list[str]:
    rows, pairs, _ = distill(
        [ITEM],
        sampler(folder, TASK),
        teacher=asker({"teacher": answers}, "teacher"),
        contexts={},
        samples=len(answers),
        parts=parts,
    )
    assert pairs == []
    assert {row.lineage.paradigm for row in rows} <= {"distill"}
    return [row.target.text for row in rows]


def test_a_teachers_answers_are_decomposed_too(tmp_path: Path) -> None:
    text = answer("start")
    assert distilled(tmp_path / "a", [NOTHING, text], parts=True) == [text]
    assert distilled(tmp_path / "b", [NOTHING, text], parts=False) == []


@given(
    level=st.sampled_from(LEVELS), index=st.integers(0, 29), kept=st.sets(st.sampled_from(sorted(SEEN))), by=st.data()
)
def test_a_smaller_item_asks_for_just_these_demands(
    level: Level, index: int, kept: set[str], by: st.DataObject
) -> None:
    whole = TASK.items("train", level, 30, seed=11)[index]
    kept = by.draw(st.sets(st.sampled_from(whole.kinds))) if not kept & set(whole.kinds) else kept
    part = TASK.decompose(whole, sorted(kept))
    wanted = [constraint for constraint in read_constraints(whole) if constraint.name in kept]
    if not wanted or len(wanted) == len(whole.kinds):
        assert part is None
        return
    assert part is not None
    assert list(read_constraints(part)) == wanted
    assert part.kinds == tuple(constraint.name for constraint in wanted)
    assert part.level == LEVELS[len(wanted) - 1]
    assert (part.group, part.split, part.facet) == (whole.group, whole.split, whole.facet)
    assert str(whole.spec["base"]).removesuffix(".") in part.messages[0].text
    assert part.id != whole.id
    assert part == TASK.decompose(whole, sorted(kept)), "the same for the same arguments"
