"""What a judge replied, read strictly: a verdict, or the kind and the reason of its being none."""

import json

import pytest

from support.endpoint import of_schema
from support.judging import RUBRIC, better, scores
from tutelage.completers.structured.forms import form_of_schema
from tutelage.judging.reading import PREFERENCE, Unreadable, read_better, read_scores, scores_schema
from tutelage.judging.rubric import Criterion, Rubric
from tutelage.records import Answer
from tutelage.records.verdicts import CriterionScore

GOOD = scores(truth=4, clarity=5)


def reply(text: str, finish: str = "stop") -> Answer:
    return Answer.model_validate({"request_id": "r", "text": text, "finish": finish})


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}```",
        scores(clarity=5, truth=4),
        GOOD.replace("4", "4.0"),
        '{"truth": {"score": 4, "reason": "about truth"}, "clarity": {"score": 5, "reason": "about\n clarity"}}',
    ],
)
def test_one_object_with_all_criteria_is_read(text: str) -> None:
    found = read_scores(reply(text), RUBRIC)
    assert [(one.name, one.score, one.reason) for one in found] == [
        ("truth", 4, "about truth"),
        ("clarity", 5, "about clarity"),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("", "empty", "empty"),
        (" \n", "empty", "empty"),
        ("I'm sorry, but I cannot judge this.", "refused", "will not"),
        ("I can’t help with that.", "refused", "will not"),
        ("The answer deserves a 5.", "unreadable", "no JSON object"),
        (f"Here is my judgment: {GOOD}", "unreadable", "no JSON object"),
        (f"{GOOD} {GOOD}", "unreadable", "no JSON object"),
        (f"{GOOD}\nOverall a good answer.", "unreadable", "no JSON object"),
        (GOOD[:-1], "unreadable", "no JSON object"),
        ("[4, 5]", "unreadable", "no JSON object"),
        ("5", "unreadable", "no JSON object"),
        ("[" * 100_000, "unreadable", "no JSON object"),
        (scores(truth=4), "unreadable", "keys ['truth'], not truth, clarity"),
        (scores(truth=4, clarity=5, overall=5), "unreadable", "overall"),
        ('{"truth": 4, "clarity": 5}', "unreadable", "truth is 4"),
        ('{"truth": {"score": 4}, "clarity": {"score": 5}}', "unreadable", "not reason, score"),
        (GOOD.replace('"about truth"', "7"), "unreadable", "a reason is 7"),
        (GOOD[:-1] + ', "truth": {"reason": "", "score": 1}}', "unreadable", "twice"),
        (scores(truth=0, clarity=5), "off the scale", "from 1 to 5"),
        (scores(truth=6, clarity=5), "off the scale", "from 1 to 5"),
        (scores(truth=4.5, clarity=5), "off the scale", "no whole number"),
        (scores(truth="4", clarity=5), "off the scale", "no whole number"),
        (scores(truth=True, clarity=5), "off the scale", "no whole number"),
        (scores(truth=None, clarity=5), "off the scale", "no whole number"),
        (scores(truth=float("nan"), clarity=5), "off the scale", "NaN"),
        (GOOD.replace("4", "1e999"), "off the scale", "no whole number"),
        (GOOD.replace("4", "9" * 5000), "unreadable", "no JSON object"),
    ],
)
def test_anything_else_is_unscored_with_its_kind(text: str, kind: str, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_scores(reply(text), RUBRIC)
    assert (caught.value.kind, why in caught.value.why) == (kind, True), caught.value.why


def test_an_outage_is_no_verdict_even_with_a_text() -> None:
    lost = Answer(request_id="r", text=GOOD, finish="error", error="no connection")
    with pytest.raises(Unreadable, match="no connection") as caught:
        read_scores(lost, RUBRIC)
    assert caught.value.kind == "never came"


def test_a_reply_that_was_cut_says_so() -> None:
    with pytest.raises(Unreadable, match="cut off"):
        read_scores(reply(GOOD[:30], "length"), RUBRIC)


def test_half_a_surrogate_pair_in_a_reason_can_be_written() -> None:
    found = read_scores(reply(GOOD.replace("about truth", "\\ud83d")), RUBRIC)
    assert CriterionScore.from_json(found[0].to_json()) == found[0]


@pytest.mark.parametrize(("said", "read"), [("A", "A"), ("b", "B"), (" tie ", "tie"), ("TIE", "tie")])
def test_pairs_are_read(said: str, read: str) -> None:
    assert read_better(reply(better(said))) == (read, "because")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (better("first"), "off the scale"),
        (better(""), "off the scale"),
        (json.dumps({"reason": "x", "better": 1}), "off the scale"),
        (json.dumps({"better": "A"}), "unreadable"),
        ("A", "unreadable"),
    ],
)
def test_other_pairs_are_unscored(text: str, kind: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_better(reply(text))
    assert caught.value.kind == kind


def test_one_score_of_several_criteria() -> None:
    given = [CriterionScore(name="a", score=1), CriterionScore(name="b", score=5), CriterionScore(name="c", score=4)]
    criteria = tuple(Criterion(one.name, "?") for one in given)
    lowest, mean = Rubric(criteria), Rubric(criteria, combine="mean")
    assert lowest.score(given) == 0
    assert mean.score(given) == pytest.approx((0 + 1 + 0.75) / 3)
    assert lowest.score(given[1:]) == 0.75
    assert Rubric(criteria, high=2).score([given[0], given[0].model_copy(update={"score": 2})]) == 0
    assert len({lowest.version, mean.version, Rubric(criteria, high=7).version, Rubric(criteria[:2]).version}) == 4


def test_what_the_schemas_allow_is_what_is_read() -> None:
    """Of the least value of each schema; a server that holds a model to it gives nothing that is not read."""
    for schema in (scores_schema(RUBRIC), PREFERENCE):
        value = of_schema(schema.json_schema)
        assert form_of_schema(schema.name, schema.json_schema).read(value) == value
    assert [
        one.score for one in read_scores(reply(json.dumps(of_schema(scores_schema(RUBRIC).json_schema))), RUBRIC)
    ] == [
        1,
        1,
    ]
    assert read_better(reply(json.dumps(of_schema(PREFERENCE.json_schema)))) == ("A", "text")
    with pytest.raises(ValueError, match="score"):
        form_of_schema("scores", scores_schema(RUBRIC).json_schema).read(json.loads(GOOD.replace("4", "6")))
