"""Figures of rows, counted by hand; the page; the command line on two forms and on what cannot be used."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from typer.testing import CliRunner, Result

from tutelage.cli.app import app
from tutelage.curate.filters.heuristics import Heuristics
from tutelage.curate.filters.pii import Personal
from tutelage.curate.filters.quality import Quality
from tutelage.curate.filters.validate import Validate
from tutelage.curate.inspection import Wishes, inspect_rows
from tutelage.curate.inspection.clusters import clusters
from tutelage.curate.inspection.spreads import spread_of
from tutelage.curate.pairs import curate_pairs
from tutelage.errors import DataError, InputErrors
from tutelage.models.load import load_template
from tutelage.pipeline.inspecting import read_benchmarks
from tutelage.records.importers import import_rows
from tutelage.records.inspection import Inspection
from tutelage.report.inspection import render_inspection

COLORS = "Red is warm and blue is cold, and green lies between them, as every painter of the north has always said."
ROWS = [
    {"instruction": "Say one color.", "output": "Red"},
    {"instruction": "Say one  COLOR.", "output": "red"},  # the same, case and white space aside
    {"instruction": "Tell me about colors.", "output": COLORS},
    {"instruction": "Tell me about colors.", "output": COLORS.replace("painter", "sculptor")},
    {"instruction": "Where do I write to?", "output": "Write to jane.roe@hospital.org today."},
    {"instruction": "Say nothing at all.", "output": "<|im_end|>"},
]


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def inspected(path: Path, rows: list[dict[str, object]], **wishes: object) -> Inspection:
    imported = import_rows(written(path, rows), author="expert")
    return inspect_rows(imported, Wishes(**{"sample": 100, **wishes}), name="mine")  # type: ignore[arg-type]


@pytest.fixture
def found(tmp_path: Path) -> Inspection:
    return inspected(tmp_path / "rows.jsonl", [dict(row) for row in ROWS])


def test_shape_and_lengths_are_those_counted_by_hand(found: Inspection) -> None:
    assert (found.rows, found.kind, found.forms) == (6, "examples", {"instruction + output (Alpaca)": 6})
    assert found.turns == {2: 6}
    assert found.roles == {"assistant": 6, "user": 6}
    assert found.labels == {}, "an importer's own lineage is nothing that the rows say"
    lengths = {(one.side, one.unit): one.spread for one in found.lengths}
    assert sorted(lengths) == [
        ("answer", "characters"),
        ("answer", "words"),
        ("prompt", "characters"),
        ("prompt", "words"),
    ]
    prompts = lengths["prompt", "words"]  # 3, 3, 4, 4, 5, 4
    assert (prompts.total, prompts.least, prompts.median, prompts.most, prompts.n) == (23, 3, 4, 5, 6)
    answers = lengths["answer", "words"]  # 1, 1, 21, 21, 7 (a mail address is four), 2
    assert (answers.total, answers.least, answers.median, answers.p75, answers.most) == (53, 1, 2, 21, 21)
    assert found.extremes[0].note.startswith("among the longest: 106 characters")
    assert len({one.id for one in found.extremes}) == len(found.extremes) == 6


def test_duplicates_are_those_that_were_planted(found: Inspection) -> None:
    same = found.duplicates
    assert (same.prompts, same.exact_groups, same.exact_surplus) == (4, 1, 1)
    assert (same.near_groups, same.near_surplus) == (0, 0), "one word of 21 changes 5 of 17 five-grams: 0.55"
    (group,) = same.groups
    assert (group.rows, group.least) == (2, 1.0)
    assert {next(iter(one.answers.values())).casefold() for one in group.examples} == {"red"}


def test_near_duplicates_are_groups_with_their_likeness(tmp_path: Path) -> None:
    long = " ".join(f"word{number}" for number in range(60))
    rows: list[dict[str, object]] = [{"prompt": "Go on.", "completion": long + end} for end in ("", " one", " two")]
    same = inspected(tmp_path / "rows.jsonl", rows).duplicates
    assert (same.exact_surplus, same.near_groups, same.near_surplus) == (0, 1, 2)
    assert same.groups[0].rows == 3
    assert 0.9 < same.groups[0].least < 1


def test_rows_that_differ_in_a_comma_are_not_called_the_same(tmp_path: Path) -> None:
    long = " ".join(f"word{number}" for number in range(60))
    rows: list[dict[str, object]] = [
        {"prompt": "Go on.", "completion": text} for text in (long, long.replace(" word30", ", word30"))
    ]
    same = inspected(tmp_path / "rows.jsonl", rows).duplicates
    assert (same.exact_surplus, same.near_surplus) == (0, 1)
    (group,) = same.groups
    assert (group.exact, group.least, group.examples[1].note) == (False, 1.0, "1.00 alike")
    assert "that say nearly the same" in render_inspection(inspected(tmp_path / "rows.jsonl", rows))


def test_a_row_that_is_often_there_is_as_often_in_the_sample(tmp_path: Path) -> None:
    """Half of 400 rows are one row: of 100 drawn without replacement 50 in the mean, with a deviation of 4.3."""
    english = "The train to Hamburg leaves late in the evening today because the line is closed."
    for said in ("one", "two", "three"):
        rows: list[dict[str, object]] = [{"prompt": "Say it.", "completion": f"{english} {said}"}] * 200
        rows += [{"prompt": f"Say {n}.", "completion": f"{n}"} for n in range(200)]
        found = inspected(tmp_path / "rows.jsonl", rows, sample=100, topics=0).languages
        assert found.n == 100
        assert 28 <= found.answers["en"] <= 72


def test_findings_are_what_the_steps_drop(found: Inspection) -> None:
    counts = {(one.step, one.what, one.action): one.rows for one in found.findings}
    assert counts == {
        ("validate", "control tokens of a chat template", "drop"): 1,
        ("pii", "e-mail address masked", "mask"): 1,
    }
    assert [one.examples[0].prompt for one in found.findings] == ["Say nothing at all.", "Where do I write to?"]


def test_a_pair_is_one_row_with_two_answers(tmp_path: Path) -> None:
    pairs: list[dict[str, object]] = [
        {"prompt": "Say one.", "chosen": "one", "rejected": "two"},
        {"prompt": "Say one.", "chosen": "one", "rejected": "three"},
        {"prompt": "Say one.", "chosen": "one", "rejected": "two", "dimension": "utility"},
        {"prompt": "Write to whom?", "chosen": "jane.roe@hospital.org", "rejected": "Ask jane.roe@hospital.org"},
    ]
    found = inspected(tmp_path / "pairs.jsonl", pairs)
    assert (found.kind, found.forms) == ("pairs", {"prompt + chosen + rejected": 4})
    assert found.roles == {"assistant": 8, "user": 4}
    assert found.duplicates.exact_surplus == 1, "another rejected answer makes another pair"
    assert [(one.what, one.rows) for one in found.findings] == [("e-mail address masked", 1)]
    assert found.labels == {"dimension": {"": 3, "utility": 1}}
    assert {one.side for one in found.lengths} == {"prompt", "chosen", "rejected"}


def test_rejected_answers_are_judged_as_curation_judges_them(tmp_path: Path) -> None:
    again = "the cat sat on the mat today " * 30
    pairs: list[dict[str, object]] = [
        {"prompt": "Say one.", "chosen": "one", "rejected": again},
        {"prompt": "Say two.", "chosen": again, "rejected": "two"},
    ]
    found = {(one.step, one.what): one for one in inspected(tmp_path / "pairs.jsonl", pairs).findings}
    imported = import_rows(tmp_path / "pairs.jsonl", author="expert").rows
    curated = curate_pairs(imported, [Validate(), Quality(), Heuristics(), Personal()])  # type: ignore[arg-type]
    assert {row.step for row in curated.dropped} == {"quality"}
    assert found["quality", "the answer repeats itself"].rows == 1
    assert found["quality", "the answer repeats itself"].examples[0].prompt == "Say two."
    assert all(one.rows == 1 for one in found.values())


def test_unpaired_answers_are_told_apart(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": "Hi", "completion": f"Yes {n}", "label": n < 1} for n in range(3)]
    found = inspected(tmp_path / "rows.jsonl", rows)
    assert found.kind == "unpaired"
    assert found.forms == {"prompt + completion + label": 3}
    sizes = {one.side: one.spread.n for one in found.lengths if one.unit == "words"}
    assert sizes == {"prompt": 3, "wanted": 1, "unwanted": 2}


def test_what_records_say_of_themselves_is_counted(tmp_path: Path) -> None:
    lineage = {"paradigm": "distill", "source": "rejection", "author": "teacher"}
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "reasoning": "Be kind."}]
    row: dict[str, object] = {"id": "a", "messages": turns, "lineage": lineage, "level": "basic"}
    found = inspected(tmp_path / "rows.jsonl", [row])
    assert found.labels == {
        "paradigm": {"distill": 1},
        "source": {"rejection": 1},
        "author": {"teacher": 1},
        "level": {"basic": 1},
    }
    assert found.features == {"reasoning": 1}


def test_languages_and_pairs_that_differ(tmp_path: Path) -> None:
    german = "Der Zug nach Hamburg fährt heute leider erst am späten Abend, weil die Strecke gesperrt ist."
    english = "The train to Hamburg leaves late in the evening today because the line is closed."
    rows: list[dict[str, object]] = [
        {"prompt": english, "completion": english},
        {"prompt": english, "completion": german},
        {"prompt": german, "completion": german},
        {"prompt": "Ja?", "completion": german},
    ]
    found = inspected(tmp_path / "rows.jsonl", rows).languages
    assert (found.prompts, found.answers) == ({"en": 2, "": 1, "de": 1}, {"de": 3, "en": 1})
    assert (found.n, found.compared, found.differ) == (4, 3, 1)
    assert [one.note for one in found.examples] == ["asked in English, answered in German"]


def test_contamination_names_the_benchmark_and_the_row(tmp_path: Path) -> None:
    question = "How many apples does Ann have left if she gives three of her twelve apples to her brother Tom?"
    items = written(tmp_path / "exam.jsonl", [{"question": question, "answer": "9"}, {"question": "What is 2 + 2?"}])
    rows: list[dict[str, object]] = [*map(dict, ROWS), {"instruction": f"Think. {question}", "output": "Nine."}]
    (found,) = inspected(tmp_path / "rows.jsonl", rows, against=read_benchmarks([items])).overlaps
    assert (found.name, found.items, found.rows) == ("exam", 2, 1)
    assert found.examples[0].answers == {"answer": "Nine."}


SUBJECTS = {
    "whales": ["whale", "ocean", "flipper", "krill", "blubber"],
    "bread": ["bread", "flour", "oven", "yeast", "dough"],
    "chess": ["chess", "rook", "knight", "castle", "checkmate"],
}


def on_subjects(each: int, seed: int) -> list[dict[str, object]]:
    rng = random.Random(seed)
    return [
        {"prompt": f"Tell me of the {' and the '.join(rng.sample(words, 3))}, please.", "completion": f"{name} {n}"}
        for name, words in SUBJECTS.items()
        for n in range(each)
    ]


def test_topics_are_the_subjects_that_were_planted(tmp_path: Path) -> None:
    found = inspected(tmp_path / "rows.jsonl", on_subjects(12, 1), topics=3).topics
    assert found is not None
    assert [topic.rows for topic in found.topics] == [12, 12, 12]
    for topic in found.topics:
        subject = {next(iter(one.answers.values())).split()[0] for one in topic.examples}
        assert len(subject) == 1
        assert set(topic.terms) == set(SUBJECTS[subject.pop()])
    assert (found.n, found.apart) == (36, 0)


def test_terms_have_the_divergence_that_is_worked_out_by_hand(tmp_path: Path) -> None:
    """ "whale" in 6 of 6 prompts of its topic and 6 of 12 in all: ln 2 = 0.693; "please" in all: 0, so it is none."""
    rows: list[dict[str, object]] = [
        {"prompt": f"please {word} {word}", "completion": f"{n}"} for word in ("whale", "bread") for n in range(6)
    ]
    found = inspected(tmp_path / "rows.jsonl", rows, topics=2).topics
    assert found is not None
    assert sorted(topic.terms for topic in found.topics) == [("bread",), ("whale",)]


def test_clusters_of_vectors_at_right_angles_are_these() -> None:
    weights = csr_array(np.eye(3)[[0, 1, 2, 1, 0, 2, 2]])
    found, likeness = clusters(weights, 3)
    assert found[[0, 1, 2]].tolist() == found[[4, 3, 5]].tolist()
    assert len(set(found.tolist())) == 3
    assert likeness == pytest.approx(np.ones(7))
    assert len(set(clusters(weights, 7)[0].tolist())) == 3, "as many as there are different points"


def test_many_words_are_reduced_before_they_are_clustered() -> None:
    rng = np.random.default_rng(3)
    blocks = np.zeros((200, 160))
    for row in range(200):
        blocks[row, 80 * (row % 2) + rng.choice(80, 12, replace=False)] = 1
    found, _ = clusters(csr_array(blocks), 2)
    assert found[::2].tolist() == [found[0]] * 100
    assert found[1::2].tolist() == [1 - found[0]] * 100


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=200))
def test_quantiles_are_values_and_bins_add_up(values: list[int]) -> None:
    found = spread_of(values)
    ordered = sorted(values)
    for percent, value in ((5, found.p5), (50, found.median), (95, found.p95), (99, found.p99)):
        assert value == ordered[-(-percent * len(values) // 100) - 1]
    assert (found.least, found.most, found.total, found.n) == (ordered[0], ordered[-1], sum(values), len(values))
    assert sum(one.count for one in found.bins) == len(values)
    assert len(found.bins) <= 21
    for one in found.bins:
        assert one.count == sum(one.low <= value <= one.high for value in values)


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(tmp_path_factory: pytest.TempPathFactory, rng: random.Random) -> None:
    folder = tmp_path_factory.mktemp("order")
    rows: list[dict[str, object]] = [*map(dict, ROWS), *on_subjects(6, 2)]
    first = inspected(folder / "a.jsonl", rows, sample=15)
    rng.shuffle(rows)
    again = inspected(folder / "b.jsonl", rows, sample=15)
    assert again == first
    assert (first.rows, first.sampled, first.languages.n) == (24, 15, 15)


HOSTILE = "<script>document.title='owned'</script> [bold red]\x1b[31m & \"quoted\""


def test_the_page_escapes_what_rows_say(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"prompt": f"{HOSTILE} {n % 2}", "completion": HOSTILE, "dimension": "<b>x</b>"} for n in range(12)
    ]
    page = render_inspection(inspected(tmp_path / "rows.jsonl", rows))
    assert "<script" not in page
    assert "<b>x</b>" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page


Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "rows.jsonl", [dict(row) for row in ROWS])
    return lambda *words: CliRunner().invoke(app, ["inspect", *words])


def test_the_command_prints_and_writes_two_forms(call: Call, tmp_path: Path) -> None:
    done = call("rows.jsonl", "--page", "page.html", "--json", "out.json", "--model", "tiny", "--max-tokens", "60")
    assert done.exit_code == 0, done.output
    found = Inspection.from_json((tmp_path / "out.json").read_text())
    assert found.rows == 6
    assert found.tokens is not None
    assert found.tokens.dropped == {"longer than max_tokens": 2}, "the two about colors"
    assert found.tokens.learned == sum(one.learned for one in found.tokens.roles)
    assert "6 rows" in done.output
    assert "<h1>6 rows</h1>" in (tmp_path / "page.html").read_text()
    pairs = [{"prompt": "Say one.", "chosen": "one", "rejected": "two", "dimension": "[/red]"}]
    written(tmp_path / "pairs.jsonl", pairs)
    done = call("pairs.jsonl", "--model", "tiny", "--json", "-")
    assert done.exit_code == 0, done.output
    record = Inspection.from_json(done.stdout)
    assert record.tokens is not None
    assert [one.side for one in record.tokens.lengths] == ["prompt + chosen", "prompt + rejected"]
    done = call("pairs.jsonl")
    assert "[/red] 1 (100 %)" in done.output


def test_learned_tokens_are_those_of_the_tuning_itself(call: Call, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "BC"}]
    written(tmp_path / "one.jsonl", [{"messages": [{"role": "system", "content": "S"}, *turns]}])
    done = call("one.jsonl", "--model", "tiny", "--json", "-")
    found = Inspection.from_json(done.stdout).tokens
    assert found is not None
    imported = import_rows(tmp_path / "one.jsonl", author="expert").rows[0]
    encoded = load_template("tiny").encode(imported.messages)  # type: ignore[union-attr]
    assert (found.tokens, found.learned) == (len(encoded), int(encoded.targets.sum()))
    assert {one.role: one.turns for one in found.roles} == {"assistant": 1, "system": 1, "user": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rows.jsonl", "--max-tokens", "9"), "Say whose chat template"),
        (("rows.jsonl", "--page", "rows.jsonl"), "written over the data"),
        (("rows.jsonl", "--page", "a", "--json", "a"), "two outputs go to one file"),
        (("rows.jsonl", "--page", "a", "--json", "./b/../a"), "two outputs go to one file"),
        (("rows.jsonl", "--page", "-"), "a page is not printed"),
        (("rows.jsonl", "--page", "."), "a folder is in the way"),
        ((".", "--page", "new.html"), "among it"),
        (("rows.jsonl", "--against", "exam.jsonl", "--json", "exam.jsonl"), "written over the data"),
        (("hub:nobody",), "no name of a data set"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: Call, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    before = (tmp_path / "rows.jsonl").read_text()
    done = call(*words)
    assert isinstance(done.exception, InputErrors)
    assert said in str(done.exception)
    assert (tmp_path / "rows.jsonl").read_text() == before


def test_every_fault_of_a_file_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"question": "c"}\n{"prompt": 3}\n')
    done = call("bad.jsonl")
    assert isinstance(done.exception, DataError)
    assert [problem.where for problem in done.exception.problems] == ["bad.jsonl:2", "bad.jsonl:3"]


def test_without_a_model_no_torch_is_loaded(call: Call, tmp_path: Path) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from tutelage.cli.app import app\n"
        "done = CliRunner().invoke(app, ['inspect', 'rows.jsonl', '--page', 'p.html'])\n"
        "print(done.exit_code, [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "0 []", done.stdout
