"""Lessons with scripted answers: attempt, critique, revision, and who answers where the student cannot."""

from pathlib import Path

from support.classroom import CUT, Script, answered, asker, kept_text, lesson, sampler, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.sampling import Asker
from tutelage.records import Answer, Request, assistant, user


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
