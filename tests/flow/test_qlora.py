"""A base of 4 bits: refused with the reason where it cannot be had; where bitsandbytes is, it learns and comes back."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from tutelage.errors import MissingExtra, ModelError, RecipeError, TrainingError
from tutelage.models import four_bit
from tutelage.models.four_bit import require_four_bits
from tutelage.models.load import load_bundle, load_tuned
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.standalone import tune
from tutelage.recipe import parse_recipe
from tutelage.recipe.methods import LoraMethod, QloraMethod
from tutelage.recipe.objectives import DpoObjective, SftObjective
from tutelage.recipe.tune import AdamWOptimizer, TuneSection
from tutelage.tune.methods import build_method

QLORA = QloraMethod(kind="qlora", r=4)
RECIPE = "name: a\nmodel: {id: tiny}\ntasks: [{kind: safety}]\ntune: {method: {kind: qlora}}\n"
INSTALL = r"bitsandbytes.*pip install 'tutelage\[qlora\]'"


def test_without_bitsandbytes_it_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(four_bit, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=INSTALL):
        load_bundle("tiny", four_bit=True)
    with pytest.raises(RecipeError, match=r"tune\.method: .*" + INSTALL):
        preflight(parse_recipe(RECIPE))


def test_a_device_that_it_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(four_bit, "find_spec", lambda name: name)
    with pytest.raises(ModelError, match=r"received mps\). Use cpu or cuda, or take method: \{kind: lora\}"):
        require_four_bits("mps")


def test_a_model_that_is_not_in_four_bits_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"not in 4 bits.*qlora on tiny in torch\.float32.*four_bit=True"):
        build_method(QLORA)(tiny_model(), 0)


def test_gradients_are_those_of_the_weights_that_four_bits_stand_for() -> None:
    """Also after a pass in evaluation mode, which makes bitsandbytes lay out its weights anew on some CPUs."""
    functional = pytest.importorskip("bitsandbytes.functional")
    bundle, peer = load_bundle("tiny", four_bit=True), tiny_model()
    rounded = {
        name: functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        for name, module in bundle.model.named_modules()
        if type(module).__name__ == "Linear4bit"
    }
    assert len(rounded) == 14
    for name, weight in rounded.items():
        assert 0 < (peer.model.get_submodule(name).weight - weight).abs().max() < 0.02
        peer.model.get_submodule(name).weight.data = weight
    quantized = build_method(QLORA)(bundle, 0)
    plain = build_method(LoraMethod(kind="lora", r=4))(peer, 0)
    assert quantized.parameters.keys() == plain.parameters.keys()
    ids, found = torch.arange(5, 45)[None], []
    for tuned in (quantized, plain):
        with torch.no_grad():
            for parameter in tuned.parameters.values():
                parameter.add_(0.02)
            tuned.model.train(False)(input_ids=ids)
        tuned.model.train()(input_ids=ids).logits.square().sum().backward()
        found.append({name: parameter.grad for name, parameter in tuned.parameters.items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("objective", [SftObjective(kind="sft"), DpoObjective(kind="dpo")])
def test_it_learns_beside_four_bits_and_comes_back(tmp_path: Path, objective: SftObjective | DpoObjective) -> None:
    pytest.importorskip("bitsandbytes")
    rows = tmp_path / "rows.jsonl"
    key = {"sft": '"completion"', "dpo": '"rejected": "No.", "chosen"'}[objective.kind]
    rows.write_text("".join(f'{{"prompt": "Name {n}.", {key}: "The garden."}}\n' for n in "abcdefgh"))
    section = TuneSection(
        objective=objective,
        method=QLORA,
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
        batch_size=4,
        epochs=5,
        checkpoint_every=0,
    )
    summary = tune(rows, out=tmp_path / "out", model="tiny", section=section)
    assert summary.losses[-1] < summary.losses[0] - 0.1
    assert summary.reload_difference == 0.0
    assert summary.backend == "documents"
    ids = torch.arange(5, 45)[None]
    with quiet(), torch.no_grad():
        plain = PeftModel.from_pretrained(tiny_model().model, str(tmp_path / "out" / "weights"))
        expected = plain.eval()(input_ids=ids).logits
        merged = load_tuned("tiny", tmp_path / "out" / "weights", merge=True).model(input_ids=ids).logits
        start = tiny_model().model(input_ids=ids).logits
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    assert (merged - start).abs().max() > 1e-2
