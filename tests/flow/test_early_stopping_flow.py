"""Early stopping as a whole on the tiny model: the best weights are the ones that are saved, whatever is killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

import tutelage
from support.letters import Letters
from tutelage.cli.app import app
from tutelage.errors import RecipeError, RunError, TrainingError
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.asking import reward_of
from tutelage.recipe import load_recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, LoraMethod, TuneSection
from tutelage.records import Answer, Item, Verdict, assistant, user
from tutelage.records.jsonl import read_records
from tutelage.tune import Look, Probe, Progress, Reward, Saved, Started, Step, Summary, train
from tutelage.tune.rollouts import Sampled
from tutelage.tune.rows import Asked

HERE = Path(__file__).parent
WORDS = ("It is the tree.", "In the eerie green.", "Here we see three.", "Eleven eels.", "The end.", "I agree.")
STOPPING = EarlyStoppingSection(every=2, patience=3, max_tokens=12)
SECTION = TuneSection(
    method=FullMethod(kind="full"),
    optimizer=AdamWOptimizer(kind="adamw", lr=1e-3),
    schedule=ConstantSchedule(kind="constant"),
    batch_size=2,
    epochs=99,
    max_steps=24,
    checkpoint_every=3,
    early_stopping=STOPPING,
)
LORA = {
    "method": LoraMethod(kind="lora", r=4, dropout=0.1),
    "optimizer": AdamWOptimizer(kind="adamw", lr=0.1),
}
ITEMS = Letters().items("probe", "basic", 6, 0)
PROBE = Probe(ITEMS, reward_of({"letters": Letters()}))


def follow(folder: Path, section: TuneSection = SECTION, probe: Probe | None = PROBE) -> Iterator[Progress]:
    bundle = tiny_model()
    rows = [bundle.template.encode((user("Say it"), assistant(word))) for word in WORDS]
    return train(bundle, rows, section, folder=folder, seed=3, probe=probe)


def finish(folder: Path, section: TuneSection = SECTION, probe: Probe | None = PROBE) -> Summary:
    *_, summary = follow(folder, section, probe)
    assert isinstance(summary, Summary)
    return summary


def scripted(scores: Sequence[float]) -> Probe:
    """A probe whose looks come to ``scores``, one after the other."""
    left = list(scores)

    def score(items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        value = left.pop(0)
        return [Verdict(score=value)] * len(items)

    return Probe(ITEMS[:2], Reward(score))


def weights_of(folder: Path) -> dict[str, Tensor]:
    (file,) = (folder / "weights").glob("*.safetensors")
    return load_file(file)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def untimed(looks: Sequence[Look]) -> list[Look]:
    return [look.model_copy(update={"seconds": 0.0}) for look in looks]


@pytest.mark.parametrize(
    "more",
    [{}, LORA, {"dtype": "bfloat16"}, {**LORA, "dtype": "bfloat16"}],
    ids=["full", "lora", "full in bfloat16", "lora in bfloat16"],
)
def test_the_weights_of_the_peak_are_saved(tmp_path: Path, more: dict[str, object]) -> None:
    """Looks at 0, 2, 4, 6, 8, 10: the highest is that at 4, and three looks later it is over."""
    section = SECTION.model_copy(update=more)
    summary = finish(tmp_path / "stopped", section, scripted([0.2, 0.4, 0.9, 0.5, 0.9, 0.1]))
    assert summary.stopping is not None
    assert (summary.stopping.kept, summary.stopping.score, summary.stopping.why) == (4, 0.9, "patience")
    assert (summary.steps, summary.stopping.planned, len(summary.losses)) == (10, 24, 10)
    assert [look.step for look in summary.stopping.looks] == [0, 2, 4, 6, 8, 10]
    assert summary.reload_difference == 0
    alone = section.model_copy(update={"early_stopping": None})
    found = {}
    for steps in (4, 6, 10):
        exact = finish(tmp_path / f"{steps} steps", alone.model_copy(update={"max_steps": steps}), None)
        assert exact.losses == summary.losses[:steps]
        found[steps] = weights_of(tmp_path / f"{steps} steps")
    saved = weights_of(tmp_path / "stopped")
    assert same(saved, found[4])
    assert not same(saved, found[6]), "the next look's weights are others"
    assert not same(saved, found[10]), "and so are the last ones"
    left = {path.name for path in (tmp_path / "stopped").iterdir()}
    assert left == {"looks.jsonl", "metrics.jsonl", "summary.json", "weights"}


def test_answers_that_rise_and_fall_by_themselves_are_stopped_at_their_peak(tmp_path: Path) -> None:
    """Nothing scripted: letters e are learned, and then unlearned for the rest of the sentence."""
    summary = finish(tmp_path)
    assert summary.stopping is not None
    scores = {look.step: look.score for look in summary.stopping.looks}
    assert max(scores.values()) >= scores[0] + 0.3
    assert summary.stopping.score == max(scores.values())
    assert summary.stopping.kept == min(step for step, score in scores.items() if score == max(scores.values()))
    assert read_records(tmp_path / "looks.jsonl", Look) == list(summary.stopping.looks)
    again = finish(tmp_path)
    assert again == summary, "a finished run is only read"


@pytest.mark.parametrize("more", [{}, LORA], ids=["full", "lora"])
def test_a_start_that_is_never_beaten_is_what_is_saved(tmp_path: Path, more: dict[str, object]) -> None:
    section = SECTION.model_copy(update=more)
    summary = finish(tmp_path, section, scripted([0.5, 0.5, 0.4, 0.5]))
    assert summary.stopping is not None
    assert (summary.stopping.kept, summary.steps) == (0, 6)
    saved = weights_of(tmp_path)
    if more:
        assert all(not weight.any() for name, weight in saved.items() if "lora_B" in name)
    else:
        start = dict(tiny_model().model.named_parameters())
        assert all(torch.equal(saved[name], start[name]) for name in saved)


def test_the_last_weights_are_looked_at_too(tmp_path: Path) -> None:
    section = SECTION.model_copy(update={"max_steps": 5})
    summary = finish(tmp_path, section, scripted([0.1, 0.2, 0.3, 0.4]))
    assert summary.stopping is not None
    assert [look.step for look in summary.stopping.looks] == [0, 2, 4, 5]
    assert (summary.stopping.kept, summary.stopping.why, summary.steps) == (5, "steps", 5)
    alone = section.model_copy(update={"early_stopping": None})
    assert finish(tmp_path / "alone", alone, None).losses == summary.losses, "looking changes no step"
    assert same(weights_of(tmp_path), weights_of(tmp_path / "alone"))


# Where to die: a pattern of the file that is being made durable, and how often it has to come before.
MOMENTS = {
    "full": [
        (r"^best/\.000000.*partial/weights", 1),  # before there is any look
        (r"^looks", 1),
        (r"^looks", 2),
        (r"^best/\.0000.*partial$", 1),
        (r"^metrics", 5),  # behind the last checkpoint
        (r"^checkpoints/\.0000.*partial$", 1),
        (r"^looks", 1),
        (r"^looks", 1),
        (r"^checkpoints/\.0000.*partial$", 1),
        (r"^\.weights", 1),
        (r"^\.summary", 1),
    ],
    "lora": [(r"^looks", 3), (r"^best/\.0000.*partial$", 1), (r"^looks", 3), (r"^\.weights", 1)],
    "torn": [(r"^looks", 1), (r"^looks", 2), (r"^metrics", 2), (r"^looks", 1)],
}
KILLED = """
import json, os, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {tests!r}]
import torch
from killing import watch
from test_early_stopping_flow import LORA, SECTION, finish
torch.set_num_threads(1)
out = Path({folder!r}).resolve()
out.mkdir(parents=True)
for pattern, number in [*json.loads({moments!r}), (None, 0)]:
    pid = os.fork()
    if not pid:
        watch(out, pattern, number, {torn!r}, os.open(os.devnull, os.O_WRONLY))
        finish(out, SECTION.model_copy(update=LORA if {lora!r} else {{}}))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def one_thread() -> Iterator[dict[str, str]]:
    """Sums depend on how many threads share them: one here and, by the environment that this gives, in a child."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {**os.environ, "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_killed_run_keeps_what_an_uninterrupted_one_keeps(
    tmp_path: Path, name: str, one_thread: dict[str, str]
) -> None:
    """Killed again and again, each time while something is made durable."""
    moments, lora = MOMENTS[name], name == "lora"
    whole = finish(tmp_path / "whole", SECTION.model_copy(update=LORA if lora else {}))
    assert whole.stopping is not None
    assert 0 < whole.stopping.kept < whole.steps
    folder = tmp_path / "killed"
    script = KILLED.format(
        here=str(HERE),
        tests=str(HERE.parent),
        folder=str(folder),
        moments=json.dumps(moments),
        torn=name == "torn",
        lora=lora,
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False, env=one_thread
    )
    assert done.returncode == 0, done.stderr
    codes = [int(line) for line in done.stdout.split()]
    assert codes == [-signal.SIGKILL] * len(moments) + [0], done.stderr
    summary = Summary.from_json((folder / "summary.json").read_text())
    assert summary.losses == whole.losses
    assert summary.stopping is not None
    assert untimed(summary.stopping.looks) == untimed(whole.stopping.looks)
    assert (summary.stopping.kept, summary.stopping.why) == (whole.stopping.kept, whole.stopping.why)
    assert same(weights_of(folder), weights_of(tmp_path / "whole"))
    assert not (folder / "best").exists()
    assert not (folder / "checkpoints").exists()


def test_looks_from_before_are_taken_and_not_asked_again(tmp_path: Path) -> None:
    """Left after step 7 with a checkpoint at 6: the looks at 0 to 6 are there, and the one at 8 is asked."""
    asked: list[int] = []
    inner = PROBE.reward.score

    def score(items: Sequence[Item], answers: Sequence[Answer]) -> Sequence[Verdict]:
        asked.append(len(items))
        return inner(items, answers)

    probe = Probe(ITEMS, Reward(score))
    whole = finish(tmp_path / "whole", SECTION, probe)
    assert whole.stopping is not None
    count = len(asked)
    assert count == len(whole.stopping.looks)
    asked.clear()
    for news in follow(tmp_path / "left", SECTION, probe):
        if isinstance(news, Step) and news.step == 7:
            break
    assert len(asked) == 4
    news = list(follow(tmp_path / "left", SECTION, probe))
    assert [one.resumed_from for one in news if isinstance(one, Started)] == [6]
    assert len(asked) == count
    assert [one.step for one in news if isinstance(one, Look)] == [look.step for look in whole.stopping.looks[4:]]
    assert [one.step for one in news if isinstance(one, Saved)][-1] == whole.steps, "the end is a checkpoint too"
    summary = news[-1]
    assert isinstance(summary, Summary)
    assert summary.losses == whole.losses


def test_another_probe_is_another_training(tmp_path: Path) -> None:
    for news in follow(tmp_path):
        if isinstance(news, Saved):
            break
    with pytest.raises(RunError, match="another tuning run"):
        finish(tmp_path, SECTION, Probe(ITEMS[:3], PROBE.reward))
    other = SECTION.model_copy(update={"early_stopping": STOPPING.model_copy(update={"patience": 5})})
    with pytest.raises(RunError, match="another tuning run"):
        finish(tmp_path, other)
    shutil.rmtree(tmp_path / "best")
    with pytest.raises(RunError, match="the best weights are gone"):
        finish(tmp_path)


def test_where_nothing_has_a_score_nothing_is_learned(tmp_path: Path) -> None:
    nobody = Probe(ITEMS, reward_of({"letters": Letters(unscored="nop")}))
    with pytest.raises(TrainingError, match=r"no answer to the probe items could be scored.*Nobody knows"):
        finish(tmp_path, SECTION, nobody)
    assert not (tmp_path / "looks.jsonl").exists()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_reinforcement_learning_is_stopped_too(tmp_path: Path) -> None:
    """Rewards come from train items, looks from probe items: neither knows of the other."""
    section = SECTION.model_copy(
        update={"objective": GrpoObjective(kind="grpo", group=4, max_tokens=12), "max_steps": 6, "max_tokens": 256}
    )
    bundle, rows = tiny_model(), []
    for item in Letters().items("train", "basic", 6, 0):
        ids = np.asarray(bundle.template.encode_prompt(item.messages), dtype=np.int32)
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    reward = reward_of({"letters": Letters()})
    *_, summary = train(bundle, rows, section, folder=tmp_path, seed=3, reward=reward, probe=PROBE)
    assert isinstance(summary, Summary)
    assert summary.stopping is not None
    assert summary.stopping.looks[0].step == 0
    assert len(summary.stopping.looks) >= 2
    asked = {one.prompt for one in read_records(tmp_path / "rollouts.jsonl", Sampled)}
    assert asked <= {row.item.id for row in rows}, "answers to probe items are learned by nobody"


RECIPE = """
name: letters
model: {id: tiny}
tasks: [{kind: custom, path: letters.py:Letters}]
tune:
  data: {path: rows.jsonl}
  method: {kind: full}
  optimizer: {kind: adamw, lr: 0.001}
  schedule: {kind: constant}
  batch_size: 2
  epochs: 4
  early_stopping: {items: 4, every: 2, patience: 2, max_tokens: 12}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "letters.py").write_text((HERE.parent / "support" / "letters.py").read_text())
    (tmp_path / "letters.yaml").write_text(RECIPE)
    rows = [{"prompt": "Say it", "completion": word} for word in WORDS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_the_command_line(place: Path) -> None:
    valid = CliRunner().invoke(app, ["recipe", "validate", "letters.yaml"])
    assert valid.exit_code == 0, valid.output
    done = CliRunner().invoke(app, ["tune", "letters.yaml"])
    said = " ".join(done.output.split())
    assert done.exit_code == 0, done.output
    assert re.search(r"Probe score before the first step: 0\.\d{3}, the best so far \(4 answers\)", said)
    assert "Probe score after 2 steps" in said
    folder = place / "runs" / "letters" / "tune"
    summary = json.loads((folder / "summary.json").read_text())
    stopping = summary["stopping"]
    assert f"The weights after step {stopping['kept']} are saved" in said
    looks = read_records(folder / "looks.jsonl", Look)
    assert [look.model_dump(mode="json") for look in looks] == stopping["looks"]
    again = CliRunner().invoke(app, ["tune", "letters.yaml", "--json"])
    assert json.loads(again.output.splitlines()[-1])["stopping"]["kept"] == stopping["kept"]


def test_from_python_and_what_is_refused(place: Path) -> None:
    recipe = load_recipe(place / "letters.yaml")
    heard: list[tuple[str, dict[str, object]]] = []
    summary = tutelage.tune(
        place / "rows.jsonl", out=place / "out", model=recipe, emit=lambda event: heard.append((event.kind, event.data))
    )
    assert summary.stopping is not None
    looks = [data for kind, data in heard if kind == "look"]
    assert [data["score"] for data in looks] == [look.score for look in summary.stopping.looks]
    for setting, said in {
        "tasks=[letter]": r"tune\.early_stopping\.tasks: no task of this recipe has this name.*Did you mean 'letters'",
        "levels=[expert]": r"tune\.early_stopping\.levels: no task of this recipe has this level",
    }.items():
        other = load_recipe(place / "letters.yaml", [f"tune.early_stopping.{setting}"])
        with pytest.raises(RecipeError, match=said):
            tutelage.tune(place / "rows.jsonl", out=place / "other", model=other)
        refused = CliRunner().invoke(
            app, ["recipe", "validate", "letters.yaml", "--set", f"tune.early_stopping.{setting}"]
        )
        assert isinstance(refused.exception, RecipeError)
    assert not (place / "other").exists()


def test_rows_without_a_check_cannot_stop_anything(place: Path) -> None:
    rows = [{"prompt": f"Say {word}.", "reference": "e"} for word in ("river", "city", "garden", "tree")]
    (place / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shares = "{train: 0.5, probe: 0.5, gate: 0, test: 0}"
    text = RECIPE.replace(
        "{kind: custom, path: letters.py:Letters}", f"{{kind: rows, path: own.jsonl, shares: {shares}}}"
    )
    (place / "own.yaml").write_text(text)
    with pytest.raises(RecipeError, match="no probe items whose answers a check scores"):
        tutelage.tune(place / "rows.jsonl", out=place / "out", model=load_recipe(place / "own.yaml"))
    assert not (place / "out").exists()
    (place / "own.yaml").write_text(text.replace("kind: rows,", "kind: rows, check: contains,"))
    found = tutelage.tune(place / "rows.jsonl", out=place / "out", model=load_recipe(place / "own.yaml"))
    assert found.stopping is not None
    assert found.stopping.looks[0].answers == 2
