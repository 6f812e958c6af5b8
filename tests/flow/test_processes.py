"""Several processes tune what one tunes: the same losses, the same files, and no process waits for one that is gone."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from support.launching import COMMON, PATIENCE_S, by_torchrun, ended, start, steps
from support.together import work
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model

LORA = {"kind": "lora", "r": 4}
SUM = [{"weight": 1.0, "objective": {"kind": "dpo"}}, {"weight": 0.1, "objective": {"kind": "sft"}}]
TAUGHT = [
    {"weight": 1.0, "objective": {"kind": "sft"}},
    {"weight": 1.0, "objective": {"kind": "kd", "teacher": "tiny", "top_k": 5}},
]
SECTIONS: dict[str, dict[str, Any]] = {
    "sft, full": {"method": {"kind": "full"}},
    "sft, lora, retention": {"method": LORA, "retention": {"texts": 3, "tokens": 20}},
    "dpo, lora": {"method": LORA, "objective": {"kind": "dpo"}},
    "sum, lora": {"method": LORA, "objective": {"kind": "sum", "parts": SUM}},
    "kto, lora": {"method": LORA, "objective": {"kind": "kto"}},
    "sum with kd": {"objective": {"kind": "sum", "parts": TAUGHT}},
}

DROPOUT = "sft, dropout"
SECTIONS[DROPOUT] = {"method": {**LORA, "dropout": 0.1}}


def job(out: Path, name: str, **more: Any) -> dict[str, Any]:
    return {"out": str(out / name.replace(", ", "-")), "section": {**COMMON, **SECTIONS[name]}, **more}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what two processes tuned."""
    folder = tmp_path_factory.mktemp("two")
    for code, errors in ended(start(folder, [job(folder, name) for name in SECTIONS])):
        assert code == 0, errors
    return folder


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != DROPOUT])
def test_two_processes_say_what_one_says(name: str, two: Path, tmp_path: Path) -> None:
    alone, together = job(tmp_path, name), job(two, name)
    work(alone)
    assert len(steps(together)) == 6
    for one, other in zip(steps(alone), steps(together), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.told == pytest.approx(one.told, rel=1e-4, abs=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
        assert other.retention == (one.retention and pytest.approx(one.retention, rel=1e-4, abs=1e-6))
        assert (other.epoch, other.lr, other.rows) == (one.epoch, one.lr, one.rows)
        assert (other.tokens, other.target_tokens) == (one.tokens, one.target_tokens)
    files = [{str(file.relative_to(of["out"])) for file in Path(of["out"]).rglob("*")} for of in (alone, together)]
    assert files[0] == files[1], "the main process alone writes, and leaves what one process leaves"


def test_the_weights_are_whole(two: Path) -> None:
    bundle = tiny_model()
    ids = torch.tensor([bundle.tokenizer("What is the name?")["input_ids"]])
    full = AutoModelForCausalLM.from_pretrained(Path(job(two, "sft, full")["out"]) / "weights", dtype=torch.float32)
    with quiet():
        adapted = PeftModel.from_pretrained(bundle.model, str(Path(job(two, "dpo, lora")["out"]) / "weights"))
    with torch.no_grad():
        found, adapted_found = full(input_ids=ids).logits, adapted(input_ids=ids).logits
        with adapted.disable_adapter():
            start_found = adapted(input_ids=ids).logits
    assert found.shape == start_found.shape
    assert 1e-3 < (found - start_found).abs().max() < 10
    assert (adapted_found - start_found).abs().max() > 1e-4


def test_killed_processes_go_on_where_they_were(two: Path, tmp_path: Path) -> None:
    """Two go on with what two began, dropout included, and then one with what two began."""
    dropout, plain = (job(tmp_path, name, die=3) for name in (DROPOUT, "sft, lora, retention"))
    killed = [-signal.SIGKILL] * 2
    assert [code for code, _ in ended(start(tmp_path, [dropout]))] == killed
    assert (Path(dropout["out"]) / "checkpoints" / "000002").is_dir()
    del dropout["die"]
    assert [code for code, _ in ended(start(tmp_path, [dropout, plain]))] == killed
    assert [step.loss for step in steps(dropout)] == [step.loss for step in steps(job(two, DROPOUT))]
    del plain["die"]
    expected = [step.loss for step in steps(job(two, "sft, lora, retention"))]
    assert work(plain).losses == pytest.approx(expected, rel=1e-5)


def test_an_error_of_one_ends_all(tmp_path: Path) -> None:
    processes = start(tmp_path, [job(tmp_path, "sft, full", fault=[1, 2])])
    processes[1].wait(PATIENCE_S)
    began = time.monotonic()
    (code, errors), (other, fault) = ended(processes)
    assert (other, fault.strip()) == (7, "a fault of this process alone")
    assert code == 7
    assert "another process has ended" in errors
    assert "the same command goes on" in errors
    assert time.monotonic() - began < PATIENCE_S, "it was told by its connection, not by its patience"


def test_the_command_under_torchrun(tmp_path: Path) -> None:
    done = by_torchrun(tmp_path, "batch_size: 2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3 steps on 5 rows") == 1, done.stdout
    assert done.stderr.count("conversations, whose answers are learned") == 1
    found = {file.name for file in (tmp_path / "out" / "tune").iterdir()}
    expected = {"weights", "metrics.jsonl", "summary.json", "ledger.json", "dropped.jsonl", "tuned.json"}
    assert found == expected
