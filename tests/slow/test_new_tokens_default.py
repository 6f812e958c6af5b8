"""New tokens on the default model, which knows ChatML's: other markers, in a template of one's own."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn

from support.plain_peer import plain_loss
from tutelage.completers.local import LocalCompleter
from tutelage.models.load import load_bundle
from tutelage.models.quiet import quiet
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, TuneSection
from tutelage.records import Request, Sampling, assistant, user
from tutelage.tune import Summary, train

pytestmark = pytest.mark.slow
NEW = ("<|turn|>", "<|over|>")
TEMPLATE = "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|over|>\n{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
QUESTIONS = ("Name a color.", "Name a fruit.", "Say hello.", "What is 2 + 2?")


def logits(model: nn.Module, ids: list[int]) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return found


def test_other_markers_are_learned_and_end_answers(tmp_path: Path) -> None:
    (tmp_path / "turn.jinja").write_text(TEMPLATE)
    start = load_bundle("default", dtype="float32")
    known, text = len(start.tokenizer), start.tokenizer("The capital of France is Paris.")["input_ids"]
    before = logits(start.model, text)
    bundle = load_bundle("default", dtype="float32", template=tmp_path / "turn.jinja", new_tokens=NEW)
    assert bundle.new_tokens == (known, known + 1)
    assert torch.equal(logits(bundle.model, text)[:, :known], before[:, :known])
    rows = [bundle.template.encode((user(question), assistant("Ask me tomorrow."))) for question in QUESTIONS]
    expected = plain_loss(bundle.model, rows).item()
    section = TuneSection(
        method=LoraMethod(kind="lora", r=8),
        optimizer=AdamWOptimizer(kind="adamw", lr=2e-3),
        batch_size=4,
        epochs=12,
    )
    *_, summary = train(bundle, rows, section, folder=tmp_path / "out", seed=0)
    assert isinstance(summary, Summary)
    assert summary.losses[0] == pytest.approx(expected, rel=1e-4)
    assert summary.losses[-1] < 0.2
    assert summary.reload_difference < 1e-4
    weights = tmp_path / "out" / "weights"
    merged = load_bundle("default", adapter=weights, dtype="float32", merge=True)
    with quiet():
        start.model.resize_token_embeddings(known + 2, mean_resizing=False)
        plain = PeftModel.from_pretrained(start.model, str(weights)).eval()
    ids = rows[0].ids.tolist()
    torch.testing.assert_close(logits(merged.model, ids), logits(plain, ids), rtol=0, atol=2e-3)
    asked = [Request(id="1", messages=(user("Name a bird."),), sampling=Sampling(temperature=0, max_tokens=16), seed=0)]
    with LocalCompleter(merged, batch_size=1) as completer:
        (answer,) = completer.complete(asked)
    assert answer.text == "Ask me tomorrow."
    assert answer.finish == "stop"
