"""What an endpoint said against the student's tokens: bytes of tokens, places that fit, and why others do not."""

import math

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from support.speaking import spoken
from tutelage.completers.endpoints.logprobs import read_choices
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.models.token_bytes import TokenBytes, token_bytes_of
from tutelage.records import Conversation, TokenChoices, assistant, user
from tutelage.tune.rows import Told
from tutelage.tune.told import Untold, tell

TALK: Conversation = (user("Where is it?"), assistant("In the garden, naïve “€” one."))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_model()


@pytest.fixture(scope="module")
def tokens(bundle: Bundle) -> TokenBytes:
    found = token_bytes_of(bundle.tokenizer)
    assert found is not None
    return found


def choices(bundle: Bundle, talk: Conversation = TALK, count: int = 4, *, end: bool = True) -> list[TokenChoices]:
    said = read_choices({"content": spoken(bundle, talk[:-1], talk[-1].text, count, end=end)})
    assert said is not None
    return list(said)


def told(bundle: Bundle, tokens: TokenBytes, said: list[TokenChoices], talk: Conversation = TALK, **more: int) -> Told:
    return tell(bundle.template.encode(talk), said, tokens, end=bundle.template.end_ids[0], **more)


def test_bytes_of_a_byte_level_vocabulary(bundle: Bundle, tokens: TokenBytes) -> None:
    for text in ("In the garden, naïve “€” one.", "\n\t漢字 <|im_end|>", "a\\x41\x00"):
        ids = bundle.tokenizer.encode(text, add_special_tokens=False)
        assert b"".join(tokens.of[token] for token in ids) == text.encode()
    assert all(tokens.id_of(tokens.of[token]) == token for token in bundle.tokenizer.get_vocab().values())
    assert tokens.of.keys() == set(bundle.tokenizer.get_vocab().values())


def test_bytes_of_a_vocabulary_with_marks_for_spaces() -> None:
    pieces = ["<unk>", "▁the", "▁", "e", "<0xE2>", "<0x82>", "<0xAC>", "<0x65>"]
    backend = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, [], byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    found = token_bytes_of(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"))
    assert found is not None
    assert [found.of[at] for at in range(1, 7)] == [b" the", b" ", b"e", b"\xe2", b"\x82", b"\xac"]
    assert found.id_of(b"e") == 3, "a letter that has a token is never written as a byte"
    assert found.id_of(b"\xac") == 6
    assert found.id_of(b"q") is None
    assert found.id_of(b"<unk>") == 0


def test_a_vocabulary_whose_pieces_stand_for_no_bytes() -> None:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    assert token_bytes_of(PreTrainedTokenizerFast(tokenizer_object=backend)) is None


def test_every_place_has_what_was_said_of_it(bundle: Bundle, tokens: TokenBytes) -> None:
    said = choices(bundle)
    found = told(bundle, tokens, said)
    document = bundle.template.encode(TALK)
    assert isinstance(found, Encoded)
    assert np.array_equal(found.ids, document.ids)
    assert np.array_equal(found.targets, document.targets)
    assert found.likely.shape == (document.targets.sum(), 5), "four, and the one that was written"
    written = document.ids[document.targets]
    for place, token in enumerate(written):
        (at,) = np.flatnonzero((found.likely[place] == token) & (found.logprobs[place] > -np.inf))
        assert found.logprobs[place, at] == pytest.approx(said[place].logprob)
        assert list(found.logprobs[place]) == sorted(found.logprobs[place], reverse=True)
    assert told(bundle, tokens, said, top_k=2).likely.shape == (len(written), 2)


def test_the_end_token_is_certain_where_it_is_not_said(bundle: Bundle, tokens: TokenBytes) -> None:
    found, whole = told(bundle, tokens, choices(bundle, end=False)), told(bundle, tokens, choices(bundle))
    assert np.array_equal(found.likely[:-1], whole.likely[:-1])
    assert found.likely[-1, 0] == bundle.template.end_ids[0]
    assert found.logprobs[-1].tolist() == [0.0] + [-np.inf] * 4
    nameless = [*choices(bundle)[:-1], TokenChoices(token="", logprob=-1.5, top=(("", -1.5), ("a", -2.0)))]
    last = told(bundle, tokens, nameless)
    assert last.likely[-1, :2].tolist() == [bundle.template.end_ids[0], tokens.id_of(b"a")]
    assert last.logprobs[-1, :2].tolist() == [-1.5, -2.0]


def test_turns_before_the_last_are_learned_as_they_are_written(bundle: Bundle, tokens: TokenBytes) -> None:
    talk = (user("Hi"), assistant("the name"), *TALK)
    found = told(bundle, tokens, choices(bundle, talk), talk)
    first = len(bundle.tokenizer.encode("the name", add_special_tokens=False)) + 1
    assert (found.logprobs[:first, 0] == 0).all()
    assert (found.logprobs[:first, 1:] == -np.inf).all()
    assert np.array_equal(found.likely[:first, 0], found.ids[found.targets][:first])
    assert (found.logprobs[first:, 1] > -np.inf).all()


def test_what_is_no_text_by_itself_is_left_to_all_others(bundle: Bundle, tokens: TokenBytes) -> None:
    said = choices(bundle)
    said[0] = said[0].model_copy(update={"top": (("\ufffd", -0.1), ("", -3.0), *said[0].top)})
    found, plain = told(bundle, tokens, said), told(bundle, tokens, choices(bundle))
    assert np.array_equal(found.likely, plain.likely)
    assert np.array_equal(found.logprobs, plain.logprobs)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda said: [said[0].model_copy(update={"token": "X"}), *said[1:]], r"not the student's: token 1 is b'X'"),
        (lambda said: said[:-2], r"not the student's: \d+ tokens of the answer, \d+ of the row"),
        (lambda said: [*said, said[0]], r"not the student's: \d+ tokens of the answer, \d+ of the row"),
        (lambda said: [], r"not the student's: 0 tokens of the answer"),
        (
            lambda said: [said[0].model_copy(update={"top": (("gardenersq", -9.0),)}), *said[1:]],
            "no token of the student: b'gardenersq'",
        ),
        (
            lambda said: [said[0].model_copy(update={"top": (("a", -0.1), ("e", -0.1))}), *said[1:]],
            "add up to more than 1: 1.8",
        ),
    ],
)
def test_what_does_not_fit_is_named(bundle: Bundle, tokens: TokenBytes, change: object, reason: str) -> None:
    assert callable(change)
    with pytest.raises(Untold, match=reason):
        told(bundle, tokens, change(choices(bundle)))


def test_other_words_of_the_same_length_do_not_fit(bundle: Bundle, tokens: TokenBytes) -> None:
    other = (TALK[0], assistant("It is not stated there at all."))
    with pytest.raises(Untold, match=r"not the student.s: token \d+ is"):
        told(bundle, tokens, choices(bundle, other))
    assert math.isfinite(told(bundle, tokens, choices(bundle, other), other).logprobs.max())
