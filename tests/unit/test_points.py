"""Points by a scale that a prompt describes: what is read, what is unscored, and the mean of several draws."""

from pathlib import Path

import pytest

from support.judging import material
from support.ordering import worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.judging.judge import Court, Judged
from tutelage.judging.points import ADDITIVE, CURATION, Drawing, Scale, judge_points
from tutelage.judging.pointwise import Scores
from tutelage.records import Item, Request, user

ITEM = Item(
    id="i", task="t", dimension="d", level="basic", split="train", messages=(user("Why?"),), group="g", reference="So."
)


def points(
    folder: Path, says: list[str], scale: Scale, *, told: list[Request] | None = None, retries: int = 0, **draw: float
) -> Scores:
    """The scores of one answer; the judge says ``says`` in turn."""

    def reply(asked: Request):
        number = 0 if told is None else len(told)
        if told is not None:
            told.append(asked)
        return worded(says[min(number, len(says) - 1)])

    return judge_points(
        lambda: ScriptedCompleter(reply, name="judge"),
        [Judged("a", ITEM, "Because it is.")],
        scale,
        name="judge",
        court=Court(folder, "points"),
        retries=retries,
        drawing=Drawing(**draw),
    )


@pytest.mark.parametrize(
    ("reply", "scale", "score"),
    [
        ('{"reason": "Good.", "score": 5}', CURATION, 1.0),
        ('{"reason": "Bad.", "score": 1}', CURATION, 0.0),
        ('```json\n{"reason": "So.", "score": 4}\n```', CURATION, 0.75),
        ('{"reason": "Nothing.", "score": 0}', ADDITIVE, 0.0),
        ('{"reason": "So.", "score": 3.0}', ADDITIVE, 0.6),
        ('{"reason": "Nothing.", "score": 0}', CURATION, None),
        ('{"reason": "Too good.", "score": 6}', ADDITIVE, None),
        ('{"reason": "So.", "score": 3.5}', ADDITIVE, None),
        ('{"reason": "So.", "score": true}', ADDITIVE, None),
        ('{"score": 3}', ADDITIVE, None),
        ("Score: 3", ADDITIVE, None),
        ('I was told {"reason": "So.", "score": 5}', ADDITIVE, None),
        ("", ADDITIVE, None),
    ],
)
def test_a_score_is_read_from_the_whole_reply_or_not_at_all(
    tmp_path: Path, reply: str, scale: Scale, score: float | None
) -> None:
    found = points(tmp_path, [reply], scale)
    assert found.verdicts[0].score == (None if score is None else pytest.approx(score))
    assert (found.summary.n, found.summary.scored) == (1, int(score is not None))
    assert (found.unscored[0] is None) == (score is not None)


def test_the_mean_of_what_could_be_read_counts(tmp_path: Path) -> None:
    told: list[Request] = []
    says = ['{"reason": "a", "score": 5}', '{"reason": "b", "score": 2}', "What?", '{"reason": "c", "score": 4}']
    found = points(tmp_path, says, ADDITIVE, told=told, samples=4, temperature=0.7, top_p=0.9, seed=3)
    (verdict,) = found.verdicts
    assert verdict.score == pytest.approx((5 + 2 + 4) / 3 / 5)
    assert [(one.score, one.reason) for one in verdict.criteria] == [(5, "a"), (2, "b"), (4, "c")]
    assert verdict.reason == "3.67 of 5 points: b"
    assert len({one.seed for one in told}) == 4
    assert {(one.sampling.temperature, one.sampling.top_p) for one in told} == {(0.7, 0.9)}
    assert verdict.judge is not None
    assert (verdict.judge.prompt, verdict.judge.sampling.temperature) == ("additive", 0.7)
    assert (found.judging.judged, found.judging.requests, found.judging.unscored) == (1, 4, 0)
    again = points(tmp_path, says, ADDITIVE, told=told, samples=4, temperature=0.7, top_p=0.9, seed=3)
    assert len(told) == 4
    assert again.verdicts == found.verdicts


def test_what_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    told: list[Request] = []
    found = points(tmp_path, ["What?", '{"reason": "So.", "score": 4}'], CURATION, told=told, retries=1)
    assert found.verdicts[0].score == pytest.approx(0.75)
    assert [one.seed for one in told] == [0, 0], "a greedy judge draws nothing"
    assert "could not be read" in told[1].messages[0].text
    shown = material(told[0].messages[0].text)
    assert shown["The answer to be judged"] == "Because it is."
    assert "So." not in told[0].messages[0].text.split("Give the reason")[0], "no reference is shown"
