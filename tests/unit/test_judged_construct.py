"""A round whose judge decides where no program can, and chooses among answers that passed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.classroom import CUT, Shout, answered, kept_text
from support.judging import better, by_words, is_judging, material, scores
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.build import Cast, Constructed, construct
from tutelage.construct.sampling import Asker, Place
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.recipe.construct import ConstructSection
from tutelage.records import Answer, Item, Preference, Request, Verdict, unscored
from tutelage.records.jsonl import read_records
from tutelage.records.judging import JudgedSet
from tutelage.records.tradeoff import CellYield, TradeOff

Reply = Callable[[str], str | Answer]
CRITERIA = {"truth": "It is right.", "clarity": "It is clear."}


class Free(Shout):
    """The same questions, and nobody can check an answer."""

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [unscored("The row has no check.") for _ in items]


def round_of(
    folder: Path,
    reply: Callable[[Request], str | Answer],
    judging: Reply | None,
    *,
    task: Shout | None = None,
    told: list[Event] | None = None,
    section: dict[str, object] | None = None,
    **settings: object,
) -> Constructed:
    """One round of distillation of two items, four answers each; ``settings`` are the judge's."""
    task = task or Free()
    judge = {"by": {"kind": "self"}, "criteria": CRITERIA, **settings} if judging is not None else None
    distilled = {"distill": {"shots": 0, "samples": 4}, "self_improve": None, "rehearsal": None, "references": False}
    made = ConstructSection.model_validate({"expert": None, "judge": judge, **distilled, **(section or {})})

    def judged(request: Request) -> str | Answer:
        assert judging is not None
        assert is_judging(request.messages[-1].text)
        return judging(request.messages[-1].text)

    one = Asker(lambda: ScriptedCompleter(reply), "student")
    return construct(
        folder,
        section=made,
        tasks={"shout": task},
        prompts={("shout", "basic"): 2},
        demonstrations=[],
        cast=Cast(one, one, one, judge=Asker(lambda: ScriptedCompleter(judged, name="wise"), "the judge")),
        place=Place(seed=5, round=1, chunk=4, emit=(told if told is not None else []).append),
    )


def four(request: Request) -> Answer:
    """Answers of one, three, five and two words."""
    number = int(request.id.rsplit("/", 1)[1])
    return answered(" ".join("abcde"[: (1, 3, 5, 2)[number]]), tokens=3)


def by_length(prompt: str) -> str:
    return by_words(prompt, list(CRITERIA))


def test_without_a_judge_no_unchecked_answer_is_kept_and_with_one_the_best_is(tmp_path: Path) -> None:
    assert round_of(tmp_path / "none", four, None).rows == []
    made = round_of(tmp_path / "judged", four, by_length)
    assert kept_text(made.rows) == ["a b c d e"] * 2
    (verdict,) = made.rows[0].lineage.verdicts
    assert verdict.score == 1
    assert verdict.judge is not None
    assert (verdict.judge.name, verdict.judge.prompt, verdict.judge.engine.model) == ("the judge", "pointwise", "wise")
    (row,) = read_records(tmp_path / "judged/tradeoffs.jsonl", TradeOff)
    assert (row.attempted, row.passed, row.accepted, row.unjudged) == (8, 2, 2, 0)
    assert row.tokens == 24, "the judge's tokens are in no other figure"
    assert row.judging is not None
    assert (row.judging.judged, row.judging.unscored, row.judging.requests) == (8, 0, 8)
    (cell,) = read_records(tmp_path / "judged/cells.jsonl", CellYield)
    assert (cell.attempted, cell.accepted) == (8, 2)


@pytest.mark.parametrize(
    ("threshold", "most", "kept"),
    [(0.75, 4, ["a b c d e"]), (0.5, 4, ["a b c d e", "a b c"]), (0.01, 3, ["a b c d e", "a b c", "a b"])],
)
def test_the_threshold_decides_and_the_highest_score_comes_first(
    tmp_path: Path, threshold: float, most: int, kept: list[str]
) -> None:
    made = round_of(tmp_path, four, by_length, threshold=threshold, section={"keep_per_prompt": most})
    assert kept_text(made.rows)[: len(made.rows) // 2] == kept


def test_best_and_worst_become_a_preference_with_its_source(tmp_path: Path) -> None:
    made = round_of(tmp_path / "a", four, by_length)
    assert [(pair.chosen.text, pair.rejected.text) for pair in made.preferences] == [("a b c d e", "a")] * 2
    pair = read_records(tmp_path / "a/preferences.jsonl", Preference)[0]
    assert pair.lineage.source == "judged"
    assert [verdict.score for verdict in pair.lineage.verdicts] == [1, 0]
    assert all(verdict.judge is not None for verdict in pair.lineage.verdicts)
    assert round_of(tmp_path / "b", four, by_length, preference_margin=None).preferences == []
    near = round_of(tmp_path / "c", four, lambda p: scores(truth=5 - (len(answer_in(p)) < 3), clarity=5))
    assert [p.rejected.text for p in near.preferences] == ["a"] * 2, "4 of 5 is a quarter below"
    far = round_of(tmp_path / "d", four, lambda p: scores(truth=9 - (len(answer_in(p)) < 3), clarity=9), scale=9)
    assert far.preferences == []


def answer_in(prompt: str) -> str:
    return material(prompt)["The answer to be judged"]


def test_a_judge_of_nonsense_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    told: list[Event] = []
    made = round_of(tmp_path, four, lambda _: "Very good!", told=told)
    assert made.rows == []
    assert made.preferences == []
    (row,) = made.tradeoffs
    assert (row.attempted, row.passed, row.unjudged) == (0, 0, 8)
    assert row.judging is not None
    assert (row.judging.unscored, row.judging.requests) == (8, 16)
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert any("0 of 8 answers were scored" in text and "none of these answers is kept" in text for text in said), said
    assert any("the reply is no JSON object: Very good!" in text for text in said)
    (found,) = read_records(tmp_path / "judged.jsonl", JudgedSet)
    assert found.unscored == {"unreadable": 8}
    assert found.mean is None


def test_an_outage_of_the_judge_stops_the_round_and_loses_nothing(tmp_path: Path) -> None:
    asked: list[str] = []

    def gone(prompt: str) -> str | Answer:
        asked.append(prompt)
        if len(asked) > 3:
            return Answer(request_id="", text="", finish="error", error="no connection", transient=True)
        return by_length(prompt)

    def back(prompt: str) -> str:
        assert prompt not in asked[:3], "what was judged is not judged again"
        return by_length(prompt)

    def never(request: Request) -> str:
        raise AssertionError("the answers were there")

    with pytest.raises(CompletionError, match="no connection"):
        round_of(tmp_path / "cut", four, gone)
    made = round_of(tmp_path / "cut", never, back)
    assert made.rows == round_of(tmp_path / "whole", four, by_length).rows
    assert round_of(tmp_path / "cut", never, lambda prompt: pytest.fail("all is there")) == made


def test_what_is_empty_or_was_cut_fails_unasked(tmp_path: Path) -> None:
    def reply(request: Request) -> Answer:
        number = int(request.id.rsplit("/", 1)[1])
        return [answered(""), answered("a b c d e f g", CUT), answered("a b c d e"), answered("a b c d e")][number]

    seen: list[str] = []

    def judging(prompt: str) -> str:
        seen.append(answer_in(prompt))
        return by_length(prompt)

    made = round_of(tmp_path, reply, judging)
    assert set(seen) == {"a b c d e"}
    assert made.tradeoffs[0].attempted == 8, "they are failed attempts"
    assert kept_text(made.rows) == ["a b c d e"] * 2


def right_and_wrong(request: Request) -> Answer:
    """Two right answers, the second of which says more, and two wrong ones."""
    word = request.messages[-1].text.removeprefix("Shout ").removesuffix(".")
    number = int(request.id.rsplit("/", 1)[1])
    right = word.upper()
    return answered([right, f"{right} and so on", word, f"{word} with very many fine words"][number])


@pytest.mark.parametrize(("way", "requests"), [("pointwise", 4), ("pairwise", 4)])
def test_of_answers_that_passed_the_judge_chooses_and_a_failed_one_stays_failed(
    tmp_path: Path, way: str, requests: int
) -> None:
    seen: list[str] = []

    def judging(prompt: str) -> str:
        seen.append(prompt)
        return by_length(prompt)

    first = round_of(tmp_path / "no", right_and_wrong, None, task=Shout())
    assert [len(text.split()) for text in kept_text(first.rows)] == [1, 1], "the one that is first"
    made = round_of(tmp_path / way, right_and_wrong, judging, task=Shout(), best_of=way)
    assert [text.split()[1:] for text in kept_text(made.rows)] == [["and", "so", "on"]] * 2
    assert len(seen) == requests
    assert not any("very many fine words" in prompt for prompt in seen), "what failed is shown to no judge"
    ranking, program = made.rows[0].lineage.verdicts
    assert ranking.judge is not None
    assert ranking.judge.prompt == way
    assert program.judge is None
    assert program.passed, "the program's verdict stands last"
    assert {pair.lineage.source for pair in made.preferences} == {"distillation"}, "a program's pair comes first"
    assert made.tradeoffs[0].judging is not None
    assert made.tradeoffs[0].judging.requests == requests


def test_a_wrong_answer_is_kept_by_no_judge(tmp_path: Path) -> None:
    def wrong(request: Request) -> Answer:
        return answered(f"many fine and long words {request.id.rsplit('/', 1)[1]}")

    def never(prompt: str) -> str:
        raise AssertionError("a program has judged this")

    made = round_of(tmp_path, wrong, never, task=Shout(), best_of="pairwise", section={"decompose": False})
    assert made.rows == []


def test_answers_that_all_passed_become_a_judged_preference(tmp_path: Path) -> None:
    def right(request: Request) -> Answer:
        word = request.messages[-1].text.removeprefix("Shout ").removesuffix(".").upper()
        return answered(" ".join([word, *"abc"[: int(request.id.rsplit("/", 1)[1])]]))

    made = round_of(tmp_path, right, by_length, task=Shout(), best_of="pairwise", candidates=3, unchecked=False)
    assert made.tradeoffs[0].judging is not None
    assert made.tradeoffs[0].judging.requests == 2 * 3 * 2, "three of four are compared, every two both ways"
    assert {len(text.split()) for text in kept_text(made.rows)} == {3}
    assert {len(pair.rejected.text.split()) for pair in made.preferences} == {1}
    assert {pair.lineage.source for pair in made.preferences} == {"judged"}


def test_a_judge_without_a_choice_leaves_the_old_order(tmp_path: Path) -> None:
    for way, reply in (("pairwise", better("A")), ("pointwise", scores(truth=3, clarity=3)), ("pointwise", "no")):
        made = round_of(
            tmp_path / f"{way}{len(reply)}",
            right_and_wrong,
            lambda _, said=reply: said,  # type: ignore[misc]
            task=Shout(),
            best_of=way,
        )
        assert [len(text.split()) for text in kept_text(made.rows)] == [1, 1]


def test_a_lesson_revises_after_the_reason_of_the_judge(tmp_path: Path) -> None:
    asked: list[str] = []

    def student(request: Request) -> Answer:
        last = request.messages[-1].text
        asked.append(last)
        return answered("a b c d e" if "/revisions/" in request.id else "a b")

    made = round_of(
        tmp_path,
        student,
        by_length,
        section={"distill": None, "self_improve": {"samples": 1, "revisions": 1}},
    )
    assert kept_text(made.rows) == ["a b c d e"] * 2
    assert {lesson.kept for lesson in made.lessons} == {"revision"}
    assert "That is not quite right. about truth about clarity" in asked[-1]
    assert [(pair.chosen.text, pair.rejected.text) for pair in made.preferences] == [("a b c d e", "a b")] * 2
    names = {path.name for path in tmp_path.iterdir()}
    assert {"attempts-judge.jsonl", "revisions-judge.jsonl", "judges.jsonl", "judged.jsonl"} <= names
