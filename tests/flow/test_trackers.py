"""Trackers: what they are told of a training, read back from each of them that is installed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import MissingExtra, RunError
from tutelage.events import Event, silent
from tutelage.pipeline.sinks import Measures, _load_extra
from tutelage.pipeline.standalone import tune
from tutelage.pipeline.tracking import _passing_on, measures_of, tracked
from tutelage.recipe import Recipe, parse_recipe
from tutelage.records import Example, Lineage, assistant, content_id, user

STEP = {"step": 3, "epoch": 1, "loss": 2.5, "told": {"margin": 0.5}, "retention": None, "lr": 1e-3, "grad_norm": 4}
STEP |= {"rows": 2, "tokens": 50, "target_tokens": 9, "micro_batches": 1, "seconds": 0.5}


def recipe(trackers: str) -> Recipe:
    tune = "tune: {data: {path: rows.jsonl}, epochs: 3, batch_size: 1, method: {kind: lora, r: 2}}"
    return parse_recipe(f"name: told\nmodel: {{id: tiny}}\n{tune}\ntrackers: [{trackers}]\n", source="told.yaml")


def rows() -> list[Example]:
    lineage = Lineage(paradigm="expert", source="examples", author="a")
    texts = ("It is said.", "Thanks.")
    return [Example(id=content_id(text), messages=(user("Say"), assistant(text)), lineage=lineage) for text in texts]


def test_a_step_is_told_with_its_speed_and_what_the_objective_tells() -> None:
    told = {"loss": 2.5, "lr": 1e-3, "grad_norm": 4.0, "margin": 0.5, "tokens_per_second": 100.0}
    assert measures_of(Event("step", data=STEP)) == Measures(3, {f"tune/{key}": value for key, value in told.items()})
    found = measures_of(Event("step", round=2, data=STEP))
    assert found is not None
    assert found.numbers["round 2/tune/loss"] == 2.5


def test_scores_and_verdicts_are_told_by_round() -> None:
    scores = {"label": "round 2", "split": "probe", "macro": 0.4, "n": 10}
    assert measures_of(Event("scores", round=2, data=scores)) == Measures(2, {"scores/probe": 0.4}, by="round")
    rival = {**scores, "label": "few-shot", "split": "test"}
    assert measures_of(Event("scores", round=0, data=rival)) == Measures(0, {"scores/test/few-shot": 0.4}, by="round")
    assert measures_of(Event("scores", round=0, data={**scores, "macro": None})) is None
    verdict = {"outcome": "rejected", "text": "Rejected: it got worse."}
    assert measures_of(Event("verdict", round=1, data=verdict)) == Measures(
        1, {"gate/promoted": -1.0}, {"gate": "Rejected: it got worse."}, by="round"
    )
    assert measures_of(Event("note", data={"text": "nothing in numbers"})) is None


class Failing:
    """Takes one thing and then says that it cannot."""

    name = "Failing"
    faults = (OSError,)

    def __init__(self) -> None:
        self.taken = 0

    def take(self, measures: Measures) -> None:
        self.taken += 1
        if self.taken > 1:
            raise OSError("the disk is full")

    def close(self) -> None:
        self.taken = -1


def test_a_tracker_that_fails_is_let_go_with_a_note() -> None:
    sink, heard = Failing(), []
    listen = _passing_on([sink], heard.append)
    for _ in range(5):
        listen(Event("step", data=STEP))
    assert sink.taken == 2
    assert [event.data["text"] for event in heard] == ["Failing fails and is told no more: the disk is full"]


def test_a_missing_package_names_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r"tracker TensorBoard needs .*pip install 'tutelage\[tensorboard\]'"):
        _load_extra("no_such_package_here", "TensorBoard", "tensorboard")


class Closing(Failing):
    """Takes everything and cannot write the end of it."""

    def take(self, measures: Measures) -> None:
        self.taken += 1

    def close(self) -> None:
        raise OSError("the disk is full")


def test_a_tracker_that_fails_at_the_end_loses_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutelage.pipeline.tracking.TensorBoard", lambda place: Closing())
    named, heard = recipe("{kind: tensorboard}"), []
    with tracked(named.trackers, named, tmp_path, emit=heard.append, offline=True) as follow:
        follow(Event("step", data=STEP))
    assert [event.data["text"] for event in heard] == ["Failing fails and is told no more: the disk is full"]


@pytest.mark.parametrize("uri", ["https://user:secret@tracks.example.org/a?b=c", "databricks", "postgresql://db/a"])
def test_a_tracker_elsewhere_is_refused_offline(uri: str, tmp_path: Path) -> None:
    named = recipe(f"{{kind: mlflow, uri: '{uri}'}}")
    with (
        pytest.raises(RunError, match="not on this machine") as caught,
        tracked(named.trackers, named, tmp_path, emit=silent, offline=True),
    ):
        pass
    assert "secret" not in str(caught.value)
    with pytest.raises(RunError, match="not on this machine"):
        tune(rows(), out=tmp_path / "out", model=named, offline=True)
    assert not (tmp_path / "out").exists()


def test_wandb_online_needs_a_key_of_the_environment_and_is_refused_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    named = recipe("{kind: wandb, online: true}")
    with pytest.raises(RunError, match=r"not on this machine .*online: true.*--offline"):
        tune(rows(), out=tmp_path / "out", model=named, offline=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match=r"the variable that holds its key is not set.*WANDB_API_KEY=\.\.\."):
        tune(rows(), out=tmp_path / "out", model=named)


@pytest.mark.parametrize("variable", ["TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID"])
def test_trackio_that_would_fetch_is_refused(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "somebody/something")
    with pytest.raises(RunError, match=f"not on this machine.*Unset {variable}"):
        tune(rows(), out=tmp_path / "out", model=recipe("{kind: trackio}"))


def losses_of(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_is_told_what_the_steps_were(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tune(rows(), out=tmp_path, model=recipe("{kind: tensorboard}"), offline=True)
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert {"tune/loss", "tune/lr", "tune/grad_norm", "tune/tokens_per_second"} <= set(found.Tags()["scalars"])
    scalars = found.Scalars("tune/loss")
    assert [one.step for one in scalars] == [1, 2, 3, 4, 5, 6]
    assert [one.value for one in scalars] == pytest.approx(losses_of(tmp_path), rel=1e-6)
    named = recipe("{kind: tensorboard, path: logs}").relative_to(tmp_path)
    with tracked(named.trackers, named, tmp_path / "run", emit=silent, offline=True) as follow:
        follow(Event("verdict", round=1, data={"outcome": "promoted", "text": "Promoted: it is better."}))
    kept = EventAccumulator(str(tmp_path / "logs"))
    kept.Reload()
    assert [(one.step, one.value) for one in kept.Scalars("gate/promoted")] == [(1, 1.0)]
    assert kept.Tensors("gate/text_summary")[0].tensor_proto.string_val == [b"Promoted: it is better."]


def test_mlflow_is_told_what_the_steps_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database would need more than the client
    uri = (tmp_path / "mlruns").as_uri()
    tune(rows(), out=tmp_path / "out", model=recipe(f"{{kind: mlflow, uri: '{uri}', experiment: e}}"), offline=True)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("told", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "tune/loss")
    assert [one.step for one in history] == [1, 2, 3, 4, 5, 6]
    assert [one.value for one in history] == pytest.approx(losses_of(tmp_path / "out"), rel=1e-6)
    named = recipe(f"{{kind: mlflow, uri: '{uri}', experiment: e}}")
    with tracked(named.trackers, named, tmp_path / "out", emit=silent, offline=True) as follow:
        follow(Event("step", data={**STEP, "step": 7}))
        (open_again,) = client.search_runs([experiment.experiment_id])
        assert open_again.info.status == "RUNNING"
    assert [one.step for one in client.get_metric_history(run.info.run_id, "tune/loss")] == [1, 2, 3, 4, 5, 6, 7]


def points_of(file: Path) -> Iterator[dict[str, Any]]:
    """What was logged in a file of W&B: LevelDB's log of records, in blocks of 32 KiB, after a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, record = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # the whole of a record, or its last part
            if items := Record.FromString(record).history.item:
                yield {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            record = b""


def test_wandb_is_told_offline_and_goes_on_in_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", key := "0123456789abcdef" * 3)
    monkeypatch.setenv("WANDB_MODE", "online")  # the recipe decides
    out, named = tmp_path / "out", recipe("{kind: wandb, project: p}")
    tune(rows(), out=out, model=named, offline=True)
    with tracked(named.trackers, named, out, emit=silent, offline=True) as follow:
        follow(Event("step", data={**STEP, "step": 5}))  # a step made again after a kill
        follow(Event("verdict", round=1, data={"outcome": "promoted", "text": "Promoted: it is better."}))
    wandb.teardown()  # its writer is a process, which this waits for
    first, second = sorted(out.glob("wandb/offline-run-*/*.wandb"))
    assert first.name == second.name
    steps = [point for point in points_of(first) if "tune/loss" in point]
    assert [one["step"] for one in steps] == [1, 2, 3, 4, 5, 6]
    assert [one["tune/loss"] for one in steps] == losses_of(out)
    again, verdict = points_of(second)
    assert (again["step"], again["tune/loss"]) == (5, 2.5)
    assert (verdict["round"], verdict["gate/promoted"]) == (1, 1.0)
    assert b"Promoted: it is better." in second.read_bytes()
    assert not [file for file in out.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]


def test_trackio_is_told_what_the_steps_were_and_goes_on_in_its_run(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
os.environ["TRACKIO_DIR"] = {str(tmp_path / "store")!r}  # read when trackio is imported
from pathlib import Path
from test_trackers import *
out, named = Path({str(tmp_path / "out")!r}), recipe("{{kind: trackio, project: p}}")
tune(rows(), out=out, model=named, offline=True)
with tracked(named.trackers, named, out, emit=silent, offline=True) as follow:
    follow(Event("verdict", round=1, data={{"outcome": "promoted", "text": "Promoted: it is better."}}))
import trackio
(run,) = trackio.Api().runs("p")
from trackio.sqlite_storage import SQLiteStorage
logs = [{{**row, "timestamp": None}} for row in SQLiteStorage.get_logs("p", run_id=run.id)]
print(json.dumps({{"name": run.name, "logs": logs}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["name"] == "told"
    *steps, verdict = found["logs"]
    assert [one["step"] for one in steps] == [1, 2, 3, 4, 5, 6]
    assert [one["tune/loss"] for one in steps] == losses_of(tmp_path / "out")
    assert (verdict["step"], verdict["gate/promoted"], verdict["gate"]) == (1, 1.0, "Promoted: it is better.")


def test_trackers_change_nothing(tmp_path: Path) -> None:
    plain = recipe("")
    tune(rows(), out=tmp_path, model=plain)
    before = losses_of(tmp_path)
    pytest.importorskip("tensorboard")
    tune(rows(), out=tmp_path / "told", model=recipe("{kind: tensorboard}"))
    assert losses_of(tmp_path / "told") == before
