"""The doctor finds nothing on a sound model, and every planted fault by its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tutelage.completers.decoding import Row
from tutelage.models.load import save_folder
from tutelage.models.quiet import quiet
from tutelage.models.template import ChatTemplate, Encoded
from tutelage.models.tiny import TEMPLATE, tiny_model
from tutelage.pipeline.doctor import doctor
from tutelage.recipe.model import ModelSection
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdafactorOptimizer, FullMethod, LoraMethod, TuneSection
from tutelage.tune.doctor import Check, examine, footprint, sampler, trial
from tutelage.tune.doctor.embeddings import TIED
from tutelage.tune.doctor.footprint import MEMORY, check_memory
from tutelage.tune.doctor.packing import PACKING
from tutelage.tune.doctor.sampler import SAMPLER
from tutelage.tune.doctor.saving import MERGING, SAVING
from tutelage.tune.doctor.steps import ACCUMULATION, FAST
from tutelage.tune.doctor.template import BEGINNING, END, MASK
from tutelage.tune.estimate import StepMemory, estimate_step
from tutelage.tune.methods import build_method, lora

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
TINY = ModelSection(id="tiny")


def by_name(checks: Any) -> dict[str, Check]:
    return {check.name: check for check in checks}


def verdicts(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.verdict for name, check in checks.items()}


def failed(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if check.verdict == "fail"]


def test_a_sound_model_passes_everything() -> None:
    found = by_name(doctor(TINY))
    assert len(found) == 11
    assert failed(found) == []
    assert [name for name, verdict in verdicts(found).items() if verdict != "pass"] == [MEMORY]
    assert found[MASK].figures["answers"] == 20
    assert found[PACKING].figures["largest"] < 1e-4
    assert found[FAST].figures["gradient"] < 1e-5
    assert found[ACCUMULATION].figures["gradient"] < 1e-5
    assert found[SAMPLER].figures["largest"] < 1e-4
    assert not any(check.remedy for check in found.values())


def test_a_template_without_end_token_is_named(tmp_path: Path) -> None:
    template = tmp_path / "endless.jinja"
    template.write_text(TEMPLATE.replace("<|im_end|>", ""))
    found = by_name(doctor(TINY, template=template))
    assert failed(found) == [END]
    assert "no end token after an assistant turn" in found[END].measured
    assert "ends assistant turns" in found[END].remedy
    assert set(verdicts(found).values()) == {"fail", "not applicable"}


def test_two_beginnings_are_counted(tmp_path: Path) -> None:
    template = tmp_path / "twice.jinja"
    template.write_text("{{ bos_token }}" + TEMPLATE)
    found = by_name(doctor(TINY, template=template))
    assert failed(found) == [BEGINNING]
    assert found[BEGINNING].figures["beginnings"] == 2
    assert found[MASK].verdict == found[SAMPLER].verdict == "not applicable"
    assert found[PACKING].verdict == found[FAST].verdict == "pass"


def test_a_user_turn_that_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ChatTemplate.encode

    def encode(self: ChatTemplate, messages: Any, *, last: bool = False) -> Encoded:
        found = exact(self, messages, last=last)
        first = int(found.targets.argmax())
        found.targets[first - 12 : first] = True
        return found

    monkeypatch.setattr(ChatTemplate, "encode", encode)
    found = by_name(doctor(TINY))
    assert failed(found) == [MASK]
    assert "more than one turn is learned as an answer" in found[MASK].measured


def test_an_adapter_that_changes_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = lora.LoraTuned.save

    def save(self: lora.LoraTuned, folder: Path) -> None:
        exact(self, folder)
        tensors = load_file(folder / "adapter_model.safetensors")
        tensors[min(tensors)] *= 1.5
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(lora.LoraTuned, "save", save)
    assert SAVING in failed(by_name(doctor(TINY)))


def test_a_checkpoint_with_an_output_layer_that_its_configuration_denies(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_folder(tiny_model(), folder)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    weights["lm_head.weight"][3] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = by_name(doctor(ModelSection(id=str(folder), dtype="float32")))
    assert failed(found) == [TIED]
    assert found[TIED].measured.startswith("tied embeddings untied: two weights, 1 rows differ")
    assert "tie_word_embeddings to false" in found[TIED].remedy


def test_equal_weights_that_are_called_different() -> None:
    bundle = tiny_model()
    head: Any = bundle.model.get_output_embeddings()
    head.weight = nn.Parameter(head.weight.detach().clone())
    bundle.model.config.tie_word_embeddings = False
    found = by_name(examine(bundle))
    assert failed(found) == [TIED]
    assert "equal numbers; the configuration says not tied" in found[TIED].measured


def test_attention_that_leaks_between_documents() -> None:
    bundle = tiny_model()
    layer: Any = bundle.model.base_model.layers[0]
    layer.register_forward_hook(lambda module, given, out: out + out.roll(1, dims=1))
    found = by_name(examine(bundle))
    assert found[PACKING].verdict == "fail"
    assert "influence one another" in found[PACKING].measured
    assert found[FAST].verdict == found[MERGING].verdict == "not applicable"


def test_an_adapter_that_cannot_be_merged_without_moving_something_else(tmp_path: Path) -> None:
    """An adapter of the output layer, which is the embeddings too: merged, it changes what goes in."""
    bundle = tiny_model()
    tuned = build_method(LoraMethod(kind="lora", r=4, targets=("lm_head",)))(bundle, 0)
    with torch.no_grad():
        for weight in tuned.parameters.values():
            weight.fill_(0.1)
    with quiet():
        tuned.save(tmp_path)
    found = by_name(doctor(TINY, weights=tmp_path))
    assert failed(found) == [MERGING]
    assert "merg" in found[MERGING].measured
    assert found[MERGING].remedy


@pytest.mark.parametrize("method", [PrefixMethod(kind="prefix", tokens=4), PromptMethod(kind="prompt", tokens=4)])
def test_virtual_tokens_are_merged_into_nothing(tmp_path: Path, method: PrefixMethod | PromptMethod) -> None:
    with quiet():
        build_method(method)(tiny_model(), 0).save(tmp_path)
    found = by_name(doctor(TINY, weights=tmp_path))
    assert failed(found) == []
    assert found[MERGING].verdict == "not applicable"
    assert found[MERGING].measured == "virtual tokens are merged into nothing"


def test_a_merge_that_loses_its_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    get_delta = lora.Linear.get_delta_weight
    monkeypatch.setattr(lora.Linear, "get_delta_weight", lambda self, adapter: get_delta(self, adapter) / 2)
    assert failed(by_name(doctor(TINY))) == [MERGING]


def test_a_fast_path_that_forgets_the_adapters_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = lora._parts
    monkeypatch.setattr(lora, "_parts", lambda module: replace(exact(module), scale=1.0))
    assert failed(by_name(doctor(TINY))) == [FAST]


def test_a_sampler_that_says_other_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = sampler.decode

    def warmer(*given: Any, **named: Any) -> Any:
        for row in exact(*given, **named):
            row.logprobs = [value / 1.1 for value in row.logprobs]
            yield row

    monkeypatch.setattr(sampler, "decode", warmer)
    found = by_name(doctor(TINY))
    assert failed(found) == [SAMPLER]
    assert found[SAMPLER].figures["mean"] > 0.1


def test_micro_batches_that_each_take_their_own_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = trial.accumulate

    def by_micro_batch(*given: Any, limit: int, **named: Any) -> Any:
        done = exact(*given, limit=limit, **named)
        for master in named["optimizer"].masters.values():
            master.grad *= done.micro_batches
        return done

    monkeypatch.setattr(trial, "accumulate", by_micro_batch)
    assert failed(by_name(doctor(TINY))) == [ACCUMULATION]


def test_the_memory_of_a_step_by_hand() -> None:
    """Hidden 64, heads 4 of 16, inner 128, 2 layers, float32, rank 16."""
    bundle = tiny_model()
    layer = 4 * 16 * (64 + 64) + 3 * 16 * (64 + 128)
    weights = sum(parameter.numel() for parameter in bundle.model.parameters())
    found = estimate_step(bundle, TuneSection(), tokens=100, targets=10)
    assert found == StepMemory(
        weights=4 * weights,
        training=2 * layer * (4 + 8 + 4),  # gradient, two moments, the adapter itself
        activations=100 * 2 * 4 * (4 * 64 + 2 * 64 + 2 * 64 + 2 * 128 + 7 * 16),
        logits=2 * 4 * 10 * len(bundle.tokenizer),
    )
    assert found.total == found.weights + found.beside_weights
    half = estimate_step(bundle, TuneSection(dtype="bfloat16"), tokens=100, targets=10)
    assert half is not None
    assert half.weights == 2 * weights
    assert half.training == 2 * layer * (2 + 8 + 8 + 2)  # gradient, master and its gradient, moments, adapter
    full = TuneSection(method=FullMethod(kind="full"), optimizer=AdafactorOptimizer(kind="adafactor"))
    whole = estimate_step(bundle, full, tokens=100, targets=10)
    assert whole is not None
    assert whole.training == 4 * weights


def test_memory_is_judged_by_its_ratio() -> None:
    expected = StepMemory(weights=10, training=0, activations=footprint.SMALLEST, logits=0)
    outcomes = [check_memory(expected, peak, tokens=1).verdict for peak in (footprint.SMALLEST, 3 * footprint.SMALLEST)]
    assert outcomes == ["pass", "fail"]
    assert check_memory(expected, None, tokens=1).verdict == "not applicable"
    assert check_memory(None, 5, tokens=1).verdict == "not applicable"


def test_what_is_sampled_is_what_is_read() -> None:
    """A document of a sampled row has the row's tokens and its end as its targets, and no others."""
    row = replace(Row(0, (5, 6, 7), sampler.Sampling(max_tokens=2), 0), tokens=[8], stopped=True, end=9)
    document = sampler._document(row)
    assert document.ids.tolist() == [5, 6, 7, 8, 9]
    assert document.targets.tolist() == [False, False, False, True, True]


def test_a_sampler_that_is_wrong_of_the_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is cut before a token that is then called its end: the decoder said how likely that was."""
    exact = sampler.decode

    def ending(*given: Any, **named: Any) -> Any:
        for row in exact(*given, **named):
            cut = replace(row, tokens=row.tokens[:1], end=row.tokens[1], stopped=True)
            yield replace(cut, logprobs=[row.logprobs[0], row.logprobs[1] - off])

    monkeypatch.setattr(sampler, "decode", ending)
    off = 0.0
    sound = sampler.check_sampler(tiny_model(), seed=0)
    assert sound.verdict == "pass"
    off = 1.0
    found = sampler.check_sampler(tiny_model(), seed=0)
    assert found.verdict == "fail"
    assert found.figures["tokens"] == sound.figures["tokens"]
    assert found.figures["mean"] == pytest.approx(0.5, abs=1e-3)


def test_what_is_sampled_without_an_end_is_what_is_read() -> None:
    row = replace(Row(0, (5, 6, 7), sampler.Sampling(max_tokens=2), 0), tokens=[8, 9])
    document = sampler._document(row)
    assert document.ids.tolist() == [5, 6, 7, 8, 9]
    assert document.targets.tolist() == [False, False, False, True, True]


def test_the_gap_of_gradients_is_relative() -> None:
    expected: dict[str, Tensor] = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    assert trial.gap({"a": torch.tensor([3.0]), "b": torch.tensor([4.5])}, expected) == pytest.approx(0.1)
