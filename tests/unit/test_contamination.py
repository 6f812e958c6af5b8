"""Items of evaluation and of public benchmarks in training rows: found in any spelling, told by name."""

import json
from pathlib import Path

import pytest

from tutelage.curate import Contamination, build_steps, curate
from tutelage.errors import DataError, RecipeError, StorageError
from tutelage.recipe import parse_recipe
from tutelage.recipe.curate import CurateSection
from tutelage.recipe.inputs import input_files
from tutelage.records import Example, Lineage, Message, ToolCall, assistant, user
from tutelage.records.importers.benchmarks import Benchmark, BenchmarkItem, read_benchmark

LINEAGE = Lineage(paradigm="expert", source="test", author="test")
EGGS = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her "
    "friends every day with four."
)


def row(prompt: str, answer: str = "I see.", id: str = "a") -> Example:
    return Example(id=id, messages=(user(prompt), assistant(answer)), lineage=LINEAGE)


def step(*items: BenchmarkItem, **options: int) -> Contamination:
    return Contamination([], against=[Benchmark("bench", items)], **options)


def found(item: BenchmarkItem, prompt: str, answer: str = "I see.") -> bool:
    return bool(step(item).find(row(prompt, answer)))


@pytest.mark.parametrize(
    "prompt",
    [
        EGGS,
        EGGS.upper(),
        "".join(sign for sign in EGGS if sign.isalnum() or sign == " "),
        EGGS.replace("'", "’").replace(" ", "\n"),
        " - ".join(EGGS.split()),
        f"Solve this one for my class, please. {EGGS} Thank you very much.",
    ],
)
def test_an_item_is_found_whatever_its_case_signs_and_surroundings(prompt: str) -> None:
    assert found(BenchmarkItem("1", (EGGS,)), prompt)


def test_signs_left_out_join_words_in_a_short_item() -> None:
    """Eleven words, three of them with a sign inside: no eight of either spelling are in a row without joining."""
    item = BenchmarkItem("1", ("Isn't a well-known mother-in-law's pie 3.5 times better?",))
    assert found(item, "isnt a wellknown motherinlaws pie 35 times better")
    assert not found(item, "isnt a wellknown motherinlaws cake 35 times better")


def test_a_short_question_counts_inside_a_text_only_beside_its_answer_or_all_its_choices() -> None:
    capital = BenchmarkItem("1", ("What is the capital of Varn?",), answers=("Port Lorn",))
    assert found(capital, "What is the capital of Varn?")
    assert found(capital, "Please tell me: what is the capital of Varn? I forgot.", "It is Port Lorn.")
    assert not found(capital, "Please tell me: what is the capital of Varn? I forgot.", "It is Portland.")
    true = BenchmarkItem("2", ("Which of these is true?",), answers=("Cats fly",), choices=("Cats fly", "Dogs swim"))
    assert found(true, "Which of these is true? A. Dogs swim B. Cats fly")
    assert not found(true, "Which of these is true? A. Cats fly B. Cats swim")
    price = BenchmarkItem("4", ("How much is the bread?",), answers=("3.50 francs",))
    assert found(price, "Now: how much is the bread, please? I think 350 francs")
    tiny = BenchmarkItem("3", ("Who was Ada?",), answers=("a writer",))
    assert not found(tiny, "Tell me: who was Ada? I think she was a writer.")


def test_benchmarks_are_told_by_name_and_their_items_by_id() -> None:
    other = "Natalia sold clips to 48 of her friends in April and then she sold half as many in May."
    files = [
        Benchmark("eggs", (BenchmarkItem("e1", (EGGS,)), BenchmarkItem("e2", ("Nobody asks this here.",)))),
        Benchmark("clips", (BenchmarkItem("c7", (other,)),)),
    ]
    rows = [row(EGGS, id="a"), row(f"{other} {EGGS}", id="b"), row("Hello there.", id="c"), row(other, id="d")]
    curated = curate(rows, [Contamination([], against=files)])
    assert [one.id for one in curated.kept] == ["c"]
    assert curated.ledger.dropped == {
        "contamination: shares words with clips": 1,
        "contamination: shares words with eggs": 2,
    }
    assert curated.dropped[1].reason.startswith('shares words with eggs: e1 has "janet s ducks')
    assert curated.dropped[1].reason.endswith("; 1 more: c7")
    assert curated.ledger.notes == (
        "contamination: compared with 2 items of eggs",
        "contamination: compared with 1 item of clips",
        "contamination: eggs: 1 of 2 items found, in 2 rows: e1",
        "contamination: clips: 1 of 1 item found, in 2 rows: c7",
    )


def test_boilerplate_is_that_of_one_benchmark() -> None:
    frame = "Answer the following question with one of the four letters and nothing else at all"
    many = Benchmark("many", tuple(BenchmarkItem(str(n), (f"{frame}: number {n}",)) for n in range(20)))
    sifted = Contamination([], against=[many]).apply([row(f"{frame}: what?")])
    assert not sifted.dropped
    assert sifted.notes[1].startswith(f'boilerplate of many ignored: "{frame.lower()}')
    passage = Benchmark("one", tuple(BenchmarkItem(str(n), (f"Who {n}?",), contexts=(EGGS,)) for n in range(20)))
    assert Contamination([], against=[passage]).apply([row(EGGS)]).dropped


FORMS = [
    ({"question": EGGS, "answer": "18"}, EGGS, ("18",), ()),
    ({"question": "Q?", "choices": ["x one", "y two"], "answer": 1}, "Q?", (), ("x one", "y two")),
    ({"question": "Q?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "A"}, "Q?", (), ("x", "y")),
    ({"question": "Q?", "options": ["x", "y"], "answer": "B"}, "Q?", (), ("x", "y")),
    ({"ctx": "A man sits.", "endings": ["He falls.", "He sings."], "label": "0"}, "A man sits.", (),
     ("He falls.", "He sings.")),
    ({"instruction": "Add.", "input": "1 2", "output": "3"}, "Add.\n\n1 2", ("3",), ()),
    ({"instruction": "Add.", "instances": [{"input": "1 2", "output": "3"}]}, "Add.\n\n1 2", ("3",), ()),
    ({"problem": "P?", "solution": "S."}, "P?", ("S.",), ()),
    ({"question": "Q?", "answers": {"text": ["x"], "answer_start": [3]}}, "Q?", ("x",), ()),
    ({"turns": ["First?", "Second?"]}, "First?", (), ()),
    ({"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Q?"},
                   {"role": "assistant", "content": "A."}]}, "Q?", ("A.",), ()),
]  # fmt: skip


@pytest.mark.parametrize(("values", "question", "answers", "choices"), FORMS)
def test_the_usual_columns_are_known(
    tmp_path: Path, values: dict[str, object], question: str, answers: tuple[str, ...], choices: tuple[str, ...]
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(values))
    (item,) = read_benchmark(file, name="a").items
    assert (item.id, item.questions[0], item.answers, item.choices) == ("line 1", question, answers, choices)


def test_faults_of_a_file_are_told_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"task_id": "t1", "frage": "Was?"}\n{"frage": ""}\n{"frage": "Wer?"}\n')
    with pytest.raises(DataError) as caught:
        read_benchmark(file, name="a")
    assert [problem.where for problem in caught.value.problems] == [f"{file}:{line}" for line in (1, 2, 3)]
    assert "name the columns (keys)" in caught.value.problems[0].remedy
    with pytest.raises(DataError) as caught:
        read_benchmark(file, name="a", keys=["frage"])
    assert [problem.where for problem in caught.value.problems] == [f"{file}:2"]
    file.write_text('{"task_id": "t1", "frage": "Was?"}\n')
    assert read_benchmark(file, name="a", keys=["frage"]).items == (BenchmarkItem("t1", ("Was?",)),)


RECIPE = "name: x\ntasks: [{kind: safety}]\ncurate:\n  steps:\n    - {kind: contamination, against: AGAINST}\n"


def test_a_recipe_names_benchmarks_by_path_or_with_more(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("frage\n" + EGGS.replace(",", "") + "\n")
    recipe = parse_recipe(RECIPE.replace("AGAINST", "[{path: b.csv, name: eggs, keys: [frage]}]"))
    dropped = build_steps(recipe.curate, [], folder=tmp_path)[0].apply([row(EGGS)]).dropped
    assert dropped[0].reason.startswith("shares words with eggs: line 2 has")
    short = parse_recipe(RECIPE.replace("AGAINST", "data/mmlu.test.parquet"))
    (section,) = short.curate.steps
    assert section.kind == "contamination"
    assert section.against[0].called == "mmlu"
    assert list(input_files(short)) == ["data/mmlu.test.parquet"]
    with pytest.raises(StorageError, match="no such file"):
        build_steps(short.curate, [], folder=tmp_path)
    assert CurateSection.model_validate_json(short.curate.model_dump_json()) == short.curate


@pytest.mark.parametrize(
    ("against", "why"),
    [("[a.jsonl, b/a.csv]", "a given more than once"), ("[3]", "name files"), ("[{path: a, name: 'b:c'}]", "pattern")],
)
def test_what_names_no_benchmark_is_refused(against: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        parse_recipe(RECIPE.replace("AGAINST", against))


OSTRICH = "What do ostriches do when scared?"


def columns(tmp_path: Path, **values: object) -> BenchmarkItem:
    file = tmp_path / "b.jsonl"
    file.write_text(json.dumps(values) + "\n")
    return read_benchmark(file, name="b").items[0]


@pytest.mark.parametrize(
    ("values", "answer", "leaks"),
    [
        (
            {"best_answer": "They run away", "incorrect_answers": ["They bury heads", "They fly"]},
            "They run away.",
            True,
        ),
        ({"best_answer": "They run away", "incorrect_answers": ["They bury heads"]}, "They bury heads.", False),
        ({"answer": "run away", "choices": ["run away", "fly"]}, "They run away.", False),
        ({"answer": "run away", "choices": ["run away", "fly"]}, "They run away, they cannot fly.", True),
        ({"answer": "(1)", "choices": ["run away", "fly"]}, "There is 1 way.", False),
        ({"answer": 6}, "There are 6 ways.", True),
        ({"answer": 6.0}, "There are 6 ways.", True),
        ({"answers": [6, True]}, "There are 6 ways.", True),
        ({"answers": {"text": ["away"], "answer_start": [6]}}, "There are 6 ways.", False),
        ({"answer": 1, "choices": ["run away", "fly"]}, "There is 1 way.", False),
    ],
)
def test_what_proves_a_short_question(tmp_path: Path, values: dict[str, object], answer: str, leaks: bool) -> None:
    item = columns(tmp_path, question=OSTRICH, **values)
    assert found(item, f"Please tell me: {OSTRICH} Thanks.", answer) == leaks


def test_arguments_of_calls_are_read() -> None:
    words = "the keeper wrote down the weather every evening before supper and noted each ship that passed"
    call = ToolCall(name="search", arguments={"q": {"all": [3, words]}})
    calls = Message(role="assistant", tool_calls=(call,))
    lost = Example(id="a", messages=(user("Look it up."), calls), lineage=row("x").lineage)
    item = BenchmarkItem("1", (words,))
    assert curate([lost], [step(item)]).dropped


def test_a_short_turn_that_most_items_have_is_boilerplate() -> None:
    items = [BenchmarkItem(str(at), (f"Tell me of the {at * 7} stars.", "Why?")) for at in range(40)]
    own = curate([row("Why?")], [step(*items)])
    assert len(own.kept) == 1
    assert 'contamination: boilerplate of bench ignored: "why"' in own.ledger.notes
    assert curate([row("Why?")], [step(items[0])]).dropped
