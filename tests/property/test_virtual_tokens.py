"""Answers and likelihoods behind virtual tokens are those of PEFT."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from tests.support.soft_peer import COUNT, KINDS, METHODS, bundle_of, documents, losses_of, peft_from, peft_of

from tutelage.completers.conversion import converted_folder
from tutelage.completers.decoding import Decoder, Row
from tutelage.completers.local import LocalCompleter
from tutelage.errors import MissingExtra, ModelError, TrainingError
from tutelage.models.adapters import adapt, add_adapter
from tutelage.models.bundle import Bundle
from tutelage.models.hardware import cast_weights
from tutelage.models.load import load_bundle, load_tuned, save_folder
from tutelage.models.logprobs import token_logprobs
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import TuneSection
from tutelage.records import Request, Sampling, user
from tutelage.tune import train

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning"),  # PEFT on its own generate
]
TOKENS = st.integers(4, 299)
PROMPTS = st.lists(
    st.tuples(st.lists(TOKENS, min_size=1, max_size=12).map(tuple), st.integers(1, 8)), min_size=1, max_size=5
)
CASES = [(kind, name) for kind in KINDS for name in ("prompt", "prefix")]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """An adapter of PEFT of each method for each kind of model."""
    found = {}
    for kind, name in [*CASES, ("tiny", "prefix of a projection")]:
        found[kind, name] = tmp_path_factory.mktemp("adapter")
        with quiet():
            peft_of(bundle_of(kind).model, METHODS[name], seed=5).save_pretrained(str(found[kind, name]))
    return found


def with_adapter(kind: str, folder: Path) -> Bundle:
    bundle = bundle_of(kind)
    bundle.virtual = adapt(bundle.model, folder, merge=True).virtual
    assert bundle.virtual is not None
    assert bundle.virtual.count == COUNT
    return bundle


def generate(peft: PeftModel, prompt: tuple[int, ...], count: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = peft.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_greedy_answers_are_those_of_peft(kind: str, name: str, adapters: dict[tuple[str, str], Path]) -> None:
    bundle = with_adapter(kind, adapters[kind, name])
    peft = peft_from(bundle_of(kind).model, adapters[kind, name])

    @given(PROMPTS, st.integers(1, 4), st.lists(TOKENS, max_size=6).map(tuple))
    @settings(max_examples=6, deadline=None)
    def check(asked: list[tuple[tuple[int, ...], int]], slots: int, shared: tuple[int, ...]) -> None:
        rows = [Row(at, shared + prompt, Sampling(max_tokens=n), seed=0) for at, (prompt, n) in enumerate(asked)]
        decoder = Decoder(bundle.model, rows, slots=slots, end_ids=(), logprobs=True, virtual=bundle.virtual)
        for row in decoder.finished():
            assert row.tokens == generate(peft, row.prompt, row.sampling.max_tokens)
            ids = torch.tensor([*row.prompt, *row.tokens])
            targets = torch.arange(len(ids)) >= len(row.prompt)
            with torch.no_grad():
                expected = token_logprobs(bundle.model, ids, targets, virtual=bundle.virtual)
            torch.testing.assert_close(torch.tensor(row.logprobs), expected, rtol=1e-4, atol=1e-4)

    check()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_likelihoods_are_those_of_peft(kind: str, name: str, adapters: dict[tuple[str, str], Path]) -> None:
    bundle = with_adapter(kind, adapters[kind, name])
    peft = peft_from(bundle_of(kind).model, adapters[kind, name])
    for row in documents((9, 30)):
        ids, targets = torch.from_numpy(row.ids).long(), torch.from_numpy(row.targets)
        with torch.no_grad():
            found = token_logprobs(bundle.model, ids, targets, virtual=bundle.virtual)
            torch.testing.assert_close(found, -losses_of(peft, row), rtol=1e-5, atol=1e-5)
            without = token_logprobs(bundle.model, ids, targets)
        assert (found - without).abs().max() > 1e-2


@pytest.mark.parametrize("name", METHODS)
def test_a_bundle_takes_the_adapter_and_answers_with_it(name: str, adapters: dict[tuple[str, str], Path]) -> None:
    folder = adapters["tiny", name]
    for merge in (False, True):
        bundle = load_tuned("tiny", folder, merge=merge)
        assert bundle.virtual is not None
        assert not bundle.source.merged
        assert " + adapter " in bundle.source.identity
    asked = [Request(id=text, messages=(user(text),), sampling=Sampling(max_tokens=9)) for text in "ab"]
    with LocalCompleter(bundle) as completer:
        answers = {answer.request_id: answer for answer in completer.complete(asked)}
        assert completer.engine.model == bundle.source.identity
    peft = peft_from(tiny_model().model, folder)
    for request in asked:
        tokens = generate(peft, tuple(bundle.template.encode_prompt(request.messages)), 9)
        end = next((at for at, token in enumerate(tokens) if token in bundle.template.end_ids), 9)
        assert answers[request.id].text == bundle.tokenizer.decode(tokens[:end], skip_special_tokens=False)


def test_the_context_has_room_for_the_virtual_tokens(adapters: dict[tuple[str, str], Path]) -> None:
    bundle = load_bundle("tiny", adapter=adapters["tiny", "prompt"])
    bundle.model.config.max_position_embeddings = 40
    prompt = bundle.template.encode_prompt((user("a"),))
    request = Request(id="a", messages=(user("a"),), sampling=Sampling(max_tokens=99))
    (answer,) = LocalCompleter(bundle).complete([request])
    assert answer.completion_tokens is not None
    assert answer.completion_tokens <= 40 - COUNT - len(prompt)
    bundle.model.config.max_position_embeddings = len(prompt) + COUNT
    (refused,) = LocalCompleter(bundle).complete([request])
    assert refused.finish == "error"


def test_bfloat16_decodes_what_it_reads(adapters: dict[tuple[str, str], Path]) -> None:
    for name in ("prompt", "prefix"):
        bundle = load_bundle("tiny", dtype="bfloat16", device="cpu", adapter=adapters["tiny", name])
        assert bundle.virtual is not None
        assert {states.dtype for layer in bundle.virtual.layers for states in layer} == {torch.bfloat16}
        LocalCompleter(bundle)  # compares its decoder with the plain pass


def test_what_cannot_take_virtual_tokens_refuses_them_by_name(
    tmp_path: Path, adapters: dict[tuple[str, str], Path]
) -> None:
    folder = adapters["tiny", "prefix"]
    bundle = load_bundle("tiny", adapter=folder, merge=True)
    with pytest.raises((ModelError, MissingExtra), match=r"CTranslate2"):
        converted_folder(bundle, cache=tmp_path)
    with pytest.raises(ModelError, match=r"holds no adapter.*Keep the adapter's own folder$"):
        save_folder(bundle, tmp_path / "out")
    with pytest.raises(ModelError, match="stands before every text"):
        add_adapter(tiny_model().model, folder, merge=True)
    with pytest.raises(TrainingError, match="stand before the texts of the model already"):
        list(train(bundle, documents((9,)), TuneSection(), folder=tmp_path, seed=0))


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_an_adapter_of_another_model_is_refused(tmp_path: Path, name: str) -> None:
    for other in (tiny_model(hidden=32), tiny_model(layers=1)):
        folder = tmp_path / str(other.model.config.hidden_size)
        with quiet():
            peft_of(other.model, METHODS[name], seed=5).save_pretrained(str(folder))
        if name == "prompt" and other.model.config.hidden_size == 64:
            continue  # embeddings know nothing of layers
        with pytest.raises(ModelError, match="does not fit the base model"):
            load_bundle("tiny", adapter=folder)


def test_rounding_is_not_asked_of_what_is_not_merged(adapters: dict[tuple[str, str], Path]) -> None:
    bundle = tiny_model()
    cast_weights(bundle.model, torch.bfloat16)
    found = adapt(bundle.model, adapters["tiny", "prompt"], merge=True)
    assert found.rounded is None
    assert found.model.dtype == torch.bfloat16
