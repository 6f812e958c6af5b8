"""A language model becomes a reward model, and is loaded again, or refused in words."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    LlamaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from tutelage.errors import ModelError, TrainingError
from tutelage.models.load import load_reward
from tutelage.models.quiet import quiet
from tutelage.models.rewards import reward_head, with_reward_head
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import LoraMethod
from tutelage.tune.methods import build_method
from tutelage.tune.training.attention import connect


def test_it_shares_the_decoder_and_begins_with_a_head_from_the_seed() -> None:
    bundle = tiny_model(hidden=256)
    before = bundle.model.config.to_dict()
    made, again, other = (with_reward_head(bundle, seed=seed).model for seed in (1, 1, 2))
    assert isinstance(made, LlamaForSequenceClassification)
    assert made.base_model is bundle.model.base_model
    assert reward_head(bundle.model) is None
    assert bundle.model.config.to_dict() == before
    assert made.config.num_labels == 1
    heads = [model.get_parameter("score.weight").detach() for model in (made, again, other)]
    assert heads[0].shape == (1, 256)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert heads[0].std().item() == pytest.approx(made.config.initializer_range, rel=0.2)


def test_the_language_model_computes_as_before_once_the_reward_model_is_connected() -> None:
    bundle = tiny_model()
    ids = torch.arange(30)[None]
    with torch.no_grad():
        expected = bundle.model(input_ids=ids).logits
        with connect(with_reward_head(bundle, seed=0).model) as network:
            assert network.backend == "documents"
        assert torch.equal(bundle.model(input_ids=ids).logits, expected)


@pytest.mark.parametrize(
    ("own", "pad", "expected"),
    [
        (7, "<|pad|>", 7),
        (-1, "<|pad|>", 0),
        (None, "<|pad|>", 0),
        (None, "<|im_end|>", 1),
        (None, None, 1),
    ],
    ids=["the model's own", "the model's own is none", "the tokenizer's", "not one that ends answers", "none is named"],
)
def test_the_padding_is_one_that_no_answer_ends_with(own: int | None, pad: str | None, expected: int) -> None:
    bundle = tiny_model()
    bundle.model.config.pad_token_id = own
    bundle.tokenizer.pad_token = pad
    made = with_reward_head(bundle, seed=0)
    assert made.model.config.pad_token_id == made.tokenizer.pad_token_id == expected
    assert bundle.tokenizer.pad_token == pad


def test_rewards_that_are_more_than_one_layer_are_refused() -> None:
    class Doubled(LlamaForSequenceClassification):
        def forward(self, *args: object, **named: object) -> object:
            found = super().forward(*args, **named)
            found.logits = 2 * found.logits
            return found

    model = with_reward_head(tiny_model(), seed=0).model
    model.__class__ = Doubled
    with pytest.raises(ModelError, match="rewards of this model are more than one layer"), connect(model):
        pass


def test_a_model_of_another_build_is_refused() -> None:
    with quiet():
        model = T5ForConditionalGeneration(
            T5Config(vocab_size=8, d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8)
        )
    with pytest.raises(
        ModelError, match=r"cannot be made a reward model.*T5ForSequenceClassification with.*one layer, score"
    ):
        with_reward_head(replace(tiny_model(), model=model), seed=0)


def adapter(folder: Path) -> Path:
    bundle = with_reward_head(tiny_model(), seed=3)
    tuned = build_method(LoraMethod(kind="lora", r=2))(bundle, 0)
    tuned.save(folder)
    return folder


def test_an_adapter_without_a_head_or_a_base_is_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"does not name its base model.*--model"):
        load_reward(folder)
    assert load_reward(folder, "tiny").source.adapter
    weights = load_file(folder / "adapter_model.safetensors")
    del weights["base_model.model.score.weight"]
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"this adapter gives no rewards.*none of a score.*objective: \{kind: reward\}"
    ):
        load_reward(folder, "tiny")
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="the adapter cannot be read"):
        load_reward(folder, "tiny")


def test_whole_models_that_give_no_rewards_are_refused(tmp_path: Path) -> None:
    bundle = tiny_model()
    with quiet():
        for name in ("language", "classes"):
            bundle.tokenizer.save_pretrained(tmp_path / name)
        bundle.model.save_pretrained(tmp_path / "language")
        classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path / "language", num_labels=3)
        classifier.save_pretrained(tmp_path / "classes")
    with pytest.raises(ModelError, match=r"1 weights are missing.*score.weight.*sequence classifier with one label"):
        load_reward(tmp_path / "language")
    with pytest.raises(ModelError, match=r"gives no rewards.*LlamaForSequenceClassification with 3 labels"):
        load_reward(tmp_path / "classes")
    with pytest.raises(ModelError, match="this folder holds no adapter"):
        load_reward(tmp_path / "nothing")


def test_a_head_is_no_target_of_adapters() -> None:
    bundle = with_reward_head(tiny_model(), seed=0)
    tuned = build_method(LoraMethod(kind="lora", r=2))(bundle, 0)
    trained = [name for name in tuned.parameters if "score" in name]
    assert trained == ["score.modules_to_save.default.weight"]
    tuned.release()
    with pytest.raises(TrainingError, match=r"no linear layer of the model has this name.*score"):
        build_method(LoraMethod(kind="lora", targets=("score",)))(bundle, 0)


def test_a_saved_configuration_names_the_class_and_its_padding(tmp_path: Path) -> None:
    bundle = with_reward_head(tiny_model(), seed=0)
    with quiet():
        bundle.model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["LlamaForSequenceClassification"]
    assert config["pad_token_id"] == bundle.tokenizer.pad_token_id
    assert len(config["id2label"]) == 1
