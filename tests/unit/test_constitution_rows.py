"""A round of a constitution, step by step: how many prompts go in, which are kept, and why the others are not."""

import json
from collections import Counter
from pathlib import Path

from support.classroom import Shout
from support.revising import (
    GERMAN,
    PRINCIPLES,
    bench,
    critique,
    kind_of,
    prompt_about,
    said,
    sampler,
    speaker,
    write_rows,
)
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.constitution.source import constitution_rows
from tutelage.construct.judged import Bench
from tutelage.construct.sampling import Asker, Sampler
from tutelage.recipe.sources import ConstitutionSource
from tutelage.records import Answer, Dropped, Example, Ledger, Preference, Request
from tutelage.records.jsonl import read_records

ANIMALS = ("ants", "bees", "cats", "dogs", "eels", "flies", "goats", "hens", "ibexes", "jays")
FIRST = "The SUBJECT are ugly beasts that nobody needs in a garden at any time of the year."
BETTER = "The SUBJECT are useful neighbors, and 3 of them are enough for a bed of flowers."
SCRIPT = {
    "answer": FIRST,
    "critique": critique(True),
    "revision": BETTER,
    "bees/critique": critique(False, "Nothing is wrong."),
    "cats/critique": "Well, who knows.",
    "dogs/revision": f"{FIRST}\n",
    "eels/revision": "Here is the revised answer: the eels are useful neighbors in every pond of the land.",
    "flies/answer": Answer(request_id="", text="", finish="error", error="refused"),
    "goats/answer": said("The goats are ugly beasts that nobody", finish="length"),
    "goats/critique": critique(False),
    "hens/revision": said("The hens are useful neighbors, and", finish="length"),
    "ibexes/revision": GERMAN,
    "jays/revision": "The answer is kind to animals of every sort and size. The jays are nice neighbors to have.",
}


def made(
    folder: Path,
    script: dict[str, str | Answer] | None = None,
    *,
    teacher: Asker | None = None,
    at: Sampler | None = None,
    judge: Bench | None = None,
    animals: tuple[str, ...] = ANIMALS,
    told: list[Request] | None = None,
    **keys: object,
) -> tuple[list[Example], list[Preference]]:
    (folder / "principles.yaml").write_text(PRINCIPLES)
    (folder / "one.yaml").write_text(PRINCIPLES.split("- id: exact")[0])
    write_rows(folder / "prompts.jsonl", [{"prompt": prompt_about(animal)} for animal in animals])
    given = {"kind": "constitution", "prompts": "prompts.jsonl", "principles": "principles.yaml", "revisions": 1}
    section = ConstitutionSource.model_validate({**given, **keys})
    return constitution_rows(
        section,
        at or sampler(folder, bench=judge),
        student=speaker(SCRIPT if script is None else script, told=told),
        teacher=teacher,
        seed=5,
        base=folder,
    )


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/constitution/ledger.jsonl", Ledger)}


def test_ten_prompts_go_in_and_every_loss_has_its_reason(tmp_path: Path) -> None:
    rows, pairs = made(tmp_path, retries=0, principles="one.yaml")
    assert Counter(row.target.text for row in rows) == {
        BETTER.replace("SUBJECT", "ants"): 1, FIRST.replace("SUBJECT", "bees"): 1,
    }  # fmt: skip
    assert not pairs, "nobody has said that a revision is better"
    steps = ledgers(tmp_path)
    counts = {name: (one.rows_in, one.kept) for name, one in steps.items()}
    assert counts == {
        "prompts": (10, 10),
        "answers": (10, 9),
        "critiques-1": (9, 8),
        "revisions-1": (6, 1),
        "faultless": (2, 1),
        "approval": (2, 2),
    }
    assert "2 have no fault by the principle that was drawn" in steps["critiques-1"].notes
    assert steps["answers"].dropped == {"no answer came": 1}
    assert sum(steps["critiques-1"].dropped.values()) == 1
    drawn = {row.id.split("/")[0]: row.reason for row in dropped_of(tmp_path)}
    assert len(drawn) == 8
    why = Counter(row.reason.partition(":")[0] for row in dropped_of(tmp_path) if row.step == "revisions-1")
    assert why["the critique found a fault, and the revision changes nothing"] == 1
    assert why["the revision speaks of being revised"] == 1
    assert why["the revision is not right in form"] == 2
    assert why["the revision repeats the principle"] == 1
    assert steps["faultless"].dropped == {"no fault was found, and it is not right in form": 1}
    assert steps["approval"].notes == (
        "1 rows are first answers without fault",
        "of 2 rows nobody has judged what the answer says",
    )


def dropped_of(folder: Path) -> list[Dropped]:
    return read_records(folder / "out/constitution/dropped.jsonl", Dropped)


def test_two_steps_take_two_principles_and_see_the_last_answer_alone(tmp_path: Path) -> None:
    best = "The SUBJECT are our dear friends, and 4 of them may live in each bed of flowers."
    script: dict[str, str | Answer] = {
        **SCRIPT,
        "ants/revision/2": best,
        "bees/critique/2": critique(True),
        "bees/revision/2": best,
    }
    told: list[Request] = []
    rows, _ = made(tmp_path, script, animals=("ants", "bees"), revisions=2, told=told)
    by = {row.messages[0].text: row for row in rows}
    ants, bees = by[prompt_about("ants")], by[prompt_about("bees")]
    assert ants.target.text == best.replace("SUBJECT", "ants")
    assert [one.role for one in ants.messages] == ["user", "assistant"], "the critique is not learned"
    assert {one.partition("@")[0] for one in ants.lineage.principles} == {"kind", "exact"}
    item = ants.lineage.parents[0]
    names = ("answers", "critiques-1", "revisions-1", "critiques-2", "revisions-2")
    assert ants.lineage.parents == (item, *(f"{item}/{name}" for name in names))
    assert ants.lineage.cost.completion_tokens == 50
    assert bees.lineage.cost.completion_tokens == 40, "its first critique found no fault"
    assert (ants.lineage.paradigm, ants.lineage.source, ants.lineage.author) == ("self", "constitution", "student")
    assert [one.partition("@")[0] for one in ants.lineage.prompt.split()] == [
        "constitution_critique", "constitution_revision",
    ]  # fmt: skip
    assert (ants.level, ants.task) == (None, "constitution")
    assert Example.from_json(ants.to_json()) == ants
    asked = next(one for one in told if one.id == f"{item}/revisions-2")
    assert [one.role for one in asked.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert asked.messages[1].text == BETTER.replace("SUBJECT", "ants")
    assert asked.messages[3].text == "It calls the animal ugly."
    assert "JSON" not in asked.messages[2].text
    first, second = (
        next(one.messages[-1].text for one in told if one.id == f"{item}/critiques-{number}") for number in (1, 2)
    )
    assert first != second
    steps = ledgers(tmp_path)
    assert (steps["critiques-2"].rows_in, steps["revisions-2"].kept) == (2, 2)


def test_a_lost_critique_is_asked_for_again(tmp_path: Path) -> None:
    told: list[Request] = []
    rows, _ = made(tmp_path, {**SCRIPT, "cats/critique": critique(True, " ")}, animals=("cats",), told=told, retries=1)
    assert not rows
    assert [kind_of(one) for one in told] == ["answer", "critique", "critique"]
    assert "it finds a fault and does not say which" in told[-1].messages[-1].text
    assert ledgers(tmp_path)["critiques-1"].dropped == {"it finds a fault and does not say which": 1}


def test_a_teacher_who_revises_is_the_author_of_what_it_wrote_alone(tmp_path: Path) -> None:
    at = sampler(tmp_path)
    told: list[Request] = []
    rows, _ = made(tmp_path, at=at, by="teacher", teacher=speaker(SCRIPT, "teacher", told), animals=("ants", "bees"))
    found = {(row.lineage.paradigm, row.lineage.author, subject(row)) for row in rows}
    assert found == {("distill", "teacher", "ants"), ("self", "student", "bees")}
    assert {kind_of(one) for one in told} == {"critique", "revision"}
    assert (at.meters["self"].answers, at.meters["self"].passed, at.meters["self"].tokens) == (1, 1, 20)
    assert (at.meters["distill"].answers, at.meters["distill"].passed, at.meters["distill"].tokens) == (1, 1, 30)


def subject(row: Example) -> str:
    return row.messages[0].text.split("about the ")[1].split(" ")[0]


def test_answers_without_fault_can_be_left_out(tmp_path: Path) -> None:
    rows, _ = made(tmp_path, animals=("ants", "bees"), faultless="drop")
    assert [subject(row) for row in rows] == ["ants"]
    assert ledgers(tmp_path)["faultless"].dropped == {"no fault was found": 1}


class Loud(Shout):
    levels = ("basic",)


def test_the_check_of_a_task_decides_and_makes_pairs(tmp_path: Path) -> None:
    def shouted(request: Request) -> str:
        word = request.messages[0].text.removeprefix("Shout ").removesuffix(".")
        good = word.endswith(("0", "1"))
        answers = {"answer": word, "critique": critique(True), "revision": word.upper() if good else word.title() + "?"}
        return answers[kind_of(request)]

    at = sampler(tmp_path, [Loud()])
    rows, pairs = constitution_rows(
        ConstitutionSource(kind="constitution", rows=3, revisions=1),
        at,
        student=Asker(lambda: ScriptedCompleter(shouted), "student"),
        teacher=None,
        seed=5,
        base=tmp_path,
    )
    assert len(rows) == 2, ledgers(tmp_path)
    assert all(row.lineage.verdicts[-1].passed and row.task == "shout" and row.level == "basic" for row in rows)
    assert ledgers(tmp_path)["approval"].dropped == {"the check does not pass it": 1}
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [
        (row.target.text, row.target.text.lower()) for row in rows
    ]
    assert "2 first answers are known to be worse and make pairs" in ledgers(tmp_path)["approval"].notes
    assert not at.cells, "the planner's yields are those of lessons and the teacher"


def test_a_judge_decides_where_no_program_can(tmp_path: Path) -> None:
    judge = bench(
        tmp_path, {"The ants are ugly": 2, "The dogs are ugly": 5, "ants are useful": 5, "dogs are useful": 4}
    )
    script: dict[str, str | Answer] = {**SCRIPT, "dogs/revision": BETTER}
    rows, pairs = made(tmp_path, script, judge=judge, animals=("ants", "dogs", "bees"))
    assert {subject(row) for row in rows} == {"ants", "dogs"}
    assert [pair.rejected.text for pair in pairs] == [FIRST.replace("SUBJECT", "ants")]
    assert {verdict.score for verdict in pairs[0].lineage.verdicts} == {1.0, 0.25}
    step = ledgers(tmp_path)["approval"]
    assert step.dropped == {"the judge does not pass it": 1}
    assert "1 rows scored lower than the first answer" in step.notes
    assert (tmp_path / "out/constitution/approval-judge.jsonl").is_file()

    other = tmp_path / "other"
    other.mkdir()
    alone = made(other, script, judge=bench(other, {"useful": 5}, preference_margin=None), animals=("ants",))
    assert (len(alone[0]), alone[1]) == (1, [])


def test_the_same_call_asks_nothing_again_and_gives_the_same(tmp_path: Path) -> None:
    first = made(tmp_path, revisions=2)
    told: list[Request] = []
    assert made(tmp_path, revisions=2, told=told) == first
    assert not told


def test_each_round_takes_the_next_prompts(tmp_path: Path) -> None:
    asked: list[set[str]] = []
    for round in (1, 2, 3):
        folder, told = tmp_path / str(round), list[Request]()
        folder.mkdir()
        made(folder, at=sampler(folder, round=round), rows=4, told=told)
        asked.append({one.messages[0].text for one in told if kind_of(one) == "answer"})
    assert [len(one) for one in asked] == [4, 4, 4]
    assert not asked[0] & asked[1]
    assert len(asked[0] | asked[1] | asked[2]) == len(ANIMALS)


def test_prompts_that_hold_more_than_text_are_left_out(tmp_path: Path) -> None:
    picture = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": "a.png"}]
    file = write_rows(tmp_path / "mixed.jsonl", [{"messages": [{"role": "user", "content": picture}]}])
    file.write_text(file.read_text() + json.dumps({"prompt": prompt_about("ants")}) + "\n")
    rows, _ = made(tmp_path, prompts="mixed.jsonl")
    assert len(rows) == 1
    assert ledgers(tmp_path)["prompts"].dropped == {"the prompt holds more than text": 1}
