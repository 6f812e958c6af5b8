"""Lessons with scripted answers: attempt, critique, revision, and who answers where the student cannot."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.classroom import CUT, Script, Shout, answered, asker, kept_text, lesson, sampler, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.critique import gives_away
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.sampling import Asker, Sample, Sampler
from tutelage.events import Event, silent
from tutelage.records import Answer, Item, Request, Verdict, assistant, user
from tutelage.records.jsonl import read_records


def held(
    folder: Path, script: Script, *, taught_by: Script | None = None, revisions: int = 2, **more: object
) -> Taught:
    """A lesson for every word that ``script`` speaks of."""
    words = list(dict.fromkeys(key.split("/")[0] for key in script))
    return lesson(
        [shout(word) for word in words], sampler(folder, **more), script, taught_by=taught_by, revisions=revisions
    )


def test_an_attempt_that_passes_is_kept_and_nothing_is_revised(tmp_path: Path) -> None:
    taught = held(tmp_path, {"ant/attempts": ["ant", "ANT"]}, taught_by={})
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.rows[0].lineage.source == "rejection"
    assert taught.rows[0].lineage.paradigm == "self"
    assert [(pair.chosen.text, pair.rejected.text) for pair in taught.pairs] == [("ANT", "ant")]
    (told,) = taught.lessons
    assert told.kept == "attempt"
    assert [turn.answer.text for turn in told.turns] == ["ANT"]
    assert not (tmp_path / "revisions.jsonl").exists()


def test_a_failed_attempt_is_criticized_and_its_revision_is_kept(tmp_path: Path) -> None:
    seen: list[Request] = []
    script = {"attempts": ["ant one", "ant two"], "revisions": ["no", "ANT now"]}

    def reply(request: Request) -> str:
        seen.append(request)
        _, stage, number = request.id.split("/")
        return script[stage][int(number)]

    taught = teach(
        [shout("ant")],
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
    (told,) = taught.lessons
    assert told.kept == "revision"
    assert [turn.answer.text for turn in told.turns] == ["ant one", "ANT now"]
    assert told.turns[0].critique == asked[2].text


def test_a_cut_attempt_is_told_so_and_is_no_rejected_answer(tmp_path: Path) -> None:
    answers: Script = {
        "ant/attempts": [answered("ANT and on", CUT), answered("ANT and on and on", CUT)],
        "ant/revisions": ["ANT", "ANT"],
    }
    taught = held(tmp_path, answers)
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
    taught = held(tmp_path, answers)
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
    taught = held(tmp_path, answers, taught_by={"ant/fallback": ["x", "ANT"], "bee/fallback": ["x", "y"]})
    assert kept_text(taught.rows) == ["ANT"]
    assert taught.rows[0].lineage.paradigm == "distill"
    assert taught.rows[0].lineage.author == "teacher"
    assert [(pair.chosen.text, pair.rejected.text) for pair in taught.pairs] == [("ANT", "ant")]
    assert [told.kept for told in taught.lessons] == ["teacher", "nothing"]
    assert [turn.answer.text for turn in taught.lessons[0].turns] == ["ant", "an", "ANT"]
    assert [turn.answer.text for turn in taught.lessons[1].turns] == ["bee", "be", "x"]


def test_without_revisions_and_teacher_nothing_is_kept(tmp_path: Path) -> None:
    taught = held(tmp_path, {"ant/attempts": ["ant", "a"]}, revisions=0)
    assert (taught.rows, taught.pairs) == ([], [])
    assert taught.lessons[0].kept == "nothing"
    assert len(taught.lessons[0].turns) == 1


def test_without_verification_any_answer_with_words_is_kept_even_a_cut_one(tmp_path: Path) -> None:
    answers: Script = {"ant/attempts": [answered("an a", CUT), "ANT"], "bee/attempts": ["  ", "also wrong"]}
    taught = held(tmp_path, answers, revisions=0, verify=False)
    assert kept_text(taught.rows) == ["an a", "also wrong"]
    rows, _, _ = distill(
        [shout("cat")],
        sampler(tmp_path / "more", verify=False),
        teacher=asker({"cat/teacher": ["dog", "CAT"]}),
        contexts={},
        samples=2,
    )
    assert kept_text(rows) == ["dog"]


class Secret(Shout):
    """Say a word that neither the request nor the verdict names."""

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [verdict.model_copy(update={"reason": "No."}) for verdict in super().check(items, answers)]


def criticized(
    folder: Path, says: str | Answer, *, told: list[Event] | None = None, secret: bool = False
) -> tuple[Taught, list[Request], Sampler]:
    """A lesson on "ant" whose critic says ``says``; what the critic and the student were asked, in order."""
    seen: list[Request] = []
    script = {"attempts": "nothing" if secret else "ant one", "revisions": "ANT now"}

    def student(request: Request) -> str:
        seen.append(request)
        return script[request.id.split("/")[1]]

    def critic(request: Request) -> str | Answer:
        seen.append(request)
        return says

    item = shout("ant").model_copy(update={"messages": (user("Say it."),)}) if secret else shout("ant")
    asking = replace(sampler(folder, Secret() if secret else None), emit=silent if told is None else told.append)
    taught = teach(
        [item],
        asking,
        student=Asker(lambda: ScriptedCompleter(student), "student"),
        teacher=None,
        contexts={},
        samples=1,
        revisions=1,
        critic=Asker(lambda: ScriptedCompleter(critic), "large"),
    )
    return taught, seen, asking


def test_a_teacher_criticizes_what_it_is_shown_and_the_student_revises_after_its_words(tmp_path: Path) -> None:
    said = answered("You whisper. Raise the first word.", tokens=9)
    taught, seen, asking = criticized(tmp_path, said)
    attempt, critique, revision = seen
    assert critique.id == f"{attempt.id}/critique"
    for part in ("user: Shout ant.", "ant one", "should begin with ANT."):
        assert part in critique.messages[0].text, "task, attempt and the check's reason"
    assert "You whisper. Raise the first word." in revision.messages[-1].text
    assert "should begin with" not in revision.messages[-1].text, "the teacher's words stand for the check's"
    (row,) = taught.rows
    assert (row.lineage.source, row.lineage.author) == ("revision", "student")
    assert row.lineage.cost.completion_tokens is None, "the scripted student does not count its tokens"
    (turn, _) = taught.lessons[0].turns
    assert (turn.critic, turn.critique) == ("large", revision.messages[-1].text)
    assert [one.text for one in read_records(tmp_path / "critiques.jsonl", Answer)] == [said.text]
    assert asking.meters["self"].answers == 2, "a critique is no attempt"


@pytest.mark.parametrize(
    ("says", "fault"),
    [
        ("Write ANT, and all is well.", "gave the answer away"),
        (answered("Raise your", CUT), "cut off"),
        ("  ", "empty"),
        (Answer(request_id="", text="", finish="error", error="gone"), "did not come"),
    ],
)
def test_a_critique_of_no_use_is_counted_and_the_check_speaks(tmp_path: Path, says: str | Answer, fault: str) -> None:
    told: list[Event] = []
    taught, seen, _ = criticized(tmp_path, says, told=told, secret=True)
    assert "That is not quite right. No.\n" in seen[-1].messages[-1].text
    assert taught.lessons[0].turns[0].critic == ""
    text = " ".join(str(event.data.get("text")) for event in told)
    assert f"critiques: 1 of 1 are not used, the check speaks instead: 1 {fault}" in text


def test_what_was_criticized_is_not_paid_for_again(tmp_path: Path) -> None:
    first, _, _ = criticized(tmp_path, "Raise the first word.")
    again, seen, _ = criticized(tmp_path, "Something else.")
    assert not seen
    assert again == first


@settings(max_examples=60)
@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=30), st.integers(0, 8), st.integers(1, 12))
def test_a_run_of_the_reference_is_given_away_and_what_the_student_has_is_not(
    words: list[str], at: int, length: int
) -> None:
    item = shout("x").model_copy(update={"reference": " ".join(words)})
    attempt = Sample(item, answered("z"), Verdict(score=0.0, reason="no"))
    part = words[at : at + length]
    found = gives_away(f"say {' '.join(part)} then", attempt)
    assert found == (len(part) == len(words) or len(part) >= 8)
    there = replace(attempt, answer=answered(" ".join(words)))
    assert not gives_away(" ".join(words), there)
