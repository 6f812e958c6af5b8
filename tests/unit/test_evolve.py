"""Evol-Instruct, step by step on a scripted model: n in, kept, eliminated and why, tried again."""

import json
from collections import Counter
from pathlib import Path

import pytest

from support.classroom import Shout, shout
from support.judging import scores
from support.ordering import worded
from support.pupils import Change, kind_of, pupil, seed_file
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Sampler
from tutelage.construct.self_improve.elimination import copies, spoils
from tutelage.construct.self_improve.evolve import evolve_rows
from tutelage.construct.self_improve.evolving import Line
from tutelage.construct.self_improve.seeds import Seed
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import EvolveSource
from tutelage.recipe.sources.evolve import OPERATIONS, Operation
from tutelage.records import Answer, Demonstration, Dropped, Example, Ledger, Level, Request
from tutelage.records.jsonl import read_records
from tutelage.records.seed_tasks import SeedTask

OWN = {
    "add_constraints": "Add one more constraint",
    "deepen": "more deeply or more broadly",
    "concretize": "something more specific",
    "increase_reasoning": "several steps of reasoning",
    "complicate_input": "Let it bring data",
}


def sampler(folder: Path, bench: Bench | None = None) -> Sampler:
    tasks = {"shout": Shout()}
    return Sampler(
        folder / "out", ConstructSection(), tasks, seed=5, round=1, chunk=4, emit=lambda event: None, bench=bench
    )


def made(
    folder: Path,
    change: Change | None = None,
    *,
    told: list[Request] | None = None,
    at: Sampler | None = None,
    demonstrations: tuple[Demonstration, ...] = (),
    **keys: object,
) -> list[Example]:
    folder.mkdir(exist_ok=True)
    if not (folder / "seeds.jsonl").exists():
        seed_file(folder / "seeds.jsonl")
    section = EvolveSource.model_validate({"kind": "evolve", "seeds": "seeds.jsonl", "instructions": 4, **keys})
    return evolve_rows(
        section, at or sampler(folder), writer=pupil(change, told), demonstrations=demonstrations, base=folder
    )


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/evolve/ledger.jsonl", Ledger)}


def experts() -> tuple[Demonstration, ...]:
    levels: tuple[Level, ...] = ("basic", "advanced")
    return tuple(Demonstration(item=shout(f"w{level}", level), answer="X", author="she") for level in levels)


def test_each_generation_evolves_what_the_one_before_made(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows = made(tmp_path, told=told, at=at, generations=3)
    kinds = Counter(kind_of(one.messages[0].text) for one in told)
    assert kinds["depth"] + kinds["breadth"] == kinds["equal"] == kinds["answer"] == len(rows) == 12
    found = ledgers(tmp_path)
    assert list(found) == ["evolved", "compared", "answers", "generation 1", "generation 2", "generation 3"]
    assert {(one.rows_in, one.kept) for name, one in found.items() if "generation" not in name} == {(12, 12)}
    assert {(one.rows_in, one.kept) for name, one in found.items() if "generation" in name} == {(4, 4)}
    lines: dict[str, list[Example]] = {}
    for row in rows:
        lines.setdefault(row.group, []).append(row)
    assert len(lines) == 4
    for seed, own in lines.items():
        assert [row.lineage.parents[0] for row in own] == [seed, f"1/1/{seed}", f"1/2/{seed}"]
        assert [row.lineage.parents[1] for row in own] == [f"1/{number}/{seed}" for number in (1, 2, 3)]
        assert [len(row.lineage.operations) for row in own] == [1, 2, 3]
        evolved = [
            one for one in told if one.id.startswith(f"1/2/{seed}/") and kind_of(one.messages[0].text) != "equal"
        ]
        assert own[0].messages[0].text in evolved[0].messages[0].text, "what was made is what is evolved"
    meter = at.meters["self"]
    assert (meter.answers, meter.passed, meter.errors) == (12, 12, 0)


def test_operations_are_drawn_alike_and_asked_for_by_their_own_words(tmp_path: Path) -> None:
    told: list[Request] = []
    rows = made(tmp_path, told=told, instructions=12, generations=10)
    drawn = Counter(row.lineage.operations[-1] for row in rows)
    assert set(drawn) == set(OPERATIONS)
    assert max(drawn.values()) < 120 / 6 * 2
    for one in told:
        prompt, operation = one.messages[0].text, one.id.rpartition("/")[2]
        if kind_of(prompt) == "depth":
            assert [name for name, words in OWN.items() if words in prompt] == [operation]
            assert ("10 to 20 words" in prompt) == (operation != "complicate_input")
        elif kind_of(prompt) == "breadth":
            assert operation == "breadth"
    only = made(tmp_path / "one", generations=2, operations=["deepen"])
    assert {operation for row in only for operation in row.lineage.operations} == {"deepen"}


def test_each_rule_eliminates_with_its_reason_and_the_line_is_tried_again(tmp_path: Path) -> None:
    faults = {
        "seed_0": ("depth", json.dumps({"request": "Answer the given prompt as it stands, please."})),
        "seed_1": ("equal", json.dumps({"equal": True})),
        "seed_2": ("answer", "I am sorry, I do not know it."),
        "seed_3": ("answer", "It is what it is, and so on ..."),
        "seed_4": ("depth", "No."),
        "seed_5": ("equal", "Perhaps."),
        "seed_6": ("answer", "Then carry the lamp. " * 20),
    }

    def change(kind: str, asked: Request) -> str | Answer | None:
        _, generation, seed = asked.id.split("/")[:3]
        when, said = faults.get(seed, ("", ""))
        return said if generation == "1" and kind == when else None

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, instructions=12, generations=2, operations=["deepen"])
    found = ledgers(tmp_path)
    assert found["evolved"].dropped == {"it copies words of the question": 1, "no JSON in it": 1}
    assert found["compared"].dropped == {
        "it is equal to the request before": 1, "nobody could say whether it is new": 1,
    }  # fmt: skip
    assert found["answers"].dropped == {
        "no answer was right in form": 1,
        "the answer has punctuation and stop words alone": 1,
        "the answer is short and sorry": 1,
    }
    assert (found["evolved"].rows_in, found["compared"].rows_in, found["answers"].rows_in) == (24, 22, 20)
    assert (found["generation 1"].kept, found["generation 1"].notes) == (5, ("7 are tried again in the next",))
    assert (found["generation 2"].kept, found["generation 2"].notes) == (12, ())
    assert len(read_records(tmp_path / "out/evolve/dropped.jsonl", Dropped)) == 7
    texts = {task.id: task.instruction for task in read_records(tmp_path / "seeds.jsonl", SeedTask)}
    second = {row.group: row for row in rows if row.lineage.parents[1].startswith("1/2/")}
    for seed in texts:
        tried = seed in faults
        assert second[seed].lineage.parents[0] == (seed if tried else f"1/1/{seed}")
        assert len(second[seed].lineage.operations) == (1 if tried else 2)
        if tried:
            (asked,) = (one for one in told if one.id == f"1/2/{seed}/deepen")
            assert texts[seed] in asked.messages[0].text, "the line is where it was"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I'm sorry, but I cannot.", "the answer is short and sorry"),
        ("Sorry " + "one two three four " * 20, ""),
        ("He is in a sorry state. " + "It rains again today. " * 20, ""),
        ("...?!", "the answer has punctuation and stop words alone"),
        ("It is what it is.", "the answer has punctuation and stop words alone"),
        ("", "the answer has punctuation and stop words alone"),
        ("It is blue.", ""),
        ("42", ""),
        ("蓝色。", ""),
    ],
)
def test_rules_of_answers(answer: str, reason: str) -> None:
    assert spoils(answer) == reason


def test_words_of_the_question_are_found() -> None:
    assert copies("Here is the #Rewritten Prompt#: say it.", "x7") == "Rewritten Prompt"
    assert copies("Say it. [x7] The end", "x7") == "x7"
    assert copies("The request has ended. Say it.", "x7") == "The request has ended"
    assert copies("Prompt me when the rewritten text is given, in C#.", "x7") == ""


def line(level: Level | None, *operations: Operation) -> Line:
    return Line(Seed(SeedTask(id="a", instruction="Say it."), "utility", level), "Say it.", "a", operations)


def test_levels_rise_with_depth_alone_and_are_marked_as_estimated(tmp_path: Path) -> None:
    assert line("basic").level == "basic"
    assert line("basic", "deepen", "breadth").level == "intermediate"
    assert line("advanced", "deepen", "concretize", "add_constraints").level == "expert"
    assert line(None, "deepen").level is None
    rows = made(tmp_path, seeds=None, demonstrations=experts(), generations=1, operations=["deepen"])
    assert {(row.dimension, row.level, row.lineage.estimated_level) for row in rows} == {
        ("instruction_following", "intermediate", True), ("instruction_following", "expert", True),
    }  # fmt: skip
    others = made(tmp_path / "file", generations=1, dimension="dates")
    assert {(row.dimension, row.level, row.lineage.estimated_level) for row in others} == {("dates", None, False)}


def test_rows_have_their_lineage_and_cost(tmp_path: Path) -> None:
    rows = made(tmp_path, generations=1, by="teacher", samples=2, operations=["breadth"])
    assert len(rows) == 4
    for row in rows:
        lineage = row.lineage
        assert (lineage.paradigm, lineage.source, lineage.author) == ("distill", "evolve", "pupil")
        assert lineage.prompt.startswith("evolve_breadth@")
        assert lineage.cost.completion_tokens == 40, "the instruction, the comparison and two answers"
        assert lineage.verdicts[-1].score is None, "nobody has judged what it says"
        assert Example.from_json(row.to_json()) == row
    assert "of 4 rows nobody has judged what the answer says (construct.judge)" in ledgers(tmp_path)["answers"].notes


def test_of_several_answers_one_that_is_not_eliminated_is_kept(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        return "Sorry." if kind == "answer" and asked.id.endswith("/0") else None

    rows = made(tmp_path, change, generations=1, samples=2)
    assert len(rows) == 4
    assert all(row.target.text != "Sorry." for row in rows)


def test_the_judge_decides_where_the_recipe_has_one(tmp_path: Path) -> None:
    section = JudgeSection.model_validate({"by": {"kind": "self"}, "criteria": {"truth": "It is right."}})

    def judged(asked: Request) -> Answer:
        return worded(scores(truth=5 if "seldom" in asked.messages[-1].text else 1))

    def change(kind: str, asked: Request) -> str | None:
        return "It is seldom so." if kind == "answer" and "/seed_1/" in asked.id else None

    judge = judge_of(section, open=lambda: ScriptedCompleter(judged, name="judge"), name="judge", again=False)
    at = sampler(tmp_path, Bench(judge, section, tmp_path / "out", 4, lambda event: None))
    rows = made(tmp_path, change, at=at, instructions=12, generations=1)
    assert [row.group for row in rows] == ["seed_1"]
    assert ledgers(tmp_path)["answers"].dropped == {"no answer was good enough for the judge": 11}
    meter = at.meters["self"]
    assert meter.judging is not None
    assert meter.judging.judged == 12


def test_the_same_call_asks_nothing_twice_and_gives_the_same_rows(tmp_path: Path) -> None:
    told: list[Request] = []
    first = made(tmp_path, told=told, generations=3)
    paid = len(told)
    assert made(tmp_path, told=told, generations=3) == first
    assert len(told) == paid
    file = tmp_path / "out/evolve/answers-2.jsonl"
    file.unlink()
    assert made(tmp_path, told=told, generations=3) == first
    assert len(told) == paid + 4


def test_nothing_that_comes_is_no_fault(tmp_path: Path) -> None:
    assert made(tmp_path, lambda kind, asked: "what?", generations=2) == []
    found = ledgers(tmp_path)
    assert found["evolved"].dropped == {"no JSON in it": 8}
    assert (found["compared"].rows_in, found["answers"].rows_in) == (0, 0)
