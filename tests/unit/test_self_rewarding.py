"""Self-rewarding, step by step on a scripted model: instructions, answers, points, pairs of the best and the worst."""

import json
from collections import Counter
from pathlib import Path

import pytest

from support.classroom import Shout
from support.judging import MARK, material, scores
from support.ordering import worded
from support.pupils import kind_of as kind_of_pupil
from support.pupils import reply as reply_of_pupil
from support.pupils import seed_file
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.self_rewarding import self_rewarding_pairs
from tutelage.errors import RecipeError
from tutelage.pipeline.improved import FIT_SHARE, self_rewarding_of
from tutelage.recipe import parse_recipe
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import SelfRewardingSource
from tutelage.records import Answer, Dropped, Example, Ledger, Preference, Request
from tutelage.records.importers import import_preferences
from tutelage.records.jsonl import read_records, write_records

SAID = ("It is warm", "It is warm and dry", "It is warm, dry and bright in there", "It is quite warm, dry and new")
"""Four answers, and what their judge gives for them."""
GIVEN = (3, 5, 4, 2)


def kind_of(asked: Request) -> str:
    """What is asked for: points, an answer, or instructions."""
    prompt = asked.messages[0].text
    return "points" if MARK.search(prompt) else kind_of_pupil(prompt)


def answer_to(asked: Request) -> str:
    """One of four answers, by the number of the candidate."""
    return f"{SAID[int(asked.id.rpartition('/')[2])]}."


def points_of(asked: Request) -> list[int]:
    """What an answer gets in three judgings."""
    answer = material(asked.messages[0].text)["The answer to be judged"]
    return [GIVEN[SAID.index(answer.removesuffix("."))]] * 3


def model(told: list[Request], points=points_of, answer=answer_to) -> Asker:
    def reply(asked: Request) -> str | Answer:
        told.append(asked)
        match kind_of(asked):
            case "points":
                given = points(asked)[int(asked.id.split("/")[-3])]
                said = given if isinstance(given, str) else json.dumps({"reason": "So.", "score": given})
                return worded(said)
            case "answer":
                made = answer(asked)
                return made if isinstance(made, Answer) else worded(made)
            case _:
                return worded(reply_of_pupil(asked.messages[0].text))

    return Asker(lambda: ScriptedCompleter(reply, name="mirror"), name="mirror")


def sampler(folder: Path, bench: Bench | None = None) -> Sampler:
    tasks = {"shout": Shout()}
    return Sampler(
        folder / "out", ConstructSection(), tasks, seed=5, round=1, chunk=4, emit=lambda event: None, bench=bench
    )


def made(
    folder: Path,
    told: list[Request] | None = None,
    *,
    at: Sampler | None = None,
    points=points_of,
    answer=answer_to,
    **keys: object,
) -> tuple[list[Example], list[Preference]]:
    folder.mkdir(exist_ok=True)
    if not (folder / "seeds.jsonl").exists():
        seed_file(folder / "seeds.jsonl")
    wanted = {
        "kind": "self_rewarding",
        "seeds": "seeds.jsonl",
        "tasks": 4,
        "prompts": 1,
        "proposals": 4,
        "novelty": 0.9,
    }
    return self_rewarding_pairs(
        SelfRewardingSource.model_validate({**wanted, **keys}),
        at or sampler(folder),
        writer=model([] if told is None else told, points, answer),
        demonstrations=(),
        base=folder,
    )


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/self_rewarding/ledger.jsonl", Ledger)}


def test_best_and_worst_of_the_answers_become_a_pair(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows, pairs = made(tmp_path, told, at=at)
    assert Counter(kind_of(one) for one in told) == {"tasks": 1, "answer": 16, "points": 48}
    assert [(one.stage, one.rows_in, one.kept) for one in ledgers(tmp_path).values()] == [
        ("requests", 1, 1), ("instructions", 4, 4), ("wanted", 4, 4), ("candidates", 16, 16), ("judgings", 16, 16),
        ("pairs", 4, 4), ("positives", 4, 4),
    ]  # fmt: skip
    asked = [one.messages[0].text for one in told if kind_of(one) == "answer"]
    for pair in pairs:
        assert pair.prompt[0].text in asked
        assert (pair.chosen.text, pair.rejected.text) == (f"{SAID[1]}.", f"{SAID[3]}.")
        best, worst = pair.lineage.verdicts
        assert (best.score, worst.score) == (pytest.approx(1.0), pytest.approx(0.4))
        assert [one.score for one in worst.criteria] == [2, 2, 2]
        assert best.judge is not None
        assert (best.judge.name, best.judge.prompt) == ("mirror", "additive")
        assert (pair.lineage.paradigm, pair.lineage.source) == ("self", "self_rewarding")
        assert pair.lineage.cost.completion_tokens == 40, "all four answers"
        assert Preference.from_json(pair.to_json()) == pair
    assert {(row.messages[0], row.target) for row in rows} == {(pair.prompt[0], pair.chosen) for pair in pairs}
    assert [[one.score for one in row.lineage.verdicts] for row in rows] == [[1.0, None]] * 4, (
        "the writer's is no last word"
    )
    drawn = {(one.sampling.temperature, one.sampling.top_p) for one in told if kind_of(one) != "tasks"}
    assert drawn == {(0.7, 0.95)}
    meter = at.meters["self"]
    assert (meter.answers, meter.passed, meter.errors) == (4, 4, 0)
    assert meter.judging is not None
    assert (meter.judging.judged, meter.judging.requests) == (16, 48)


def test_pairs_are_rows_for_dpo(tmp_path: Path) -> None:
    _, pairs = made(tmp_path)
    write_records(tmp_path / "preferences.jsonl", pairs)
    assert import_preferences(tmp_path / "preferences.jsonl", author="nobody") == pairs


def test_the_mean_of_the_judgings_decides(tmp_path: Path) -> None:
    means = {0: [5, 5, 0], 1: [3, 4, 4], 2: [4, 4, 4], 3: [3, "no", 4]}

    def points(asked: Request) -> list:
        return means[GIVEN.index(points_of(asked)[0])]

    rows, pairs = made(tmp_path, points=points, retries=0, positives=4)
    assert {(pair.chosen.text, pair.rejected.text) for pair in pairs} == {(f"{SAID[2]}.", f"{SAID[0]}.")}
    assert [one.score for one in pairs[0].lineage.verdicts] == pytest.approx([0.8, 10 / 15])
    assert {row.target.text for row in rows} == {f"{SAID[2]}."}
    assert made(tmp_path / "higher", points=points, retries=0, positives=4.1)[0] == []
    assert ledgers(tmp_path / "higher")["positives"].dropped == {"its best answer has fewer than 4.1 points": 4}
    assert made(tmp_path / "none", points=points, retries=0, positives=None)[0] == []
    assert "positives" not in ledgers(tmp_path / "none")


def test_the_same_points_make_no_pair(tmp_path: Path) -> None:
    rows, pairs = made(tmp_path, points=lambda asked: [5, 4, 3])
    assert (rows, pairs) == ([], [])
    assert ledgers(tmp_path)["pairs"].dropped == {"best and worst have the same points": 4}


def test_answers_that_nobody_should_learn_are_not_judged(tmp_path: Path) -> None:
    def answer(asked: Request) -> str | Answer:
        number = asked.id.rpartition("/")[2]
        if number == "1":
            return Answer(request_id="", text="It is warm and", finish="length", completion_tokens=10)
        if number == "2":
            return Answer(request_id="", text="", finish="error", error="a fault")
        return "It is warm." if number in "03" else ""

    told: list[Request] = []
    at = sampler(tmp_path)
    assert made(tmp_path, told, at=at, answer=answer) == ([], [])
    assert ledgers(tmp_path)["candidates"].dropped == {
        "no answer came": 4, "the answer is not right in form": 4, "the same answer was there before": 4,
    }  # fmt: skip
    assert ledgers(tmp_path)["pairs"].dropped == {"fewer than two different answers have points": 4}
    assert sum(kind_of(one) == "points" for one in told) == 12
    assert len(read_records(tmp_path / "out/self_rewarding/dropped.jsonl", Dropped)) == 12 + 4 + 4


def test_what_nobody_could_judge_is_neither_best_nor_worst(tmp_path: Path) -> None:
    def points(asked: Request) -> list:
        given = points_of(asked)[0]
        return ["Hm."] * 3 if given in (2, 5) else [given] * 3

    rows, pairs = made(tmp_path, points=points, retries=0)
    assert {(pair.chosen.text, pair.rejected.text) for pair in pairs} == {(f"{SAID[2]}.", f"{SAID[0]}.")}
    assert ledgers(tmp_path)["judgings"].dropped == {"nobody could judge it": 8}
    assert rows == []


def test_the_judge_of_the_recipe_decides_what_is_a_row(tmp_path: Path) -> None:
    section = JudgeSection.model_validate({"by": {"kind": "self"}, "criteria": {"truth": "It is right."}})
    judge = judge_of(
        section, open=lambda: ScriptedCompleter(lambda _: worded(scores(truth=1)), name="j"), name="j", again=False
    )
    at = sampler(tmp_path, Bench(judge, section, tmp_path / "out", 4, lambda event: None))
    rows, pairs = made(tmp_path, at=at)
    assert (len(rows), len(pairs)) == (0, 4)
    assert ledgers(tmp_path)["positives"].dropped == {"the judge does not pass it": 4}


def test_the_same_call_asks_nothing_twice(tmp_path: Path) -> None:
    told: list[Request] = []
    first = made(tmp_path, told)
    paid = len(told)
    assert made(tmp_path, told) == first
    assert len(told) == paid
    (tmp_path / "out/self_rewarding/judgings.jsonl").unlink()
    assert made(tmp_path, told) == first
    assert len(told) == paid + 48


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("candidates: 1", "candidates"),
        ("temperature: 0", "temperature"),
        ("positives: 6", "positives"),
        ("generated: 8", "at least one of the 8 that are shown"),
        ("steps: 1, generated: 2", "nothing was generated before the only step"),
        ("by: teacher", "the student itself; take student"),
        ("name: a/b", "a name has 1 to 40"),
    ],
)
def test_contradictions_are_refused(keys: str, said: str) -> None:
    source = f"{{kind: self_rewarding, {keys}}}"
    with pytest.raises(RecipeError, match=said):
        parse_recipe(f"name: mine\ntasks: [{{kind: constraints}}]\nconstruct: {{sources: [{source}]}}")


def test_what_it_asks_is_told_before() -> None:
    source = "{kind: self_rewarding, tasks: 8, prompts: 1, steps: 9, retries: 0, candidates: 3, judgings: 2}"
    recipe = parse_recipe(f"name: mine\nrounds: 2\ntasks: [{{kind: constraints}}]\nconstruct: {{sources: [{source}]}}")
    (own,) = recipe.construct.sources
    assert isinstance(own, SelfRewardingSource)
    found = self_rewarding_of(own, recipe)
    requests, answers, judgings = (one.answers for one in found.asked)
    assert (requests, answers, judgings) == (6, 2 * 8 * 3, round(2 * 8 * 3 * FIT_SHARE * 2))
    assert found.words == "8 new instructions × 3 answers, each judged 2 times"
