"""Judging does not depend on order: not of two answers, not of items, not of what is asked first."""

import hashlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from support.judging import answers, better, court, item, judge, material, scores
from tutelage.judging.fence import mark_for
from tutelage.judging.judge import Judged
from tutelage.judging.pairwise import compare, hold
from tutelage.judging.pointwise import judge_each

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    str.strip
)
EXCHANGED = {"first": "second", "second": "first", "tie": "tie", None: None}


def whimsical(prompt: str) -> str:
    """A judge whose verdict is a hash of what it sees: consistent, biased by place, or unreadable, as it comes."""
    drawn = hashlib.sha256(repr(sorted(material(prompt).items())).encode()).digest()[0]
    if "Answer A" in material(prompt):
        return [better("A"), better("B"), better("tie"), "nonsense"][drawn % 4]
    return [scores(truth=1 + drawn % 5, clarity=3), "nonsense"][drawn % 7 == 0]


@settings(max_examples=40)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_exchanging_the_answers_exchanges_the_verdict(texts: list[tuple[str, str]]) -> None:
    pairs = [tuple(answers(one, other, of=item(f"i{n}"))) for n, (one, other) in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        straight = compare(judge(whimsical), pairs, court=court(Path(folder) / "a"))  # type: ignore[arg-type]
        crossed = compare(judge(whimsical), [(b, a) for a, b in pairs], court=court(Path(folder) / "b"))
        assert [EXCHANGED[verdict.preferred] for verdict in straight.verdicts] == [
            v.preferred for v in crossed.verdicts
        ]
        assert [(v.kind is None, v.swapped) for v in straight.verdicts] == [
            (v.kind is None, v.swapped) for v in crossed.verdicts
        ]
        assert straight.judging.requests == crossed.judging.requests, "the same requests"
        logs = [(Path(folder) / name / "judged.jsonl") for name in "ab"]
        contents = [log.read_bytes() if log.exists() else b"" for log in logs]
        assert contents[0] == contents[1]


@settings(max_examples=30)
@given(st.lists(TEXTS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_answers_and_items_does_not_matter(texts: list[str], draw: object) -> None:
    groups = [answers(*texts, of=item(name)) for name in ("ant", "bee")]
    shuffled = [list(group) for group in reversed(groups)]
    for group in shuffled:
        draw.shuffle(group)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:

        def points(of: list[list[Judged]], name: str) -> dict[str, float | None]:
            held = hold(judge(whimsical), of, court=court(Path(folder) / name))
            return {
                one.id: None if verdict.score is None else round(verdict.score, 9)
                for group, verdicts in zip(of, held.verdicts, strict=True)
                for one, verdict in zip(group, verdicts, strict=True)
            }

        def alone(of: list[list[Judged]], name: str) -> dict[str, float | None]:
            flat = [one for group in of for one in group]
            found = judge_each(judge(whimsical), flat, court=court(Path(folder) / name))
            return {one.id: verdict.score for one, verdict in zip(flat, found.verdicts, strict=True)}

        assert points(groups, "p") == points(shuffled, "q")
        assert alone(groups, "r") == alone(shuffled, "s")


@given(st.lists(st.text(max_size=40), max_size=4))
def test_a_mark_stands_in_none_of_the_texts(texts: list[str]) -> None:
    mark = mark_for(texts)
    assert len(mark) == 16
    assert not any(mark in text for text in texts)
    assert mark_for(texts) == mark, "a rerun sends the same request"
    assert mark_for([*texts, mark]) != mark
