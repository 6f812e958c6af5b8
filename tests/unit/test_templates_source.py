"""Templates over labelled data: rows worked out by hand, draws that the seed alone decides, faults by line."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.construct.sampling import Sampler
from tutelage.construct.templates.source import read_kit, template_rows
from tutelage.errors import DataError, RecipeError
from tutelage.events import silent
from tutelage.pipeline.estimate import estimate_run
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.single import construct, curate_round
from tutelage.recipe import load_recipe, parse_recipe
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.inputs import input_files
from tutelage.recipe.sources import TemplatesSource
from tutelage.records import Example, Ledger
from tutelage.records.importers import import_examples
from tutelage.records.jsonl import read_records
from tutelage.tasks.build import build_tasks

REVIEWS = "text,label\nA fine film.,1\nToo long and too loud.,0\nI laughed all the way.,1\nNobody would miss it.,0\n"
TEMPLATES = """\
- name: plain
  prompt: |
    {{ text }}
    Good or bad?
    {{ options }}
  answer: "{{ label }}"
- name: lettered
  prompt: |-
    Which is it?
    {{ letters }}

    {{ text }}
  answer: "{{ letter }}"
- name: inverted
  prompt: Write a {{ label }} review.
  answer: "{{ text }}"
"""
LABELS = {"0": "bad", "1": "good"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    (tmp_path / "templates.yaml").write_text(TEMPLATES)
    return tmp_path


def source(**changes: object) -> TemplatesSource:
    given = {"kind": "templates", "path": "reviews.csv", "wordings": "templates.yaml", "labels": LABELS}
    return TemplatesSource.model_validate({**given, **changes})


def rows_of(home: Path, *, seed: int = 7, round: int = 1, **changes: object) -> list[Example]:
    sampler = Sampler(home / "construct", ConstructSection(), {}, seed=1, round=round, chunk=8, emit=silent)
    return template_rows(source(**changes), sampler, seed=seed, base=home)


def ledgers(home: Path) -> list[Ledger]:
    return read_records(home / "construct" / "templates" / "ledger.jsonl", Ledger)


def by_template(rows: list[Example]) -> dict[tuple[str, str], Example]:
    return {(row.lineage.prompt, row.lineage.parents[0]): row for row in rows}


def test_rows_are_those_worked_out_by_hand(home: Path) -> None:
    rows = rows_of(home)
    assert len(rows) == 12, "four rows, three wordings"
    found = by_template(rows)
    first = found["plain", "reviews.csv:2"]
    offered = ("A fine film.\nGood or bad?\n- bad\n- good", "A fine film.\nGood or bad?\n- good\n- bad")
    assert first.messages[0].text in offered
    assert (first.target.text, first.facet, first.group, first.dimension) == (
        "good",
        "good",
        "reviews.csv:2",
        "utility",
    )
    lineage = first.lineage
    assert (lineage.paradigm, lineage.source, lineage.author, lineage.seed) == ("expert", "templates", "expert", 7)
    for place in ("reviews.csv:2", "reviews.csv:3", "reviews.csv:4", "reviews.csv:5"):
        row = found["lettered", place]
        asked = dict(line.split(". ") for line in row.messages[0].text.split("\n")[1:3])
        assert asked[row.target.text] == row.facet, "the letter is that of the label, in whatever order"
    inverted = found["inverted", "reviews.csv:3"]
    assert [turn.text for turn in inverted.messages] == ["Write a bad review.", "Too long and too loud."]
    (ledger,) = ledgers(home)
    assert (ledger.rows_in, ledger.kept, ledger.notes) == (12, 12, ("inverted 4, lettered 4, plain 4",))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 3))
def test_draws_depend_on_the_seed_alone(
    tmp_path_factory: pytest.TempPathFactory, seed: int, number: int, most: int
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "reviews.csv").write_text(REVIEWS)
    (home / "templates.yaml").write_text(TEMPLATES)
    rows = rows_of(home, seed=seed, rows=number, per_row=most)
    assert rows == rows_of(home, seed=seed, rows=number, per_row=most)
    assert set(Counter(row.group for row in rows).values()) == {most}
    assert len({row.group for row in rows}) == number
    assert len({row.id for row in rows}) == len(rows) == number * most


def test_the_next_round_takes_the_next_rows(home: Path) -> None:
    first, second = ({row.group for row in rows_of(home, round=number, rows=2)} for number in (1, 2))
    assert len(first | second) == 4


def test_options_come_in_every_order(home: Path) -> None:
    orders = {
        by_template(rows_of(home, seed=seed))["plain", "reviews.csv:2"].messages[0].text.split("\n", 2)[2]
        for seed in range(12)
    }
    assert orders == {"- bad\n- good", "- good\n- bad"}


def test_labels_can_be_balanced(home: Path) -> None:
    (home / "reviews.csv").write_text(REVIEWS + "Splendid.,1\nWonderful.,1\nLovely.,1\n")
    assert Counter(row.facet for row in rows_of(home, per_row=1)) == {"good": 5, "bad": 2}
    assert Counter(row.facet for row in rows_of(home, per_row=1, balance=True)) == {"good": 2, "bad": 2}
    assert Counter(row.facet for row in rows_of(home, per_row=1, balance=True, rows=3)) == {"good": 1, "bad": 1}


def test_what_is_held_out_is_written_and_never_learned(home: Path) -> None:
    rows = rows_of(home, hold_out=["inverted"])
    assert {row.lineage.prompt for row in rows} == {"plain", "lettered"}
    held = import_examples(home / "construct" / "templates" / "held_out.jsonl", author="x")
    assert {row.lineage.prompt for row in held} == {"inverted"}
    assert {row.group for row in held} == {row.group for row in rows}
    assert [ledger.stage for ledger in ledgers(home)] == ["wordings", "held out"]


def test_examples_stand_before_the_question(home: Path) -> None:
    rows = rows_of(home, shots=2, shot_share=1.0, per_row=1, hold_out=["plain", "lettered"])
    texts = {
        "bad": ("Too long and too loud.", "Nobody would miss it."),
        "good": ("A fine film.", "I laughed all the way."),
    }
    for row in rows:
        *before, asked = row.messages[0].text.split("\n\n")
        assert asked == f"Write a {row.facet} review."
        assert len(before) == 2
        for shot in before:
            question, answer = shot.split("\n")
            assert answer in texts[question.split()[2]]
            assert answer != row.target.text
    some = rows_of(home, shots=1, per_row=1, hold_out=["plain", "lettered"])
    assert 0 < sum("\n\n" in row.messages[0].text for row in some) < 4


def test_a_data_set_without_labels_is_made_of_columns(home: Path) -> None:
    articles = [
        {"The article": "Rain fell on Bonn.", "summary": "Rain in Bonn.", "year": 1999},
        {"summary": "Nothing."},
    ]
    (home / "articles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in articles))
    (home / "templates.yaml").write_text(
        '- {name: sum, prompt: "Sum up, of {{ year }}: {{ The_article }}", answer: "{{ summary }}"}\n'
    )
    (row,) = rows_of(home, path="articles.jsonl", label=None, labels={})
    assert [turn.text for turn in row.messages] == ["Sum up, of 1999: Rain fell on Bonn.", "Rain in Bonn."]
    (ledger,) = ledgers(home)
    assert ledger.dropped == {"a column that the template uses is empty": 1}


def faults(home: Path, **changes: object) -> list[str]:
    with pytest.raises(DataError) as raised:
        rows_of(home, **changes)
    return [f"{problem.where}|{problem.what}|{problem.received}" for problem in raised.value.problems]


def test_faults_of_templates_are_named_by_line(home: Path) -> None:
    text = (
        TEMPLATES.replace("Good or bad?", "{{ Text }}")
        .replace("{{ letter }}", "{{ letter }")
        .replace("inverted", "plain")
    )
    (home / "templates.yaml").write_text(text + "- name: empty\n  prompt: Hello\n  answer: Hi\n- 3\n")
    found = faults(home)
    assert [one.split("|")[0] for one in found] == [
        "line 4: plain, prompt",
        "line 13: lettered, answer",
        "line 14",
        "line 17: empty",
        "line 20",
    ]
    assert found[0].endswith("there is no column of this name|Text")
    assert "two templates have one name|plain" in found[2]
    assert "it uses no column" in found[3]


def test_faults_of_rows_are_named_all_at_once(home: Path) -> None:
    (home / "reviews.csv").write_text(REVIEWS + "What now?,\nAnd this?,2\n")
    assert faults(home) == [
        "reviews.csv:6: label|the label is missing|",
        "reviews.csv:7: label|this label has no name|2",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hold_out": ["nobody"]}, "no such template to hold out"),
        ({"hold_out": ["plain", "lettered", "inverted"]}, "every template is held out"),
        ({"labels": {}, "label": "text", "path": "one.csv"}, "it offers options, and there is only one"),
        ({"label": None, "labels": {}}, "there is no column of this name (and label is null)"),
        ({"shots": 4}, "there are 4 rows, and each is shown others"),
        ({"path": "shadow.csv"}, "a column and what is made of the label have one name"),
    ],
)
def test_what_cannot_be_is_refused(home: Path, changes: dict[str, object], said: str) -> None:
    (home / "one.csv").write_text("text,other\nfine,1\n")
    (home / "shadow.csv").write_text("text,label,options\nfine,1,a\nbad,0,b\n")
    assert any(said in one for one in faults(home, **changes))


def test_a_template_can_neither_reach_out_nor_fail_in_silence(home: Path) -> None:
    (home / "templates.yaml").write_text(
        '- {name: out, prompt: "{{ text.__class__.__mro__ }}", answer: "{{ label }}"}\n'
    )
    assert "the template fails: access to attribute '__class__'" in faults(home)[0]
    (home / "templates.yaml").write_text('- {name: sum, prompt: "{{ text + 1 }}", answer: "{{ label }}"}\n')
    assert faults(home)[0].startswith("sum, of reviews.csv:")


def test_a_question_is_never_shown_with_its_own_answer(home: Path) -> None:
    """Rows 1 and 5 say the same, but for an id, case and a space: neither may stand before the other."""
    (home / "reviews.csv").write_text("id,text,label\n1,A fine film.,1\n2,Too loud.,0\n3,A joy.,1\n4,a  fine FILM.,1\n")
    for shots in (1, 2, 3):
        for row in rows_of(home, shots=shots, shot_share=1.0, hold_out=["inverted", "lettered"]):
            *before, asked = row.messages[0].text.split("\n\n")
            assert len(before) == (min(shots, 2) if row.group in {"reviews.csv:2", "reviews.csv:5"} else shots)
            text = asked.split("\n")[0]
            same = {"A fine film.", "a  fine FILM."} if "ine" in text else {text}
            assert not [shot for shot in before if shot.split("\n")[0] in same]


def test_faults_of_columns_are_said_once(home: Path) -> None:
    assert faults(home, label="sentiment") == ["label|there is no column of this name|sentiment"]
    (home / "twice.csv").write_text("a b,a-b,label\n1,2,1\n1,2,0\n")
    assert faults(home, path="twice.csv") == ["twice.csv|two columns are both called a_b|a b, a-b"]


def test_rows_of_a_folder_are_told_apart(home: Path) -> None:
    for part in ("one", "two"):
        (home / "all" / part).mkdir(parents=True)
        (home / "all" / part / "reviews.csv").write_text(REVIEWS)
    rows = rows_of(home, path="all", per_row=1)
    assert {row.group for row in rows} == {
        f"{part}/reviews.csv:{line}" for part in ("one", "two") for line in range(2, 6)
    }


def test_balance_is_what_it_says_or_refused(home: Path) -> None:
    assert faults(home, balance=True, rows=1) == ["rows|there are 2 labels, and balance takes a row of each|1"]


def test_every_failing_template_is_found_before_a_run(home: Path) -> None:
    (home / "templates.yaml").write_text(
        '- {name: sum, prompt: "{{ text + 1 }}", answer: "{{ label }}"}\n'
        '- {name: third, prompt: "{{ text.split()[3] }}", answer: "{{ label }}"}\n'
        '- {name: fine, prompt: "{{ text }}", answer: "{{ label }}"}\n'
    )
    with pytest.raises(DataError) as raised:
        read_kit(source(), home)
    assert [problem.where for problem in raised.value.problems] == ["sum, of reviews.csv:2", "third, of reviews.csv:2"]


def test_unknown_filters_and_keys_twice_are_faults_of_a_line(home: Path) -> None:
    (home / "templates.yaml").write_text(
        '- name: one\n  prompt: |\n    Hello\n    {{ text | uper }}\n  answer: "{{ label }}"\n'
        '- name: two\n  prompt: "{{ text }}"\n  prompt: "{{ text }}?"\n  answer: "{{ label }}"\n'
    )
    assert [one.removesuffix("|") for one in faults(home)] == [
        "line 4: one, prompt|no valid Jinja: No filter named 'uper'",
        "line 8|a key stands twice|prompt",
    ]
    (home / "templates.yaml").write_text("- &a [*a]\n")
    assert faults(home) == ["line 1|an alias holds itself|"]


def test_a_column_may_be_called_as_a_function_of_jinja(home: Path) -> None:
    (home / "cars.csv").write_text("range,label\n300 km,1\n,0\n")
    (home / "templates.yaml").write_text('- {name: far, prompt: "How far? {{ range }}", answer: "{{ label }}"}\n')
    (row,) = rows_of(home, path="cars.csv")
    assert row.messages[0].text == "How far? 300 km"
    assert ledgers(home)[0].dropped == {"a column that the template uses is empty": 1}


RECIPE = """
name: labelled
model: {id: tiny}
engines: {threads: 1}
rounds: 1
tasks: [{kind: constraints}]
construct:
  expert: {per_cell: 1}
  distill: null
  self_improve: null
  rehearsal: null
  sources:
    - kind: templates
      path: reviews.csv
      wordings: templates.yaml
      labels: {0: bad, 1: good}
      hold_out: [lettered]
tune: {epochs: 1}
controls: {few_shot: false, expert_only: false, placebo: false, teacher: false}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 4, general_prompts: 1}
"""


@pytest.fixture
def recipe(home: Path) -> Callable[..., Path]:
    def write(text: str = RECIPE) -> Path:
        (home / "recipe.yaml").write_text(text)
        return home / "recipe.yaml"

    return write


def test_a_round_constructs_and_curates_them(recipe: Callable[..., Path], home: Path) -> None:
    loaded = load_recipe(recipe())
    assert {"reviews.csv", "templates.yaml"} <= set(input_files(loaded))
    tasks = build_tasks(loaded.tasks, loaded.folder)
    told = estimate_run(loaded, tasks)
    assert any("4 of 4 labelled rows × 2 of 2 wordings" in stage.what for stage in told.stages)
    assert not any("templates" in line or "labelled" in line for line in told.sees), "nobody is shown them"
    preflight(loaded)
    construct(loaded, round=1, out=home / "run")
    stage = home / "run" / "rounds" / "1" / "construct"
    made = [row for row in read_records(stage / "records.jsonl", Example) if row.lineage.source == "templates"]
    assert Counter(row.lineage.prompt for row in made) == {"plain": 4, "inverted": 4}
    assert (stage / "templates" / "held_out.jsonl").is_file()
    curate_round(loaded, round=1, out=home / "run")
    kept = read_records(stage.parent / "curate" / "records.jsonl", Example)
    assert [row for row in kept if row.lineage.source == "templates"]


def test_the_estimate_counts_what_balance_takes(recipe: Callable[..., Path], home: Path) -> None:
    (home / "reviews.csv").write_text(REVIEWS + "Splendid.,1\nWonderful.,1\nLovely.,1\n")
    loaded = load_recipe(recipe(RECIPE.replace("      hold_out", "      balance: true\n      hold_out")))
    told = estimate_run(loaded, build_tasks(loaded.tasks, loaded.folder))
    assert any("4 of 7 labelled rows × 2 of 2 wordings" in stage.what for stage in told.stages)


def test_faults_are_found_before_a_run_begins(recipe: Callable[..., Path], home: Path) -> None:
    (home / "templates.yaml").write_text(TEMPLATES.replace("{{ text }}\n    Good", "{{ txt }}\n    Good"))
    with pytest.raises(RecipeError) as raised:
        preflight(load_recipe(recipe()))
    (problem,) = raised.value.problems
    assert (problem.where, problem.received) == ("construct.sources.0: line 3: plain, prompt", "txt")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("shot_share: 0.3", "shots is 0"),
        ("label: null", "label is null"),
        ('labels: {"0": bad, "1": bad}', "two values have one name"),
        ("hold_out: [a, a]", "name each template once"),
        ("rows: 0", r"sources.0.rows"),
    ],
)
def test_contradictions_of_the_section_are_refused(more: str, said: str) -> None:
    key = more.partition(":")[0]
    entry = {"labels": 'labels: {"0": bad, "1": good}, ', "hold_out": ""}.get(key, 'labels: {"0": bad}, ')
    entry = "" if key == "labels" else entry
    text = RECIPE[: RECIPE.index("    - kind")] + f"    - {{kind: templates, path: a, wordings: b, {entry}{more}}}\n"
    with pytest.raises(RecipeError, match=said):
        parse_recipe(text, source="r.yaml")
