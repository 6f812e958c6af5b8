"""The one-file example computes what the engine computes, and its adapter loads in plain peft."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.records import assistant, user
from tutelage.tune.objectives import Sft
from tutelage.tune.training.attention import connect

FILE = Path(__file__).parents[2] / "examples" / "one_file_sft.py"
TURNS = [
    [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": f"The river is number {number}."}]
    for number in range(24)
]


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("one_file_sft", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start(tmp_path: Path) -> Path:
    tiny = tiny_model()
    with quiet():
        tiny.model.save_pretrained(tmp_path / "start")
        tiny.tokenizer.save_pretrained(tmp_path / "start")
    return tmp_path / "start"


def test_fewer_than_200_lines() -> None:
    assert len(FILE.read_text(encoding="utf-8").splitlines()) < 200


def test_masks_and_loss_are_the_engines(example: ModuleType, start: Path) -> None:
    tiny = tiny_model()
    documents = []
    for turns in TURNS[:5]:
        ids, learned = example.encode(tiny.tokenizer, turns)
        ours = tiny.template.encode((user(turns[0]["content"]), assistant(turns[1]["content"])))
        first, last = ours.targets.argmax(), len(ours) - ours.targets[::-1].argmax()
        assert ids[:last] == ours.ids.tolist()[:last]
        assert [at for at, flag in enumerate(learned) if flag] == list(range(first, last))
        documents.append((ids, learned))
    with quiet():
        peer = AutoModelForCausalLM.from_pretrained(start, attn_implementation="one_file")
        peer = example.get_peft_model(peer, example.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        found = example.loss_of(peer, documents).item()
    rows = [Encoded(np.array(ids, dtype=np.int32), np.array(learned)) for ids, learned in documents]
    with connect(tiny.model) as network, torch.no_grad():
        expected = Sft().cost(rows, network.predict(network.pack(rows))).terms[0].item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_it_learns_and_its_adapter_loads(
    example: ModuleType,
    start: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in TURNS))
    monkeypatch.setattr(example, "RATE", 5e-2)
    monkeypatch.setattr(example, "EPOCHS", 8)
    with quiet():
        example.main(str(start), str(rows), str(tmp_path / "adapter"))
    losses = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 24
    assert losses[-1] < losses[0] - 0.3
    with quiet():
        again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(start), tmp_path / "adapter")
    assert any(weight.abs().max() > 0 for name, weight in again.named_parameters() if "lora_B" in name)
