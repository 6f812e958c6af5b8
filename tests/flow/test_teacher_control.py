"""The teacher as a control: it is asked the test items that a check can score, last, once, and none is learned."""

import csv
import re
from pathlib import Path

import pytest

from support.endpoint import endpoint
from tutelage.completers.endpoints.spending import Paid
from tutelage.errors import CompletionError, RecipeError
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe, load_recipe
from tutelage.records import Answer, Item
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import Matrix
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory

RECIPE = """
name: compared
model: {id: tiny}
engines: {threads: 1}
rounds: 1
tasks: [{kind: rows, path: rows.csv, check: numeric, level_samples: 0}]
construct:
  prompts: 6
  max_tokens: 6
  self_improve: null
  rehearsal: null
  distill: {shots: 1, samples: 1, teacher: TEACHER}
tune: {max_steps: 2}
evaluate: {probe: 4, gate: 4, test: 60, max_tokens: 6, general_prompts: 0}
reflect: {gate: {resamples: 1000}}
controls: {few_shot: true, expert_only: true, teacher: true}
"""
BEHIND = '{kind: endpoint, base_url: "URL", model: m, retries: 1, timeout_s: 5}'


def write(folder: Path, teacher: str, *, checked: bool = True) -> Path:
    """Sums of which every third has no check."""
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "reference", "check"])
        for n in range(90):
            writer.writerow([f"What is {n} plus {n}?", 2 * n, "numeric" if checked and n % 3 else "none"])
    (folder / "recipe.yaml").write_text(RECIPE.replace("TEACHER", teacher), encoding="utf-8")
    return folder / "recipe.yaml"


def added(question: str) -> str:
    """A teacher that can add."""
    found = re.search(r"What is (\d+) plus", question)
    assert found, question
    return str(2 * int(found[1]))


def seen(out: Path) -> tuple[RunOutcome, Matrix, list[Item]]:
    """How a run ended, its matrix, and the items that its teacher was asked as a control."""
    outcome = RunOutcome.from_json((out / "outcome.json").read_bytes())
    matrix = Matrix.from_json((out / "matrix.json").read_bytes())
    return outcome, matrix, read_records(out / "final/teacher/items.jsonl", Item)


def test_an_endpoint_is_asked_last_once_and_for_what_can_be_scored(tmp_path: Path) -> None:
    out, early = tmp_path / "run", list[str]()

    def reply(question: str) -> str:
        if not (out / "final/expert-only/summary.json").is_file():
            early.append(question)
        return added(question)

    with endpoint(reply=reply) as server:
        recipe = load_recipe(write(tmp_path, BEHIND.replace("URL", server.url)))
        server.behaviour.quota = 6 + 4
        with pytest.raises(CompletionError):
            run(recipe, out)
        server.behaviour.quota = 0
        run(recipe, out)
        outcome, matrix, asked = seen(out)
        questions = {item.prompt for item in asked}
        assert len(early) == 6, "what it taught"
        assert not questions & set(early), "test items come when all is tuned"
        assert {server.paid[question] for question in questions} == {1}, "none is paid twice, an empty account or not"
        assert server.paid.total() == 6 + len(questions)
        before = server.tries.total()
        assert run(recipe, out) == outcome
        assert server.tries.total() == before
    start = read_records(out / "final/start/items.jsonl", Item)
    unchecked = {item.prompt for item in start if item.spec["check"] == "none"}
    assert questions == {item.prompt for item in start} - unchecked
    assert unchecked, "else the next line says nothing"
    assert not unchecked & server.tries.keys()
    paid = read_records(out / "spending.jsonl", Paid)
    assert sum(bool(line.completion_tokens) for line in paid) == 6 + len(questions), "under one ceiling"
    assert outcome.scores["teacher"].engine.engine.startswith("remote http://127.0.0.1")
    found = outcome.scores["teacher"]
    assert (found.macro.value, found.n, found.unscored) == (1.0, len(questions), 0)
    beside = matrix.control("teacher")
    assert beside is not None
    assert (beside.cells, beside.macro) == (found.cells, found.macro)
    assert [control.name for control in matrix.controls] == ["few-shot", "expert-only", "teacher"]
    against = next(one for one in outcome.comparisons if one.before == "teacher")
    assert (against.macro.before, against.macro.n) == (1.0, len(questions))
    assert "Against teacher: -" in outcome.words


def test_no_row_can_hold_what_it_answers_there(tmp_path: Path) -> None:
    """Its answers lie in no folder that a round reads, and no request of a round is one of its own."""
    out = tmp_path / "run"
    with endpoint(reply=added) as server:
        run(load_recipe(write(tmp_path, BEHIND.replace("URL", server.url))), out)
    asked = {answer.request_id for answer in read_records(out / "final/teacher/answers.jsonl", Answer)}
    assert asked
    made = [path for path in (out / "rounds").rglob("*.jsonl") if path.parent.name in ("construct", "curate", "tune")]
    made += [path for path in (out / "final").rglob("*.jsonl") if path.parent.name.endswith(("-curate", "-tune"))]
    assert made
    assert not [path for path in made for one in asked if one.encode() in path.read_bytes()]
    page = write_report(RunDirectory.open(out)).read_text(encoding="utf-8")
    assert 'Teacher<span class="sub">control' in page
    assert "the teacher" in page


@pytest.mark.parametrize("teacher", ["{kind: self}", "{kind: model, id: tiny}"])
def test_a_teacher_on_this_machine_is_scored_by_the_reference_engine(tmp_path: Path, teacher: str) -> None:
    out = tmp_path / "run"
    run(load_recipe(write(tmp_path, teacher)), out)
    outcome, matrix, asked = seen(out)
    found = outcome.scores["teacher"]
    assert found.engine == outcome.scores["start"].engine, "nothing has tuned it"
    assert (found.n, found.unscored) == (len(asked), 0)
    assert matrix.control("teacher") is not None


def test_a_control_that_could_get_no_score_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    recipe: Recipe = load_recipe(write(tmp_path, "{kind: self}", checked=False))
    with pytest.raises(RecipeError, match=r"controls\.teacher.*no test item has a check"):
        preflight(recipe)
