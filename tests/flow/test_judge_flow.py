"""Runs whose rows are judged by a model behind an endpoint: kept, killed, stopped by a ceiling, refused, misjudged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.endpoint import Endpoint, Misbehaviour, endpoint
from support.judging import by_words, is_judging, material
from tutelage.cli.run import run_command
from tutelage.completers.endpoints.asking import ROOM
from tutelage.completers.endpoints.spending import Paid
from tutelage.errors import CompletionError, RecipeError
from tutelage.events import Event
from tutelage.pipeline.run import run
from tutelage.pipeline.single import construct
from tutelage.recipe import load_recipe
from tutelage.recipe.rows import RowsSection
from tutelage.records import Answer, Example
from tutelage.records.jsonl import read_records
from tutelage.records.judging import JudgedSet
from tutelage.records.tradeoff import TradeOff
from tutelage.report import write_report
from tutelage.runs import RunDirectory
from tutelage.tasks.rows import RowsTask

KEY = "sk-never-to-be-written-anywhere"
KILLING = Path(__file__).parent / "killing.py"
RECIPE = """
name: judged
model: {id: tiny}
engines: {threads: 1, reference_batch: 16}
rounds: 1
tasks: [{kind: rows, path: rows.csv, check: none}]
construct:
  prompts: 12
  max_tokens: 24
  self_improve: null
  rehearsal: null
  distill:
    shots: 1
    samples: 3
    teacher: {kind: endpoint, base_url: "URL", model: m, timeout_s: 5}
  judge:
    by: {kind: endpoint, base_url: "URL", model: m, key_variable: JUDGE_KEY, timeout_s: 5,
         price: {prompt: 100, completion: 10000}, ceiling: {money: 100}}
evaluate: {probe: 2, gate: 2, test: 0, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a recipe on rows that nobody can check."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    lines = [f"What is said of part {n}?,That part {n} is a good one and does its work." for n in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["prompt,reference", *lines]) + "\n")
    return tmp_path / "recipe.yaml"


def judging(content: str) -> str:
    """A teacher, and a judge that likes words."""
    return by_words(content, ("request", "truth", "use", "clarity")) if is_judging(content) else f"I know: {content}"


def written(recipe: Path, server: Endpoint, text: str = RECIPE) -> Path:
    recipe.write_text(text.replace("URL", server.url))
    return recipe


def judged(server: Endpoint) -> int:
    """How often the judge was asked."""
    return sum(number for content, number in server.tries.items() if is_judging(content))


def test_rows_without_a_check_are_answered_judged_and_learned(recipe: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    with endpoint(Misbehaviour(repeat_key=True), reply=judging) as server:
        file = written(recipe, server)
        run(load_recipe(file), tmp_path / "run", emit=told.append)
        asked = [material(content) for content in server.tries if is_judging(content)]
    folder = tmp_path / "run/rounds/1/construct"
    rows = [row for row in read_records(folder / "records.jsonl", Example) if row.lineage.paradigm == "distill"]
    assert len(rows) == 12
    for row in rows:
        (verdict,) = row.lineage.verdicts
        assert verdict.score == 1
        assert verdict.judge is not None
        assert verdict.judge.engine.engine == f"remote {server.url}"
        assert verdict.judge.prompt == "pointwise"
    table = {row.paradigm: row for row in read_records(folder / "tradeoffs.jsonl", TradeOff)}
    took = table["distill"].judging
    assert took is not None
    assert (took.judged, took.unscored, took.requests) == (36, 0, 12), "equal texts are judged once"
    assert took.money == pytest.approx(12 * (11 * 100 + 5 * 10000) / 1e6)
    (found,) = read_records(folder / "judged.jsonl", JudgedSet)
    assert (found.n, found.scored, len(found.judges)) == (36, 36, 1)
    lines = read_records(tmp_path / "run/spending.jsonl", Paid)
    assert sum(line.tries for line in lines if line.purpose == "judging") == 12
    assert sum(line.tries for line in lines if not line.purpose) == server.tries.total() - judged(server)
    train = {demonstration.item.prompt for demonstration in RowsTask(section(file), tmp_path).demonstrations("train")}
    assert {shown["user"] for shown in asked} <= train, "nothing of probe, gate or test"
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()], "the key is in no file of the run"
    page = write_report(RunDirectory.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Judging in round 1" in page
    assert "Distillation: 36 answers or pairs judged, 12 replies" in page
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert any("The judge is the teacher, and judges its own answers" in text for text in said)


def section(file: Path) -> RowsSection:
    """The rows of the recipe."""
    (found,) = load_recipe(file).tasks
    assert isinstance(found, RowsSection)
    return found


def test_killed_among_verdicts_it_goes_on_without_a_second_call(recipe: Path, tmp_path: Path) -> None:
    # One request in flight; a few may have been answered and not be on the disk yet.
    text = RECIPE.replace("timeout_s: 5", "timeout_s: 5, concurrency: 1")
    with endpoint(reply=judging) as server:
        file = written(recipe, server, text)
        kills = [["rounds/1/construct/teacher-judge", n, "torn"] for n in (3, 4)]
        job = {"recipe": str(file), "out": str(tmp_path / "run"), "kills": kills}
        (tmp_path / "jobs.json").write_text(json.dumps([job]))
        command = [sys.executable, str(KILLING), str(tmp_path / "jobs.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        codes = [json.loads(line)["code"] for line in done.stdout.splitlines()]
        assert codes == [-9, -9, 0], done.stderr
        lost = ROOM + 1
        assert 12 <= judged(server) <= 12 + 2 * lost, "at a kill these are on their way, and one more line is cut"
        whole = construct(load_recipe(file), out=tmp_path / "whole")
    replies = read_records(tmp_path / "run/rounds/1/construct/teacher-judge.jsonl", Answer)
    assert len(replies) == len({reply.request_id for reply in replies}) == 12
    rows = read_records(tmp_path / "run/rounds/1/construct/records.jsonl", Example)
    assert [row.messages for row in rows] == [row.messages for row in whole.rows]
    assert [row.lineage.verdicts for row in rows] == [row.lineage.verdicts for row in whole.rows]


def test_the_ceiling_of_judging_stops_it_and_a_raised_one_lets_it_go_on(recipe: Path, tmp_path: Path) -> None:
    with endpoint(reply=judging) as server:
        file = written(recipe, server, RECIPE.replace("money: 100", "tokens: 1500"))
        with pytest.raises(CompletionError, match=r"construct\.judge\.by\.ceiling: the ceiling of 1,500 tokens"):
            construct(load_recipe(file), out=tmp_path / "run")
        assert judged(server) == 0, "one request could be longer than that"
        raised = load_recipe(file, ["construct.judge.by.ceiling.tokens=1000000"])
        made = construct(raised, out=tmp_path / "run")
        assert judged(server) == 12, "what was judged is not asked again"
    assert [row.lineage.paradigm for row in made.rows].count("distill") == 12


@pytest.mark.parametrize(
    "reply", ["This answer is very good indeed.", "I'm sorry, but I can't judge that.", '{"x": 1}']
)
def test_a_judge_of_nonsense_keeps_nothing_and_the_run_says_so(recipe: Path, tmp_path: Path, reply: str) -> None:
    told: list[Event] = []
    with endpoint(reply=lambda content: reply if is_judging(content) else f"I know: {content}") as server:
        made = construct(load_recipe(written(recipe, server)), out=tmp_path / "run", emit=told.append)
        assert judged(server) == 2 * 12, "each was asked once again"
    assert {row.lineage.paradigm for row in made.rows} == {"expert"}
    table = {row.paradigm: row for row in made.tradeoffs}
    assert (table["distill"].attempted, table["distill"].unjudged, table["distill"].accepted) == (0, 36, 0)
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert any("0 of 36 answers were scored" in text and "none of these answers is kept" in text for text in said)


def test_a_wrong_key_ends_it_at_once(recipe: Path, tmp_path: Path) -> None:
    with endpoint(reply=judging) as teacher, endpoint(Misbehaviour(share=1, faults=("401",))) as other:
        file = written(recipe, teacher)
        settings = [f"construct.judge.by.base_url={other.url}"]
        with pytest.raises(CompletionError, match="rejects the key"):
            construct(load_recipe(file, settings), out=tmp_path / "run")
        assert other.tries.total() <= 8, "no more than were in flight"
    assert not (tmp_path / "run/rounds/1/construct/records.jsonl").exists()


def test_what_the_judge_needs_is_asked_for_before_anything(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    recipe.write_text(RECIPE.replace("URL", "http://127.0.0.1:1/v1"))
    far = load_recipe(recipe, ["construct.judge.by.base_url=https://far.example/v1"])
    with pytest.raises(RecipeError) as caught:
        run(far, tmp_path / "run")
    said = [str(problem) for problem in caught.value.problems]
    assert [text.partition(": ")[0] for text in said] == [
        "construct.judge.by.base_url",
        "construct.judge.by.key_variable",
    ]
    assert "not on this machine" in said[0]
    assert not (tmp_path / "run").exists()


def test_the_dry_run_says_who_judges_and_what_it_costs(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(RECIPE.replace("URL", "http://127.0.0.1:1/v1"))
    settings = ["construct.judge.by.base_url=https://far.example/v1", "construct.judge.by.allow_remote=true"]
    run_command(recipe, out=tmp_path / "run", settings=settings, quiet=False, json=False, offline=True, dry_run=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "The judge is m at https://far.example/v1; it is sent train items, answers to them" in said
    assert "never shown to it" in said
    assert "What the judge is sent leaves this machine for far.example." in said
    assert "Nothing leaves this machine" not in said
    assert "The judge is asked about 36 times" in said
    assert '"money": 100.0' in said
    assert "a round: 36 answers without a check" in said


def test_the_model_judges_itself(recipe: Path, tmp_path: Path) -> None:
    """Random weights say nothing that can be read: the machinery runs, and nothing is kept."""
    told: list[Event] = []
    recipe.write_text(RECIPE[: RECIPE.index("  distill:")] + "  judge: {by: {kind: self}, max_tokens: 8}\n" + END)
    made = construct(load_recipe(recipe), out=tmp_path / "run", emit=told.append)
    assert {row.lineage.paradigm for row in made.rows} == {"expert"}
    said = [str(event.data["text"]) for event in told if event.kind == "note"]
    assert any("The judge is the starting model" in text for text in said)
    found = read_records(tmp_path / "run/rounds/1/construct/judged.jsonl", JudgedSet)
    assert {one.scored for one in found} <= {0}
    assert {judge.name for one in found for judge in one.judges} <= {"tiny as its own judge"}


END = RECIPE[RECIPE.index("evaluate:") :].replace("self_improve: null", "")
