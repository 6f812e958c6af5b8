"""The bytes that each token of a tokenizer stands for inside a text, and which token stands for some bytes."""

import json
import re
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """``of`` by id; ``ids`` by bytes, ``special`` ids by the bytes of the name of a special token."""

    of: dict[int, bytes]
    ids: dict[bytes, int]
    special: dict[bytes, int]

    def id_of(self, written: bytes) -> int | None:
        """Return the token that stands for ``written``, None where none does."""
        return self.ids.get(written, self.special.get(written))


def token_bytes_of(tokenizer: PreTrainedTokenizerFast) -> TokenBytes | None:
    """Return the bytes of all tokens; None where a token does not stand for the same ones everywhere, as in WordPiece.

    Byte-level vocabularies (GPT-2, Llama 3, Qwen) and those with marks for spaces and single bytes (SentencePiece:
    Llama 2, Gemma) are known, by their decoders.
    """
    decoder = tokenizer.backend_tokenizer.decoder
    kinds = {} if decoder is None else _kinds(json.loads(decoder.__getstate__()))
    byte_level = "ByteLevel" in kinds
    if not byte_level and not kinds.keys() & {"Metaspace", "Replace"}:
        return None
    alphabet = _alphabet()
    added = {token: str(content) for token, content in tokenizer.added_tokens_decoder.items()}
    found = TokenBytes({}, {}, {content.encode(): token for token, content in added.items()})
    pieces: dict[bytes, int] = {}
    for text, token in tokenizer.get_vocab().items():
        if token in added:
            found.of[token] = added[token].encode()
        elif byte_level:
            known = all(letter in alphabet for letter in text)
            found.of[token] = bytes(alphabet[letter] for letter in text) if known else text.encode()
            found.ids[found.of[token]] = token
        elif "ByteFallback" in kinds and (match := _BYTE.fullmatch(text)):
            found.of[token] = bytes([int(match[1], 16)])
            pieces[found.of[token]] = token
        else:
            found.of[token] = text.replace(_SPACE, " ").encode()
            found.ids[found.of[token]] = token
    for written, token in pieces.items():  # a letter that has a token is never written as a byte
        found.ids.setdefault(written, token)
    return found


def _kinds(decoder: dict[str, object]) -> dict[str, dict[str, object]]:
    """The parts of a decoder by their type."""
    inside = decoder.get("decoders")
    parts = inside if isinstance(inside, list) else [decoder]
    return {str(part["type"]): part for part in parts}


def _alphabet() -> dict[str, int]:
    """The letters that stand for bytes in byte-level vocabularies (GPT-2, Radford et al. 2019)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
