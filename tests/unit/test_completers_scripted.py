"""Scripts: functions, mappings, lists."""

import pytest

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.errors import CompletionError
from tutelage.records import Answer, Request, user

ASKED = [Request(id=str(n), messages=(user(f"question {n}"),), seed=n) for n in range(3)]


def test_a_list_is_answered_from_its_start_in_every_call() -> None:
    completer = ScriptedCompleter(["a", "b"])
    for _ in range(2):
        answers = list(completer.complete(ASKED))
        assert [answer.text for answer in answers] == ["a", "b", ""]
        assert [answer.finish for answer in answers] == ["stop", "stop", "error"]


def test_a_mapping_goes_by_the_last_message() -> None:
    answers = list(ScriptedCompleter({"question 1": "one"}).complete(ASKED))
    assert [answer.text for answer in answers] == ["", "one", ""]
    assert "no answer" in answers[0].error


def test_a_function_may_return_a_whole_answer() -> None:
    completer = ScriptedCompleter(lambda request: Answer(request_id="?", text="cut", finish="length"), name="cutter")
    answers = list(completer.complete(ASKED))
    assert [(answer.request_id, answer.finish, answer.seed) for answer in answers] == [
        ("0", "length", 0),
        ("1", "length", 1),
        ("2", "length", 2),
    ]
    assert completer.engine.model == "cutter"


def test_a_bare_string_is_no_script() -> None:
    with pytest.raises(CompletionError, match="Put the one answer into a list"):
        ScriptedCompleter("yes")
