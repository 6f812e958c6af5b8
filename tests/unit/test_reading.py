"""What models say of rows for curation, against plain computations; kept, and not read twice."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from tutelage.errors import ModelError
from tutelage.events import Event
from tutelage.models.bundle import Bundle
from tutelage.models.embeddings import embedder_of, load_embedder, require_encoder
from tutelage.models.load import save_folder
from tutelage.models.logprobs import token_logprobs
from tutelage.models.surprise import answer_twice
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.reading import ModelReader
from tutelage.recipe import parse_recipe
from tutelage.recipe.curate.embedding import EncoderEmbedding, StartEmbedding
from tutelage.records import Example, Lineage, Message, assistant, system, user
from tutelage.records.readings import Likelihood
from tutelage.tune.training.attention import connect

START = StartEmbedding(kind="start", max_tokens=32)
LINEAGE = Lineage(paradigm="expert", source="s", author="a")
TEXTS = ["Where is the river?", "Where is the garden?", "", "Write three bullet points about the city. " * 3, "Oil"]


def row(id: str, *messages: Message) -> Example:
    return Example(id=id, messages=messages, lineage=LINEAGE)


ROWS = [
    row("short", user("Name the river."), assistant("The Thames.")),
    row("turns", user("Hello."), assistant("Hello, reader."), user("Its name?"), assistant("It is the garden.")),
    row("system", system("Be brief."), user("Write the title."), assistant("The city before the river, in two words.")),
    *(row(f"more {n}", user(f"Ask {n}?"), assistant("The passage does not say it. " * (n % 5 + 1))) for n in range(30)),
]  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> Bundle:
    return tiny_model()


def reader(bundle: Bundle, folder: Path | None = None, *, tokens: int = 512) -> tuple[ModelReader, list[Event]]:
    text = "name: r\nmodel: {id: tiny}\ntasks: [{kind: safety}]\n"
    text += f"tune: {{max_tokens: {tokens}, micro_batch_tokens: 256}}\n"
    heard: list[Event] = []
    recipe = parse_recipe(text, folder=folder or Path())
    return ModelReader(recipe, lambda: bundle, folder=folder, emit=heard.append), heard


def plain(bundle: Bundle, before: list[int], words: list[int]) -> float:
    """Mean loss of ``words`` behind ``before``, one text and all logits."""
    targets = torch.tensor([False] * len(before) + [True] * len(words))
    with torch.no_grad():
        return -float(token_logprobs(bundle.model, torch.tensor(before + words), targets).mean())


class TestLikelihoods:
    def test_they_are_those_of_a_plain_computation(self, tiny: Bundle) -> None:
        found = reader(tiny)[0].likelihoods(ROWS)
        lead = tiny.tokenizer("<s><|im_start|>assistant\n", add_special_tokens=False).input_ids
        for one, known in zip(ROWS, found, strict=True):
            assert isinstance(known, Likelihood)
            before = tiny.template.encode_prompt(one.prompt)
            words = tiny.tokenizer(one.target.text, add_special_tokens=False).input_ids
            assert known.tokens == len(words)
            given, alone = plain(tiny, before, words), plain(tiny, lead, words)
            assert known.given == pytest.approx(given, abs=1e-4)
            assert known.alone == pytest.approx(alone, abs=1e-4)
            assert known.ifd == pytest.approx(np.exp(given) / np.exp(alone), abs=1e-3)

    def test_both_texts_have_the_same_targets(self, tiny: Bundle) -> None:
        given, alone = answer_twice(tiny.template, ROWS[1].messages)
        assert given.ids[given.targets].tolist() == alone.ids[alone.targets].tolist()
        assert tiny.tokenizer.decode(given.ids[given.targets]) == "It is the garden."
        assert tiny.tokenizer.decode(alone.ids[~alone.targets]) == "<s><|im_start|>assistant\n"

    def test_nothing_is_read_twice_and_no_other_model_is_believed(self, tiny: Bundle, tmp_path: Path) -> None:
        first = reader(tiny, tmp_path)[0].likelihoods(ROWS)
        content = (tmp_path / "likelihoods.jsonl").read_bytes()
        again, heard = reader(tiny, tmp_path)
        assert again.likelihoods(ROWS[::-1]) == first[::-1]
        assert not heard
        assert (tmp_path / "likelihoods.jsonl").read_bytes() == content
        other = reader(tiny_model(seed=1), tmp_path)[0].likelihoods(ROWS)
        assert other == reader(tiny_model(seed=1))[0].likelihoods(ROWS) != first

    def test_what_was_interrupted_goes_on_to_the_same_numbers(self, tiny: Bundle, tmp_path: Path) -> None:
        first = reader(tiny, tmp_path)[0].likelihoods(ROWS)
        file = tmp_path / "likelihoods.jsonl"
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:20]) + lines[20][:30])
        again, heard = reader(tiny, tmp_path)
        assert again.likelihoods(ROWS) == first
        assert heard[-1].data["done"] == heard[-1].data["total"] < len(ROWS)

    def test_what_cannot_be_read_says_why(self, tiny: Bundle) -> None:
        rows = [*ROWS[:1], row("long", user("A"), assistant("river " * 60)), row("none", user("A"), assistant(""))]
        known, long, none = reader(tiny, tokens=64)[0].likelihoods(rows)
        assert isinstance(known, Likelihood)
        assert "at most 64 (tune.max_tokens)" in str(long)
        assert none == "the answer has no words"

    def test_rows_that_cannot_be_read_do_not_have_others_read_again(self, tiny: Bundle, tmp_path: Path) -> None:
        rows = [*ROWS[:3], row("none", user("A"), assistant(""))]
        first = reader(tiny, tmp_path)[0].likelihoods(rows)
        passes: list[object] = []
        hook = tiny.model.model.embed_tokens.register_forward_hook(lambda *call: passes.append(call))
        again = reader(tiny, tmp_path)[0]
        with connect(tiny.model):
            proof = len(passes)
        passes.clear()
        assert again.likelihoods(rows) == first
        hook.remove()
        assert len(passes) == proof


class TestStart:
    def test_it_is_the_mean_of_hidden_states_whatever_stands_beside(self, tiny: Bundle) -> None:
        embedder = embedder_of(tiny, 24)
        ids = embedder.ids(TEXTS)
        assert ids[2] == []
        assert [row[0] for row in ids if row] == [tiny.tokenizer.bos_token_id] * 4
        assert max(map(len, ids)) == 24
        there = [row for row in ids if row]
        found = embedder.embed(there)
        for row_ids, vector in zip(there, found, strict=True):
            with torch.no_grad():
                states = tiny.model(input_ids=torch.tensor([row_ids]), output_hidden_states=True).hidden_states[-1][0]
            assert vector == pytest.approx(states[1:].mean(dim=0).numpy(), abs=1e-5)

    def test_numbers_are_standard_and_kept(self, tiny: Bundle, tmp_path: Path) -> None:
        made, heard = reader(tiny, tmp_path)
        found = made.embed(TEXTS, START)
        general = made.embed(made.general, START)
        assert general.mean(axis=0) == pytest.approx(np.zeros(64), abs=1e-3)
        assert general.std(axis=0) == pytest.approx(np.ones(64), abs=1e-3)
        assert not found[2].any()
        assert heard[-1].data["done"] == heard[-1].data["total"]
        again, silence = reader(tiny, tmp_path)
        assert np.array_equal(again.embed(TEXTS[::-1], START), found[::-1])
        assert not silence

    def test_likeness_does_not_depend_on_the_other_rows(self, tiny: Bundle) -> None:
        alone = reader(tiny)[0].embed(TEXTS[:2], START)
        among = reader(tiny)[0].embed(TEXTS, START)[:2]
        assert among == pytest.approx(alone, abs=0.02)  # other batches, and float16


Maker = Callable[..., Path]


@pytest.fixture
def encoder(tmp_path: Path) -> Maker:
    """Write a BERT of random weights as sentence-transformers writes one."""

    def make(pooling: str = "mean_tokens", modules: tuple[str, ...] = ("Transformer", "Pooling", "Normalize")) -> Path:
        folder = tmp_path / "encoder"
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "where", "is", "the", "river", "garden", "query", ":", "?"]
        tokenizer = Tokenizer(models.WordLevel({name: at for at, name in enumerate(names)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
        ).save_pretrained(folder)
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=12, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=16,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
        described = [{"idx": n, "path": f"{n}_{kind}", "type": f"x.models.{kind}"} for n, kind in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(described))
        (folder / "1_Pooling").mkdir()
        said = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, f"pooling_mode_{pooling}": True}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 10}))
        return folder

    return make


class TestEncoder:
    @pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
    def test_it_is_that_of_plain_transformers(self, encoder: Maker, pooling: str, tiny: Bundle) -> None:
        folder = encoder(pooling)
        how = EncoderEmbedding(kind="encoder", path="encoder", prefix="query: ")
        texts = ["Where is the river?", "the garden", "", "the " * 30]
        made = reader(tiny, folder.parent)[0]
        made.recipe = made.recipe.model_copy(
            update={"model": made.recipe.model.model_copy(update={"dtype": "float32"})}
        )
        found = made.embed(texts, how)
        model = AutoModel.from_pretrained(folder).eval()
        for text, vector in zip(texts, found, strict=True):
            if not text:
                assert not vector.any()
                continue
            words = load_embedder(folder, max_tokens=512, dtype="float32").tokenizer("query: " + text).input_ids
            ids = words if len(words) <= 10 else [*words[:9], words[-1]]
            with torch.no_grad():
                states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
            expected = states.mean(dim=0) if pooling == "mean_tokens" else states[0]
            assert vector == pytest.approx(expected.numpy(), abs=2e-3)  # float16

    def test_what_is_no_plain_encoder_is_refused(self, encoder: Maker, tiny: Bundle, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such folder"):
            require_encoder(tmp_path / "nowhere")
        save_folder(tiny, tmp_path / "tiny")
        with pytest.raises(ModelError, match="a language model, not an encoder"):
            require_encoder(tmp_path / "tiny")
        folder = encoder("max_tokens", ("Transformer", "Pooling"))
        with pytest.raises(ModelError, match="pools in another way"):
            require_encoder(folder)
        described = [{"path": "", "type": "sentence_transformers.models.Dense"}]
        (folder / "modules.json").write_text(json.dumps(described))
        with pytest.raises(ModelError, match="more than the mean of its tokens"):
            require_encoder(folder)
        (folder / "modules.json").write_text("{")
        with pytest.raises(ModelError, match="no JSON"):
            require_encoder(folder)

    @pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
    def test_another_configuration_or_tokenizer_is_another_encoder(self, encoder: Maker, file: str) -> None:
        folder = encoder()
        before = load_embedder(folder, max_tokens=8)
        before.ids(["where is the river"])  # what a tokenizer remembers of a call is no part of it
        text = (folder / file).read_text()
        assert load_embedder(folder, max_tokens=8).identity == before.identity
        (folder / file).write_text(text.replace('"gelu"', '"relu"').replace('"garden"', '"meadow"'))
        assert load_embedder(folder, max_tokens=8).identity != before.identity


def test_a_start_is_known_by_configuration_tokenizer_and_lead() -> None:
    bundle = tiny_model(seed=3)
    first = embedder_of(bundle, 24)
    first.ids(TEXTS)
    assert embedder_of(bundle, 24).identity == first.identity
    bundle.model.config.rms_norm_eps = 0.5
    changed = embedder_of(bundle, 24).identity
    assert changed != first.identity
    bundle.tokenizer.bos_token = bundle.tokenizer.eos_token
    assert embedder_of(bundle, 24).identity != changed
