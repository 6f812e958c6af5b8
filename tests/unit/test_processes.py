"""How a process knows that there are others, and what is refused then."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from tutelage.cli.app import app
from tutelage.cli.tune import Tuning, tune_command
from tutelage.errors import InputErrors, TrainingError
from tutelage.launch import Place, place
from tutelage.models.hardware import processors
from tutelage.models.tiny import tiny_model
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.tune import TuneSection
from tutelage.tune import train
from tutelage.tune.training.processes import ALONE, Processes, Value, digest_of, joined

TORCHRUN = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}


class Unlike(Processes):
    """The first of two, whose other has something else."""

    def gather(self, value: Value) -> list[Value]:
        return [value, "other"]  # type: ignore[list-item]


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_RANK", "1")


def test_a_process_started_by_itself_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() == Place(0, 1, 0, 1)
    monkeypatch.setenv("RANK", "3")  # as a cluster's own launcher may set it
    monkeypatch.setenv("WORLD_SIZE", "")
    assert place() == Place()
    with joined(torch.device("cpu")) as processes:
        assert processes is ALONE
        assert processes.gather(5) == [5]
        assert processes.from_main(lambda: 6) == 6


def test_processes_of_a_machine_share_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = processors()
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert place() == Place(3, 4, 3, 2)
    assert processors() == max(1, alone // 2)


@pytest.mark.usefixtures("several")
def test_devices_of_several_processes() -> None:
    with pytest.raises(TrainingError, match="device of its own"), joined(torch.device("cuda:0")):
        pass
    with pytest.raises(TrainingError, match="on CPUs or on CUDA devices"), joined(torch.device("meta")):
        pass
    if torch.cuda.device_count() < 2:
        with pytest.raises(TrainingError, match="fewer CUDA devices than processes"), joined(torch.device("cuda")):
            pass


@pytest.mark.usefixtures("several")
def test_what_is_for_one_process_is_refused(tmp_path: Path) -> None:
    left = CliRunner().invoke(app, ["runs"])
    assert isinstance(left.exception, InputErrors)
    assert "this command runs in one process" in str(left.exception)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: words\nmodel: {id: tiny}\ntasks: [{kind: grounded}]\n")
    tuning = Tuning(recipe=recipe, data=None, model=None, out=tmp_path / "run", round=None, settings=[])
    with pytest.raises(InputErrors) as round_refused:
        tune_command(tuning, quiet=True, json=False, offline=True)
    assert "a round of a run is tuned in one process" in str(round_refused.value)
    assert not (tmp_path / "run").exists()


def test_reinforcement_learning_is_for_one_process(tmp_path: Path) -> None:
    section = TuneSection(objective=GrpoObjective(kind="grpo"))
    with pytest.raises(TrainingError, match="reinforcement learning runs in one process"):
        next(train(tiny_model(), [], section, folder=tmp_path, seed=0, processes=Processes(0, 2)))
    assert not list(tmp_path.iterdir())


def test_processes_that_are_not_alike_are_found() -> None:
    with pytest.raises(TrainingError, match="not the same weights"):
        Unlike(0, 2).require_same(lambda: "one", "weights")
    ALONE.require_same(lambda: 1 / 0, "weights")  # alone it is not even computed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_digest_sees_the_last_bit(dtype: torch.dtype) -> None:
    weights: list[Tensor] = [torch.ones(3, 4, dtype=dtype).t(), torch.tensor(2.0, dtype=dtype)]
    changed = [weights[0].clone(), weights[1]]
    changed[0][1, 2] = torch.nextafter(changed[0][1, 2], torch.tensor(2.0, dtype=dtype))
    assert digest_of(weights) == digest_of([weight.clone() for weight in weights])
    assert digest_of(weights) != digest_of(changed)


def test_processes_draw_different_dropout_and_the_main_one_that_of_one_alone() -> None:
    assert ALONE.seed(7) == Processes(0, 3).seed(7) == 7
    assert len({Processes(rank, 3).seed(7) for rank in range(3)}) == 3
