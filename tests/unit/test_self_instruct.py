"""Self-Instruct, step by step on a scripted model: n in, kept, and why not."""

import json
from collections import Counter
from pathlib import Path

import pytest

from support.classroom import Shout, shout
from support.judging import scores
from support.pupils import Change, kind_of, last_task, pupil, seed_file, shown
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Sampler
from tutelage.construct.self_improve.bootstrap import bare
from tutelage.construct.self_improve.filters import faults_of_instruction, sift_instances
from tutelage.construct.self_improve.seeds import seeds_of
from tutelage.construct.self_improve.self_instruct import self_instruct_rows
from tutelage.errors import DataError
from tutelage.events import Event
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import SelfInstructSource
from tutelage.records import Answer, Demonstration, Dropped, Example, Ledger, Request
from tutelage.records.jsonl import read_records
from tutelage.records.seed_tasks import Instance, Pooled, SeedTask


def section_of(**keys: object) -> SelfInstructSource:
    return SelfInstructSource.model_validate({"kind": "self_instruct", "seeds": "seeds.jsonl", **keys})


def sampler(folder: Path, notes: list[Event] | None = None, bench: Bench | None = None) -> Sampler:
    emit = notes.append if notes is not None else lambda event: None
    return Sampler(
        folder / "out", ConstructSection(), {"shout": Shout()}, seed=5, round=1, chunk=4, emit=emit, bench=bench
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
    if not (folder / "seeds.jsonl").exists():
        folder.mkdir(exist_ok=True)
        seed_file(folder / "seeds.jsonl")
    return self_instruct_rows(
        section_of(**keys),
        at or sampler(folder),
        writer=pupil(change, told),
        demonstrations=demonstrations,
        base=folder,
    )


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/self_instruct/ledger.jsonl", Ledger)}


def dropped(folder: Path) -> list[Dropped]:
    return read_records(folder / "out/self_instruct/dropped.jsonl", Dropped)


def test_each_step_of_the_paper_is_taken_and_counted(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows = made(tmp_path, told=told, at=at, tasks=20, prompts=1, proposals=8, instances=1, novelty=0.9)
    kinds = Counter(kind_of(one.messages[0].text) for one in told)
    sorts = kinds["output_first"]
    assert kinds == {"tasks": 3, "kind": 20, "input_first": 20 - sorts, "output_first": sorts}
    assert 0 < sorts < 20, "both kinds came"
    found = ledgers(tmp_path)
    assert (found["requests"].rows_in, found["requests"].kept) == (3, 3)
    assert (found["instructions"].rows_in, found["instructions"].dropped) == (24, {"there are enough": 4})
    assert (found["wanted"].rows_in, found["wanted"].kept) == (20, 20)
    assert (found["kinds"].kept, found["kinds"].notes) == (20, (f"{sorts} are classification",))
    assert (found["instance requests"].kept, found["instances"].kept, len(rows)) == (20, 20, 20)
    assert len(dropped(tmp_path)) == 4
    pool = read_records(tmp_path / "out/self_instruct/pool.jsonl", Pooled)
    assert [one.step for one in pool] == [1] * 8 + [2] * 8 + [3] * 4
    assert sum(one.is_classification is True for one in pool) == sorts
    meter = at.meters["self"]
    assert (meter.answers, meter.passed, meter.errors) == (24, 20, 0)


def test_six_of_experts_and_two_of_its_own_are_shown_once_there_are_some(tmp_path: Path) -> None:
    told: list[Request] = []
    made(tmp_path, told=told, tasks=20, prompts=1, novelty=0.9)
    experts = {task.instruction for task in read_records(tmp_path / "seeds.jsonl", SeedTask)}
    requests = [shown(one.messages[0].text) for one in told if kind_of(one.messages[0].text) == "tasks"]
    pool = read_records(tmp_path / "out/self_instruct/pool.jsonl", Pooled)
    known: set[str] = set()
    for step, texts in enumerate(requests, 1):
        assert len(texts) == len(set(texts)) == 8
        own = [text for text in texts if text not in experts]
        assert len(own) == (0 if step == 1 else 2)
        assert set(own) <= known, "of the steps before"
        known |= {one.instruction for one in pool if one.step == step}
    assert len(requests) == 3
    by_id = {task.id: task.instruction for task in read_records(tmp_path / "seeds.jsonl", SeedTask)}
    by_id |= {one.id: one.instruction for one in pool}
    assert [by_id[name] for name in pool[-1].shown] == requests[-1], "what was shown is its lineage"


def test_each_filter_of_instructions_gives_its_reason(tmp_path: Path) -> None:
    expert = seed_file(tmp_path / "seeds.jsonl") and read_records(tmp_path / "seeds.jsonl", SeedTask)[1].instruction
    proposed = {
        "Name three fruits that keep well in winter.": "",
        "3. Explain to a child why the sky is dark at night.": "",
        "  ": "the instruction is empty",
        "Sing a song": "the instruction is too short",
        "Say " + "more and " * 80: "the instruction is too long",
        "Describe the image that you see below.": "the instruction names what a model of text cannot serve",
        "Write a program that sorts a list of names.": "the instruction asks for a program",
        '"Hello" is a greeting, give another one.': "the instruction starts with punctuation",
        "Übersetze my sentence into plain old English.": "the instruction does not start in English",
        "Nenne mir bitte drei Obstsorten, die man im Winter gut lagern kann.": "the instruction is in another language",
        f"{expert} please": "the instruction is too near to one in the pool",
        "Name three fruits that keep well in summer.": "the instruction is too near to one in the pool",
    }

    def change(kind: str, asked: Request) -> str | None:
        return json.dumps({"instructions": list(proposed)}) if kind == "tasks" else None

    made(tmp_path, change, tasks=5, prompts=1, steps=1)
    reasons = Counter(filter(None, proposed.values()))
    assert ledgers(tmp_path)["instructions"].dropped == dict(sorted(reasons.items()))
    pool = read_records(tmp_path / "out/self_instruct/pool.jsonl", Pooled)
    assert [one.instruction for one in pool] == [
        "Name three fruits that keep well in winter.",
        "Explain to a child why the sky is dark at night.",
    ]
    assert ledgers(tmp_path)["wanted"].dropped == {"missing": 3}


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("¿Cuáles son las tres frutas que duran más tiempo en invierno?", "es", None),
        ("Mapping a street by its names is hard, why?", "en", None),
        ("Draw a house with words.", "en", "the instruction names what a model of text cannot serve"),
        ("Go to the shop and say what you see.", "en", "the instruction names what a model of text cannot serve"),
        ("为什么天空在夜里是黑色的？", "zh", None),
    ],
)
def test_filters_know_words_and_languages(text: str, language: str, reason: str | None) -> None:
    assert next((found for found, _ in faults_of_instruction(text, language)), None) == reason


def test_numbers_before_instructions_are_taken_off() -> None:
    assert bare(" 12.  Name\n two things. ") == "Name two things."
    assert bare("Task 3: Name two things.") == "Name two things."
    assert bare("3 apples cost 4 coins. What does one cost?") == "3 apples cost 4 coins. What does one cost?"


def test_each_filter_of_instances_gives_its_reason() -> None:
    def reasons(*pairs: tuple[str, str], most: int = 5) -> list[str]:
        return [reason for _, reason in sift_instances([Instance(input=i, output=o) for i, o in pairs], most)]

    assert reasons(("a", "b"), (" c ", "d")) == ["", ""]
    assert reasons(("a", "a"), ("a", " ")) == ["the output is the input", "the output is empty"]
    assert reasons(("a:", "b"), ("a", "b:"))[0] == "it ends with a colon, as what is not finished does"
    assert reasons(("a", "b"), ("a", "c"), ("d", "e")) == ["an input of the instruction has different outputs"] * 3
    assert reasons(("a", "b"), ("a", "b")) == ["", "the input was there before"]
    assert reasons(("", "b"), ("", "c")) == ["", "the instruction without input has an output"]
    assert reasons(("a", "1"), ("b", "2"), ("c", "3"), most=2) == ["", "", "there are enough"]
    assert reasons(("a", "b"), ("a", "")) == ["", "the output is empty"], "what is invalid contradicts nothing"


def test_labels_come_first_where_it_is_classification(tmp_path: Path) -> None:
    told: list[Request] = []
    rows = made(tmp_path, told=told, tasks=12, instances=2, novelty=0.9)
    experts = {" ".join(t.instruction.split()): t for t in read_records(tmp_path / "seeds.jsonl", SeedTask)}
    for one in told:
        prompt = one.messages[0].text
        kind = kind_of(prompt)
        if kind == "tasks":
            continue
        assert one.sampling.temperature == 0
        examples = [line.removeprefix("Task: ") for line in prompt.splitlines() if line.startswith("Task: ")][:-1]
        flags = {experts[text].is_classification for text in examples}
        assert len(examples) == 4
        assert flags == {"kind": {True, False}, "input_first": {False}, "output_first": {True}}[kind]
        if kind == "output_first":
            assert last_task(prompt).startswith("Sort")
            assert '{"instances": [{"label": "yes", "input": "We' in prompt
        if kind == "input_first":
            assert '{"instances": [{"input": "We' in prompt
    by_how = {row.lineage.operations: row for row in rows}
    assert set(by_how) == {("propose", "input_first"), ("propose", "output_first")}
    assert all(row.messages[0].text.startswith("Sort") for row in rows if row.lineage.operations[1] == "output_first")


def test_rows_have_their_lineage_and_cost(tmp_path: Path) -> None:
    rows = made(tmp_path, tasks=4, instances=2, dimension="generalization")
    assert len(rows) == 8
    pool = {one.id: one for one in read_records(tmp_path / "out/self_instruct/pool.jsonl", Pooled)}
    for row in rows:
        lineage = row.lineage
        assert (lineage.paradigm, lineage.source, lineage.author) == ("self", "self_instruct", "pupil")
        assert (row.dimension, row.level, row.task) == ("generalization", None, "self_instruct")
        own = pool[row.group]
        assert lineage.parents[:-1] == (*own.shown, own.id)
        assert lineage.prompt.startswith(f"self_instruct_{lineage.operations[1]}@")
        assert row.messages[0].text.startswith(own.instruction + "\n\n")
        (verdict,) = lineage.verdicts
        assert verdict.score is None, "nobody has judged what it says"
        assert Example.from_json(row.to_json()) == row
    costs = [row.lineage.cost.completion_tokens for row in rows]
    assert costs == [20, 0] * 4, "told apart and written, once an instruction"


def test_a_teacher_makes_rows_of_distillation(tmp_path: Path) -> None:
    at = sampler(tmp_path)
    rows = made(tmp_path, at=at, tasks=2, by="teacher")
    assert {row.lineage.paradigm for row in rows} == {"distill"}
    assert set(at.meters) == {"distill"}


def test_what_is_not_of_the_form_is_asked_again_and_what_a_filter_drops_is_not(tmp_path: Path) -> None:
    def change(kind: str, asked: Request) -> str | None:
        if kind == "kind":
            return "I do not know." if asked.id.startswith("1/1/0/0/") else None
        if kind == "tasks" and len(asked.messages) == 1 and asked.id == "1/1/1":
            return json.dumps({"instructions": []})
        if kind == "input_first" and len(asked.messages) == 1 and asked.id.startswith("1/1/0/1/"):
            return json.dumps({"instances": [{"input": "a b c", "output": "a b c"}]})
        return None

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, tasks=16, novelty=0.9)
    again = Counter(kind_of(one.messages[0].text) for one in told if len(one.messages) > 1)
    assert again["tasks"] == 1
    assert again["kind"] == 1
    found = ledgers(tmp_path)
    assert (found["requests"].kept, found["kinds"].rows_in) == (2, 16)
    assert found["kinds"].dropped == {"nobody could say what kind it is": 1}
    assert again["input_first"] == 0
    same = found["instances"].dropped.get("the output is the input", 0)
    assert len(rows) == 16 - 1 - same


def test_the_same_call_asks_nothing_twice_and_gives_the_same_rows(tmp_path: Path) -> None:
    told: list[Request] = []
    first = made(tmp_path, told=told, tasks=12, novelty=0.9)
    paid = len(told)
    assert made(tmp_path, told=told, tasks=12, novelty=0.9) == first
    assert len(told) == paid
    file = tmp_path / "out/self_instruct/kinds.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:8]))
    assert made(tmp_path, told=told, tasks=12, novelty=0.9) == first
    assert len(told) == paid + 4


def test_the_judge_decides_where_the_recipe_has_one(tmp_path: Path) -> None:
    section = JudgeSection.model_validate({"by": {"kind": "self"}, "criteria": {"truth": "It is right."}})

    def judged(asked: Request) -> Answer:
        mark = 5 if "Then" in asked.messages[-1].text.rsplit("The answer to be judged", 1)[1] else 1
        return Answer(request_id="", text=scores(truth=mark))

    judge = judge_of(section, open=lambda: ScriptedCompleter(judged, name="judge"), name="judge", again=False)
    at = sampler(tmp_path, bench=Bench(judge, section, tmp_path / "out", 4, lambda event: None))
    rows = made(tmp_path, at=at, tasks=12, novelty=0.9)
    assert rows
    assert {row.lineage.operations[1] for row in rows} == {"input_first"}
    assert all(row.lineage.verdicts[0].judge is not None for row in rows)
    found = ledgers(tmp_path)["instances"]
    assert found.dropped == {"the output was not good enough for the judge": 12 - len(rows)}
    assert not found.notes
    meter = at.meters["self"]
    assert meter.judging is not None
    assert meter.judging.judged == 12
    assert (tmp_path / "out/self_instruct/instances-judge.jsonl").is_file()


def test_nothing_that_comes_is_no_fault(tmp_path: Path) -> None:
    notes: list[Event] = []
    rows = made(tmp_path, lambda kind, asked: "what?", at=sampler(tmp_path, notes), tasks=4, steps=2)
    assert rows == []
    found = ledgers(tmp_path)
    assert found["requests"].dropped == {"no JSON in it": 2}
    assert found["wanted"].dropped == {"missing": 4}
    assert "self_instruct, wanted: 0 of 4 kept" in " ".join(str(event.data.get("text")) for event in notes)


def test_seeds_are_demonstrations_where_no_file_is_named(tmp_path: Path) -> None:
    expert = Demonstration(item=shout("x"), answer="X", author="she")
    harm = expert.model_copy(update={"item": shout("y").model_copy(update={"dimension": "safety"})})
    long = expert.model_copy(update={"item": shout("z " * 500)})
    section = section_of(seeds=None)
    (seed,) = seeds_of(section, (expert, harm, long, expert), tmp_path)
    assert (seed.task.id, seed.request, seed.dimension, seed.level) == (
        "id-x", "Shout x.", "instruction_following", "basic",
    )  # fmt: skip
    with pytest.raises(DataError, match="no demonstration can be a seed") as caught:
        seeds_of(section, (harm, long), tmp_path)
    assert "2 demonstrations" in str(caught.value)
    told: list[Request] = []
    rows = made(tmp_path, told=told, demonstrations=(expert,), seeds=None, tasks=2)
    assert len(rows) == 2
    asked = [one.messages[0].text for one in told]
    assert shown(next(text for text in asked if kind_of(text) == "tasks")) == ["Shout x."]
    kinds = [text for text in asked if kind_of(text) == "kind"]
    assert all(text.count("\nTask: ") == 1 for text in kinds), "nobody has said what a demonstration is"


def test_a_file_of_seeds_is_read_with_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    good = {"id": "a", "name": "n", "instruction": "Say it.", "instances": [{"input": "", "output": "It."}]}
    file.write_text(json.dumps({**good, "is_classification": False}) + "\n")
    (seed,) = seeds_of(section_of(dimension="dates"), (), tmp_path)
    assert (seed.request, seed.dimension, seed.level, seed.task.is_classification) == ("Say it.", "dates", None, False)
    file.write_text("".join(json.dumps({**good, "instruction": text}) + "\n" for text in ("One.", "Two.")))
    with pytest.raises(DataError, match=r"seeds\.jsonl: a: the id is given more than once"):
        seeds_of(section_of(), (), tmp_path)
    file.write_text(json.dumps({**good, "instance": []}) + "\n")
    with pytest.raises(DataError, match="Did you mean 'instances'"):
        seeds_of(section_of(), (), tmp_path)
    file.write_text("")
    with pytest.raises(DataError, match="the file has no records"):
        seeds_of(section_of(), (), tmp_path)
