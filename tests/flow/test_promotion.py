"""The gate on models that really learn, or really unlearn: what is better is promoted and sampled from; nothing else.

The questions of ``places_task.py`` have two answers. The tiny model's random weights give neither, so that a tuning on
experts' rows is better beyond doubt. A start that gives one of them to every question is right half of the time: it has
something to lose, and something to win.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import tutelage
from tutelage.errors import RunError
from tutelage.pipeline.engines import Engines
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe, parse_recipe
from tutelage.records import Example, Item, Ledger, Lineage, assistant
from tutelage.records.jsonl import read_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import GateVerdict
from tutelage.records.tradeoff import TradeOff
from tutelage.runs import RunDirectory
from tutelage.tasks.build import build_tasks

HERE = Path(__file__).parent
# A start that says nothing more than doubles the length of its answers when it learns to say a word.
RECIPE = f"""
name: places
rounds: 2
model: {{id: tiny, dtype: float32}}
engines: {{threads: 1}}
tasks: [{{kind: custom, path: "{HERE / "places_task.py"}:Places"}}]
construct: {{prompts: 16, max_tokens: 12, temperature: 0.1, distill: null, rehearsal: null}}
curate: {{steps: [{{kind: validate}}, {{kind: exact_duplicates}}, {{kind: contamination}}]}}
tune: {{epochs: 10, optimizer: {{kind: adamw, lr: 0.01}}}}
evaluate: {{probe: 8, gate: 32, test: 8, max_tokens: 12}}
reflect: {{gate: {{resamples: 1000, margins: {{length: 4}}}}}}
"""
FULL = ["rounds=1", "tune.method={kind: full}", "tune.optimizer.lr=0.003", "tune.epochs=6", "model.dtype=auto"]


def loop(path: Path, *settings: str) -> tuple[RunOutcome, list[GateVerdict]]:
    """Run the recipe and return its outcome with the verdict of each round."""
    outcome = run(recipe(*settings), path)
    files = sorted(path.glob("rounds/*/gate/verdict.json"))
    return outcome, [GateVerdict.from_json(file.read_bytes()) for file in files]


def recipe(*settings: str) -> Recipe:
    return parse_recipe(RECIPE, overrides=settings)


def tradeoff(path: Path, round: int) -> TradeOff:
    """What the student's own attempts gave in a round."""
    found = read_records(path / f"rounds/{round}/construct/tradeoffs.jsonl", TradeOff)
    return next(row for row in found if row.paradigm == "self")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunOutcome, list[GateVerdict]]:
    path = tmp_path_factory.mktemp("promotion") / "learned"
    return path, *loop(path)


def test_a_candidate_that_learned_is_promoted(learned: tuple[Path, RunOutcome, list[GateVerdict]]) -> None:
    path, outcome, verdicts = learned
    first = verdicts[0]
    assert first.outcome == "promoted", first.words
    assert (first.macro.before, first.macro.after) == (0.0, pytest.approx(1.0, abs=0.1))
    assert {guard.name for guard in first.guards} == {"perplexity", "repetition", "ended", "length"}
    assert all(guard.outcome == "passed" for guard in first.guards)
    assert outcome.promoted_round == 1
    best = RunDirectory.open(path).best
    assert (best.round, best.weights) == (1, "rounds/1/tune/weights")
    assert (path / str(best.weights) / "adapter_model.safetensors").is_file()
    scored = outcome.scores["round 1"].macro.value
    assert scored is not None
    assert scored > 0.8


def test_the_next_round_samples_from_the_promoted_model_and_keeps_its_rows(
    learned: tuple[Path, RunOutcome, list[GateVerdict]],
) -> None:
    path, _, verdicts = learned
    assert tradeoff(path, 1).passed == 0, "random weights never answer right"
    assert tradeoff(path, 2).acceptance == pytest.approx(1, abs=0.25)
    made = read_records(path / "rounds/2/construct/records.jsonl", Example)
    own = [row for row in made if row.lineage.paradigm == "self"]
    assert own
    assert {row.lineage.author for row in own} == {"tiny + round 1"}
    before = {row.id for row in read_records(path / "rounds/1/curate/records.jsonl", Example)}
    after = {row.id for row in read_records(path / "rounds/2/curate/records.jsonl", Example)}
    assert before < after
    assert verdicts[1].macro.before == verdicts[0].macro.after == pytest.approx(1.0, abs=0.1)
    assert verdicts[1].outcome != "promoted", "there is nothing left to win, and best.json stays"


def test_whole_weights_are_promoted_like_an_adapter(tmp_path: Path) -> None:
    outcome, (verdict,) = loop(tmp_path / "full", *FULL)
    assert verdict.outcome == "promoted", verdict.words
    assert verdict.before_engine.dtype == verdict.engine.dtype == "float32"
    assert outcome.promoted_round == 1


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that answers ``water`` wherever anything is."""
    folder = tmp_path_factory.mktemp("start")
    rows = [
        Example(
            id=f"water-{index}",
            messages=(*item.messages, assistant("water")),
            lineage=Lineage(paradigm="expert", source="test", author="project"),
        )
        for index, item in enumerate(places(64))
    ]
    tutelage.tune(rows, out=folder, model=recipe(*FULL, "tune.epochs=4"))
    return folder / "weights"


def places(n: int) -> Sequence[Item]:
    (task,) = build_tasks(recipe().tasks, HERE).values()
    return task.items("train", "basic", n, seed=5)


def from_start(start: Path, path: Path, *settings: str) -> tuple[RunOutcome, GateVerdict]:
    outcome, (verdict,) = loop(path, f"model.id={start}", "rounds=1", *settings)
    assert verdict.macro.before == pytest.approx(0.5), "the start is right half of the time"
    return outcome, verdict


def assert_not_promoted(path: Path, outcome: RunOutcome) -> None:
    assert outcome.promoted_round == 0
    assert RunDirectory.open(path).best.round == 0
    assert not (path / "best.json").exists()
    assert "No candidate was promoted: the starting model stays." in outcome.words


def test_a_decent_start_is_outdone_by_good_rows(start: Path, tmp_path: Path) -> None:
    """Without this the refusals below would prove nothing."""
    outcome, verdict = from_start(start, tmp_path / "good")
    assert verdict.outcome == "promoted", verdict.words
    assert outcome.promoted_round == 1


def test_a_ruinous_learning_rate_is_rejected_and_the_start_stays(start: Path, tmp_path: Path) -> None:
    outcome, verdict = from_start(start, tmp_path / "ruined", "tune.optimizer.lr=3")
    assert verdict.outcome == "rejected", verdict.words
    assert verdict.macro.after == 0
    assert_not_promoted(tmp_path / "ruined", outcome)


def test_a_placebo_is_not_promoted(start: Path, tmp_path: Path) -> None:
    """The model's own answers, unverified: as many rows on the same prompts, and nothing in them to learn."""
    path = tmp_path / "placebo"
    settings = ["construct.verify=false", "construct.expert=null", "construct.prompts=64"]
    outcome, verdict = from_start(start, path, *settings, "construct.self_improve={samples: 1, revisions: 0}")
    rows = read_records(path / "rounds/1/curate/records.jsonl", Example)
    assert len(rows) > 32
    assert verdict.macro.after == pytest.approx(0.5, abs=0.1)
    assert verdict.outcome != "promoted", verdict.words
    assert_not_promoted(path, outcome)


def test_the_placebo_control_sees_its_rows_as_often_as_the_loop(tmp_path: Path) -> None:
    """``expert.repeat`` is a matter of amount, and the placebo differs in nothing but what the answers say."""
    path = tmp_path / "run"
    small = ["rounds=1", "tune.epochs=1", "evaluate.gate=2", "evaluate.general_prompts=1", "construct.prompts=2"]
    loop(
        path, *small, "construct.expert={per_cell: 8, repeat: 3}", "construct.references=false", "controls.placebo=true"
    )
    rows = read_records(path / "rounds/1/curate/records.jsonl", Example)
    placebos = read_records(path / "final/placebo-rows/records.jsonl", Example)
    assert 0 < len(placebos) <= len(rows) == 8, "random weights do not answer every prompt with words"
    learned, rival = (
        Ledger.from_json((path / stage / "ledger.json").read_bytes())
        for stage in ("rounds/1/tune", "final/placebo-tune")
    )
    assert learned.rows_in == 3 * len(rows)
    assert rival.rows_in == 3 * len(placebos)


def test_a_starting_model_that_changed_on_the_way_is_refused(start: Path, tmp_path: Path) -> None:
    """Half of the answers of one model and half of another's under one name would be a score of neither."""
    model = tmp_path / "model"
    shutil.copytree(start, model)
    given = recipe(f"model.id={model}")
    with RunDirectory.create(tmp_path / "run", given) as folder, Engines(given, offline=True, run=folder) as engines:
        with folder.stage("rounds/0/evaluate") as stage:
            (stage / "answers.jsonl").touch()
            engines.bundle()
        engines.reference(None)
        weights = load_file(model / "model.safetensors")
        save_file({name: 1.01 * weight for name, weight in weights.items()}, model / "model.safetensors")
        with pytest.raises(RunError, match=r"not the one that this run began with.*model: model@"):
            engines.bundle()
