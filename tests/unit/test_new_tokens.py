"""New tokens: what the larger model says, and every refusal by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import PhiConfig, PhiForCausalLM, PreTrainedTokenizerFast

from support.new_tokens import NEW, base_folder, chats, grown
from tutelage.errors import ModelError, RecipeError, TemplateError, TrainingError
from tutelage.models.load import Bundle, load_bundle, load_template, load_tuned
from tutelage.models.new_tokens import add_tokens, grow, num_rows, prepare_tokenizer
from tutelage.models.quiet import quiet
from tutelage.models.template_file import CHATML
from tutelage.models.tiny import tiny_model
from tutelage.recipe import parse_recipe
from tutelage.recipe.methods import FullMethod, Ia3Method, LastMethod, LoraMethod, Method, QloraMethod
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import TuneSection
from tutelage.tune import train
from tutelage.tune.estimate import trained_weights
from tutelage.tune.methods import build_method

TURN = "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
TURN += "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
OTHERS: dict[str, Method] = {
    "ia3": Ia3Method(kind="ia3"),
    "last": LastMethod(kind="last", layers=1),
    "prefix": PrefixMethod(kind="prefix", tokens=2),
    "prompt": PromptMethod(kind="prompt", tokens=2),
    "qlora": QloraMethod(kind="qlora"),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    for tied in (True, False):
        for padding in (0, 1, 9):
            base_folder(folder / f"{tied}-{padding}", tied=tied, padding=padding)
    return folder


@pytest.mark.parametrize("padding", [0, 1, 9])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_of_what_was_there_stay_and_new_ones_are_means(bases: Path, tied: bool, padding: int) -> None:
    folder = bases / f"{tied}-{padding}"
    plain = PreTrainedTokenizerFast.from_pretrained(folder)
    known = len(plain)
    with quiet():
        small = type(tiny_model().model).from_pretrained(folder, dtype=torch.float32).train(False)
    ids = (torch.arange(40) * 7919 % known)[None]
    state = torch.get_rng_state()
    bundle = grown(folder)
    assert torch.equal(torch.get_rng_state(), state), "the global random state stays"
    assert bundle.new_tokens == (known, known + 1)
    assert num_rows(bundle.model) == bundle.model.config.vocab_size == max(known + 2, known + padding)
    with torch.no_grad():
        old, new = small(input_ids=ids).logits[0], bundle.model(input_ids=ids).logits[0]
    torch.testing.assert_close(new[:, :known], old[:, :known], rtol=0, atol=0)
    for index, token in zip(bundle.new_tokens, NEW, strict=True):
        pieces = plain(token, add_special_tokens=False)["input_ids"]
        assert len(pieces) > 3
        torch.testing.assert_close(new[:, index], old[:, pieces].mean(1), rtol=0, atol=1e-4)
        assert (new.softmax(-1)[:, index] <= old.softmax(-1)[:, pieces].mean(1) + 1e-6).all()
    inside, outside = bundle.model.get_input_embeddings().weight, bundle.model.get_output_embeddings().weight
    assert (inside is outside) == tied
    again = grown(folder)
    for a, b in zip(bundle.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_cannot_be_spelled_begins_as_the_mean_of_all() -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    (new,) = add_tokens(tokenizer, ["§"])
    assert new.pieces == ()
    assert new.id == 3
    model = tiny_model().model
    with torch.no_grad():
        expected = model.get_input_embeddings().weight[:3].mean(0)
    grow(model, [new])
    torch.testing.assert_close(model.get_input_embeddings().weight[3], expected)


def test_an_output_layer_with_a_bias_grows_and_is_left_to_full_tuning(tmp_path: Path) -> None:
    bundle = tiny_model()
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = PhiConfig(
            vocab_size=len(bundle.tokenizer),
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
        )
        bundle.model = PhiForCausalLM(config).train(False)
    head = bundle.model.get_output_embeddings()
    with torch.no_grad():
        head.bias.copy_(torch.arange(len(bundle.tokenizer)))
    (tmp_path / "turn.jinja").write_text(TURN)
    (new,) = prepare_tokenizer(bundle.tokenizer, tmp_path / "turn.jinja", ["<|turn|>"], None)
    grow(bundle.model, [new])
    bundle.new_tokens = (new.id,)
    grew = bundle.model.get_output_embeddings().bias
    assert grew[new.id].item() == pytest.approx(sum(new.pieces) / len(new.pieces))
    with pytest.raises(TrainingError, match=r"PhiForCausalLM: .*beside an adapter of this model .*bias.*full"):
        build_method(LoraMethod(kind="lora"))(bundle, 0)
    build_method(FullMethod(kind="full"))(bundle, 0)


@pytest.mark.parametrize("name", OTHERS)
def test_a_method_that_would_not_train_them_is_refused_before_anything_is_written(
    bases: Path, tmp_path: Path, name: str
) -> None:
    recipe = "name: a\nmodel: {id: tiny, new_tokens: [<|turn|>]}\ntasks: [{kind: safety}]\n"
    recipe += f"tune: {{method: {{kind: {name}}}}}\n"
    with pytest.raises(RecipeError, match=rf"model\.new_tokens: {name} does not train them; take lora, dora or full"):
        parse_recipe(recipe)
    bundle = grown(bases / "True-0")
    section = TuneSection(method=OTHERS[name])
    with pytest.raises(TrainingError, match=rf"model\.new_tokens: .*does not train the rows of new tokens .*{name}"):
        next(train(bundle, chats(bundle, 2), section, folder=tmp_path / "out", seed=0))
    with pytest.raises(TrainingError, match="new tokens"):
        build_method(OTHERS[name])(bundle, 0)
    assert not (tmp_path / "out").exists()


def test_an_output_layer_gets_no_second_adapter(bases: Path) -> None:
    method = LoraMethod(kind="lora", targets=("q_proj", "lm_head"))
    with pytest.raises(TrainingError, match=r"an adapter of its output layer lm_head \(method\.targets"):
        build_method(method)(grown(bases / "False-0"), 0)


def test_embeddings_that_are_tied_against_the_configuration_are_refused(bases: Path) -> None:
    bundle = grown(bases / "False-0")
    bundle.model.config.tie_word_embeddings = True
    with pytest.raises(TrainingError, match="not tied against its configuration"):
        build_method(LoraMethod(kind="lora"))(bundle, 0)


def test_tokens_that_are_there_or_never_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "turn.jinja").write_text(TURN)
    template = tmp_path / "turn.jinja"
    with pytest.raises(TemplateError, match=r"model\.new_tokens: .*has this token already .*<\|im_end\|>"):
        load_template("tiny", template=template, new_tokens=["<|turn|>", "<|im_end|>"])
    with pytest.raises(TemplateError, match=r"never writes a new token .*<\|trun\|>"):
        load_bundle("tiny", template=template, new_tokens=["<|trun|>"])
    made = load_template("tiny", template=template, new_tokens=["<|turn|>"])
    assert made.digest != load_template("tiny", template=template).digest
    # put together by the template, as Phi does it
    (tmp_path / "joined.jinja").write_text(TURN.replace("<|turn|>", "{{ '<|' + 'turn' + '|>' }}"))
    load_template("tiny", template=tmp_path / "joined.jinja", new_tokens=["<|turn|>"])


@pytest.mark.parametrize(
    ("tokens", "said"),
    [('[""]', "without blanks around it"), ('["<|a|> "]', "without blanks around it"), ("[a, a]", "more than once")],
)
def test_a_recipe_names_tokens(tokens: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_recipe(f"name: a\nmodel: {{id: tiny, new_tokens: {tokens}}}\ntasks: [{{kind: safety}}]\n")


@pytest.fixture(scope="module")
def adapter(bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that has trained the tokens."""
    folder = tmp_path_factory.mktemp("adapter")
    bundle = grown(bases / "True-0")
    tuned = build_method(LoraMethod(kind="lora", r=2))(bundle, 0)
    for row in tuned.parameters.values():
        nn.init.normal_(row, 0, 0.1, generator=torch.Generator().manual_seed(0))
    tuned.save(folder)
    tuned.release()
    return folder


def test_an_adapter_brings_its_tokens_and_its_template(bases: Path, adapter: Path) -> None:
    alone = load_tuned(str(bases / "True-0"), adapter, dtype="float32")
    told = load_bundle(str(bases / "True-0"), adapter=adapter, template=CHATML, new_tokens=NEW, dtype="float32")
    assert alone.new_tokens == told.new_tokens
    assert alone.template.digest == told.template.digest
    assert alone.source.identity == told.source.identity
    assert "tokens <|im_start|> <|im_end|> + adapter" in alone.source.identity
    for a, b in zip(alone.model.parameters(), told.model.parameters(), strict=True):
        assert torch.equal(a, b)


def changed(adapter: Path, folder: Path, file: str, before: str, after: str) -> Path:
    shutil.copytree(adapter, folder)
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after))
    return folder


def test_an_adapter_of_other_tokens_or_another_base_is_refused(bases: Path, adapter: Path, tmp_path: Path) -> None:
    base = str(bases / "True-0")
    with pytest.raises(
        ModelError, match=r"not trained with these new tokens .*<\|im_start\|>, <\|im_end\|>; .* has <\|im_end\|>"
    ):
        load_bundle(base, adapter=adapter, template=CHATML, new_tokens=NEW[::-1])
    with pytest.raises(ModelError, match=r"other ids here .*<\|im_start\|>: \d+"):
        load_bundle("tiny", adapter=adapter)
    first = json.loads((adapter / "adapter_config.json").read_text())["trainable_token_indices"][0]
    moved = changed(adapter, tmp_path / "moved", "tokenizer.json", f'"id": {first}', '"id": 999')
    with pytest.raises(ModelError, match=r"does not fit the base model.* a trained row of token|other ids here"):
        load_bundle(base, adapter=moved, template=CHATML)
    bare = tmp_path / "bare"
    shutil.copytree(adapter, bare)
    (bare / "tokenizer.json").unlink()
    (tmp_path / "own.jinja").write_text(TURN.replace("<|im_end|>", "</s>"))
    with pytest.raises(ModelError, match=r"does not fit the base model .*a trained row of token"):
        load_bundle(base, adapter=bare, template=tmp_path / "own.jinja")
    torn = changed(adapter, tmp_path / "torn", "tokenizer.json", '"added_tokens"', '"tokens_added"')
    with pytest.raises(ModelError, match="the adapter cannot be read"):
        load_bundle(base, adapter=torn)


@pytest.mark.parametrize("tied", [True, False])
def test_the_estimate_counts_their_rows(bases: Path, tied: bool) -> None:
    bundle = grown(bases / f"{tied}-0")
    section = TuneSection(method=LoraMethod(kind="lora", r=4))
    expected = trained_weights(bundle, section)
    tuned = build_method(section.method)(bundle, 0)
    assert expected == sum(parameter.numel() for parameter in tuned.parameters.values())


def test_without_new_tokens_nothing_is_beside_an_adapter(tmp_path: Path) -> None:
    bundle: Bundle = tiny_model()
    assert bundle.new_tokens == ()
    assert load_bundle("tiny").source.identity == bundle.source.identity
    tuned = build_method(LoraMethod(kind="lora"))(bundle, 0)
    tuned.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert json.loads((tmp_path / "adapter_config.json").read_text())["trainable_token_indices"] is None
