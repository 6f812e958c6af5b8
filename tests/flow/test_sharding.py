"""Processes that each hold a share of the model tune what one process with the whole of it tunes."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from support.launching import COMMON, by_torchrun, ended, start, steps
from support.together import held, work
from tutelage.errors import TrainingError

LORA = {"kind": "lora", "r": 3}  # of two processes one holds two rows of A, of three each one
FULL = {"kind": "full"}
TAUGHT = [
    {"weight": 1.0, "objective": {"kind": "sft"}},
    {"weight": 1.0, "objective": {"kind": "kd", "teacher": "tiny", "top_k": 5}},
]
SECTIONS: dict[str, dict[str, Any]] = {
    "sft, full": {"method": FULL, "optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.1}},
    # All five rows in a step, one a micro-batch: one process makes three passes and the other two, and an empty one.
    "sft, full, small": {"method": FULL, "micro_batch_tokens": 2, "batch_size": 5, "epochs": 6},
    "sft, lora": {"method": LORA},
    "sft, lora of one row": {"method": {"kind": "lora", "r": 1}},  # one process holds nothing of any A
    "sft, lora, anew": {"method": LORA, "activation_checkpointing": True},
    "sft, lora, retention": {"method": LORA, "retention": {"texts": 3, "tokens": 20}},
    "sft, dora": {"method": {"kind": "dora", "r": 3}},
    "sft, ia3": {"method": {"kind": "ia3"}},
    "sft, last": {"method": {"kind": "last", "layers": 1}},
    "sft, nadam": {"method": LORA, "optimizer": {"kind": "torch", "name": "NAdam", "lr": 1e-3}},
    "dpo, lora": {"method": LORA, "objective": {"kind": "dpo"}},
    "kto, lora": {"method": LORA, "objective": {"kind": "kto"}},
    "sft and kd, full": {"method": FULL, "objective": {"kind": "sum", "parts": TAUGHT}},
    "reward, lora": {"method": LORA, "objective": {"kind": "reward"}},
    "reward, full": {"method": FULL, "objective": {"kind": "reward"}},
}
HELD = ("sft, full", "sft, lora")
OF_THREE = ("sft, full", "sft, full, small", "sft, lora")
DROPOUT = "sft, lora, dropout"
SECTIONS[DROPOUT] = {"method": {**LORA, "dropout": 0.1}}
HALF = "sft, full, bfloat16"
SECTIONS[HALF] = {"method": FULL, "dtype": "bfloat16"}


def job(out: Path, name: str, **more: Any) -> dict[str, Any]:
    section = {**COMMON, "sharding": "full", **SECTIONS[name]}
    return {"out": str(out / name.replace(", ", "-").replace(" ", "-")), "section": section, **more}


def done(folder: Path, jobs: list[dict[str, Any]], count: int) -> Path:
    for code, errors in ended(start(folder, jobs, count)):
        assert code == 0, errors
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what two processes tuned."""
    folder = tmp_path_factory.mktemp("two")
    measured = [job(folder, name, held=str(folder / name)) for name in HELD]
    return done(folder, [job(folder, name) for name in SECTIONS] + measured, 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what three processes tuned, one of them without a row in steps of two."""
    folder = tmp_path_factory.mktemp("three")
    return done(folder, [job(folder, name) for name in OF_THREE], 3)


def alike(alone: dict[str, Any], together: dict[str, Any], rel: float = 1e-5) -> None:
    """The same losses, the same files, the same whole weights."""
    assert len(steps(together)) == 6
    for one, other in zip(steps(alone), steps(together), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=rel)
        tied = "margin" in one.told and abs(one.told["margin"]) < rel  # one pair's answers are equal: rounding decides
        told = [
            {key: value for key, value in of.told.items() if not (tied and key == "accuracy")} for of in (one, other)
        ]
        assert told[1] == pytest.approx(told[0], rel=10 * rel, abs=rel)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=100 * rel)
        assert other.retention == (one.retention and pytest.approx(one.retention, rel=10 * rel, abs=rel))
        assert (other.epoch, other.lr, other.rows) == (one.epoch, one.lr, one.rows)
        assert (other.tokens, other.target_tokens) == (one.tokens, one.target_tokens)
    folders = [Path(of["out"]) for of in (alone, together)]
    files = [{str(file.relative_to(folder)) for file in folder.rglob("*")} for folder in folders]
    assert files[0] == files[1], "the main process alone writes, and leaves what one process leaves"
    (name,) = (name for name in files[0] if name.endswith(".safetensors"))
    whole, found = (load_file(folder / name) for folder in folders)
    assert {key: value.dtype for key, value in found.items()} == {key: value.dtype for key, value in whole.items()}
    for key, value in whole.items():
        torch.testing.assert_close(
            found[key], value, rtol=100 * rel, atol=10 * rel, msg=lambda said, key=key: key + said
        )


@pytest.mark.parametrize("name", [name for name in SECTIONS if name not in (DROPOUT, HALF)])
def test_two_processes_say_and_save_what_one_does(name: str, two: Path, tmp_path: Path) -> None:
    work(job(tmp_path, name))
    alike(job(tmp_path, name), job(two, name))


@pytest.mark.parametrize("name", OF_THREE)
def test_three_processes_say_and_save_what_one_does(name: str, three: Path, tmp_path: Path) -> None:
    work(job(tmp_path, name))
    alike(job(tmp_path, name), job(three, name))


def test_in_bfloat16_masters_keep_what_weights_lose(two: Path, tmp_path: Path) -> None:
    work(job(tmp_path, HALF))
    alike(job(tmp_path, HALF), job(two, HALF), rel=1e-3)


@pytest.mark.parametrize("name", HELD)
def test_each_holds_its_share(name: str, two: Path) -> None:
    whole = held(job(two, name))
    found = [json.loads(Path(f"{two / name}.{rank}").read_text()) for rank in range(2)]
    assert sum(share["bytes"] for share in found) == pytest.approx(whole["bytes"], rel=0.02)
    assert max(share["bytes"] for share in found) < 0.52 * whole["bytes"]
    assert all(share["is itself"] for share in found), "no hook of torch's is left in the model"
    assert [share["has"] for share in found] == [1, 0], "the main process has it whole again"


def test_killed_processes_go_on_where_they_were(two: Path, tmp_path: Path) -> None:
    """Two go on with what two began, dropout included; two with what one began, and one with what two began."""
    dropout, plain = (job(tmp_path, name, die=3) for name in (DROPOUT, "sft, full"))
    killed = [-signal.SIGKILL] * 2
    assert [code for code, _ in ended(start(tmp_path, [dropout]))] == killed
    del dropout["die"]
    begun = job(tmp_path / "one", "sft, full")
    with pytest.raises(TrainingError, match="a fault of this process alone"):
        work({**begun, "fault": [0, 3]})
    assert [code for code, _ in ended(start(tmp_path, [dropout, begun, plain]))] == killed
    assert [step.loss for step in steps(dropout)] == [step.loss for step in steps(job(two, DROPOUT))]
    expected = [step.loss for step in steps(job(two, "sft, full"))]
    assert [step.loss for step in steps(begun)] == pytest.approx(expected, rel=1e-5)
    kept = load_file(Path(plain["out"]) / "checkpoints" / "000002" / "state.safetensors")
    del plain["die"]
    assert work(plain).losses == pytest.approx(expected, rel=1e-5)
    weights = load_file(Path(plain["out"]) / "weights" / "model.safetensors")
    for key, value in weights.items():
        assert {kept[f"{key}/{part}"].shape for part in ("master", "exp_avg", "exp_avg_sq")} == {value.shape}


def test_an_error_of_one_ends_all(tmp_path: Path) -> None:
    processes = start(tmp_path, [job(tmp_path, "sft, full", fault=[1, 2])])
    (code, errors), (other, fault) = ended(processes)
    assert (other, fault.strip()) == (7, "a fault of this process alone")
    assert code == 7, errors
    assert "another process has ended" in errors
    assert not (Path(job(tmp_path, "sft, full")["out"]) / "weights").exists()


def test_the_command_under_torchrun(tmp_path: Path) -> None:
    finished = by_torchrun(tmp_path, "batch_size: 2, sharding: full")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("3 steps on 5 rows") == 1, finished.stdout
    assert (tmp_path / "out" / "tune" / "weights" / "adapter_model.safetensors").is_file()
