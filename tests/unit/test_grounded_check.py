"""Verdicts of check and audit on answers whose worth is plain."""

import pytest

from tutelage.records import Answer, Item, Verdict, user
from tutelage.tasks.grounded import Grounded
from tutelage.tasks.grounded.key import AnswerKey, Rival

TASK = Grounded()
PASSAGE = (
    "Harrow Mill was built in 1953. Losk Mill was built in 1947. The miller of Harrow Mill is Mira Oldan. "
    "Harrow Mill works with twelve millstones. Correction: the year of Harrow Mill is 1961, not 1953."
)


def item_of(question: str, key: AnswerKey, passage: str = PASSAGE) -> Item:
    return Item(
        id="x",
        task="grounded",
        dimension="faithfulness",
        level="expert",
        split="train",
        messages=(user(f"{passage}\n\n{question} Answer in a few words."),),
        group="train/mill/note",
        facet="absent" if key.gold is None else "stated",
        passage=passage,
        spec=key.model_dump(mode="json"),
    )


def answered(text: str, item: Item) -> tuple[Verdict, Verdict]:
    answer = Answer(request_id="x", text=text)
    return TASK.check([item], [answer])[0], TASK.audit([item], [answer])[0]


YEAR = item_of(
    "When was Harrow Mill built?",
    AnswerKey(
        kind="year",
        noun="year",
        subject="Harrow Mill",
        gold="1961",
        rivals=(
            Rival(value="1953", owner="Harrow Mill", noun="year", superseded=True),
            Rival(value="1947", owner="Losk Mill", noun="year"),
        ),
    ),
)
MILLER = item_of(
    "Who is the miller of Losk Mill?",
    AnswerKey(
        kind="person",
        noun="miller",
        subject="Losk Mill",
        rivals=(Rival(value="Mira Oldan", owner="Harrow Mill", noun="miller"),),
    ),
)
OLDER = item_of(
    "Which has the earlier year, Harrow Mill or Losk Mill?",
    AnswerKey(
        kind="entity",
        noun="year",
        subject="Losk Mill",
        gold="Losk Mill",
        rivals=(Rival(value="Harrow Mill", owner="Harrow Mill", noun="year"),),
        candidates=("Harrow Mill", "Losk Mill"),
    ),
)
OPEN = item_of(
    "Which has the greater number of millstones, Harrow Mill or Losk Mill?",
    AnswerKey(
        kind="entity",
        noun="number of millstones",
        subject="Losk Mill",
        candidates=("Harrow Mill", "Losk Mill"),
    ),
)


@pytest.mark.parametrize(
    "text", ["1961", "In 1961.", "It was built in 1961.", "1961, not 1953.", "Harrow Mill dates from 1961."]
)
def test_right_answers_pass_both(text: str) -> None:
    assert [verdict.score for verdict in answered(text, YEAR)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1953", "1953 is corrected later in the passage; the correction counts: 1961."),
        ("1947.", "1947 is the year of Losk Mill; the year of Harrow Mill is 1961."),
        ("1961 or 1947", "Two values are given, 1961 and 1947."),
        ("1953, not 1961", "1953 is corrected later"),
        ("In 1890.", "That is not what the passage says: the year of Harrow Mill is 1961."),
        ("The passage does not say.", "The passage does state it: the year of Harrow Mill is 1961."),
        ("1961, but it is not stated.", "The answer gives 1961 and says that it is not stated"),
        ("1961 " + "and so on " * 10, "The answer has 31 words; a few were asked, 20 at most."),
        ("  ", "No answer was given."),
    ],
)
def test_wrong_answers_are_told_why(text: str, reason: str) -> None:
    verdict, _ = answered(text, YEAR)
    assert verdict.score == 0.0
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        "The passage does not say.",
        "Not stated.",
        "It only names the miller of Harrow Mill, not that of Losk Mill.",
        "The miller of Losk Mill isn't named; Mira Oldan works at Harrow Mill, but that is all that is not missing.",
    ],
)
def test_admitted_absences_pass(text: str) -> None:
    assert answered(text, MILLER)[0].score == 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Mira Oldan.", "The passage gives Mira Oldan for Harrow Mill; the miller of Losk Mill is not stated."),
        ("Nobody.", "The passage gives Mira Oldan for Harrow Mill"),
        ("Mira Oldan. It is not stated.", "The answer says that it is not stated and still offers Mira Oldan."),
        ("It is not stated, but probably Mira.", "The answer guesses"),
    ],
)
def test_absences_must_be_admitted_and_nothing_offered(text: str, reason: str) -> None:
    verdict, _ = answered(text, MILLER)
    assert verdict.score == 0.0
    assert verdict.reason.startswith(reason)


def test_a_figure_from_nowhere_is_an_offer() -> None:
    key = AnswerKey(kind="number", noun="height", subject="Losk Mill")
    verdict, _ = answered("Not stated, but it is 35 meters.", item_of("How high is Losk Mill?", key))
    assert verdict.score == 0.0
    assert "still offers 35" in verdict.reason


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Losk Mill.", 1.0),
        ("Losk", 1.0),
        ("Losk Mill is older than Harrow Mill.", 1.0),
        ("Harrow Mill.", 0.0),
        ("Harrow Mill and Losk Mill", 0.0),
        ("The mill.", 0.0),
    ],
)
def test_comparisons(text: str, score: float) -> None:
    assert answered(text, OLDER)[0].score == score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("The passage does not say.", 1.0),
        ("The number for Losk Mill is not given.", 1.0),
        ("Only Harrow Mill's number is given.", 1.0),
        ("Harrow Mill. The passage does not state the other.", 0.0),
        ("Harrow Mill has more, though it is not stated.", 0.0),
        ("Harrow Mill.", 0.0),
    ],
)
def test_open_comparisons(text: str, score: float) -> None:
    assert answered(text, OPEN)[0].score == score


def test_an_answer_that_never_came_is_unscored() -> None:
    answer = Answer(request_id="x", text="", finish="error", error="timeout")
    assert TASK.check([YEAR], [answer])[0].score is None
    assert TASK.audit([YEAR], [answer])[0].score is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("It was built in 1961 by Karl Brons.", "nothing_invented"),
        ("In 1961, on 3 May.", "nothing_invented"),
        ("It is the answer.", "content"),
        ("", "not_degenerate"),
        (PASSAGE, "no_echo"),
    ],
)
def test_the_audit_sees_what_the_check_does_not(text: str, part: str) -> None:
    verdict = answered(text, YEAR)[1]
    assert part in [part.name for part in verdict.parts if not part.passed]


def test_the_audit_wants_an_end() -> None:
    verdict = TASK.audit([YEAR], [Answer(request_id="x", text="In 1961", finish="length")])[0]
    assert [part.name for part in verdict.parts if not part.passed] == ["ended"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("The passage does not say.", True),
        ("Only Harrow Mill's miller is named, not this one.", True),
        ("Losk Mill.", False),
        ("It does not say. The answer is Oldan.", False),
    ],
)
def test_the_audit_of_absences(text: str, passes: bool) -> None:
    assert answered(text, MILLER)[1].passed is passes
