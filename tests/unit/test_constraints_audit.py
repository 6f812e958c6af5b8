"""The audit sees what the check does not: cut, looping, copied, refused, empty and off-topic answers."""

from tutelage.records import Answer, Item, user
from tutelage.records.answers import FinishReason
from tutelage.tasks.constraints import Constraints

TASK = Constraints()
GOOD = "Green tea is brewed from fresh leaves and tastes a little bitter but clean."


def item(*kinds: str, prompt: str = "Describe green tea.") -> Item:
    return Item(
        id="x",
        task="constraints",
        dimension="instruction_following",
        level="basic",
        split="test",
        messages=(user(prompt),),
        group="g",
        kinds=kinds,
        spec={"base": "Describe green tea.", "terms": ["green", "tea", "leaf"], "constraints": []},
    )


def failed(asked: Item, text: str, finish: FinishReason = "stop") -> list[str]:
    verdict = TASK.audit([asked], [Answer(request_id="x", text=text, finish=finish)])[0]
    return [part.name for part in verdict.parts if not part.passed]


def test_a_good_answer_passes() -> None:
    assert failed(item("no_commas"), GOOD) == []


def test_each_flaw_is_named() -> None:
    long = "Please describe green tea for a person who has never had a cup of it before today."
    assert failed(item("no_commas"), GOOD, "length") == ["ended"]
    assert failed(item("no_commas"), "Green tea.") == ["substantial"]
    assert failed(item("no_commas"), "It is brewed from something fresh and tastes a little bitter.") == ["on_topic"]
    assert failed(item("no_commas"), f"I'm sorry, but I know nothing. {GOOD}") == ["willing"]
    assert "not_degenerate" in failed(item("no_commas"), "I drink green tea every day. " * 6)
    assert failed(item("no_commas", prompt=long), long) == ["no_echo"]


def test_what_a_demand_makes_meaningless_is_skipped() -> None:
    french = "Cette boisson chaude vient de Chine et elle a un goût frais."
    assert failed(item("language"), french) == []
    assert failed(item("choice"), "yes") == []
    assert failed(item("choice"), "yes because of many things and then some more") == ["brief"]
    assert failed(item("choice", "bullets"), "yes\n- no") == ["substantial", "on_topic"]
    assert failed(item("repeat"), f"Describe green tea. {GOOD}") == []
    assert failed(item("repeat"), "Describe green tea. It is good, warm and cheap.") == ["substantial"]


def test_an_answer_that_never_came_stays_unscored() -> None:
    lost = Answer(request_id="x", text="", finish="error", error="timeout")
    assert TASK.audit([item("no_commas")], [lost])[0].score is None
    assert TASK.check([item("no_commas")], [lost])[0].score is None
    assert "timeout" in TASK.check([item("no_commas")], [lost])[0].reason
