"""Tokens that a chat template needs and a tokenizer lacks: made part of it, each with a row of its own to be trained.

A new row begins as the mean of the rows of the pieces that spelled the token before, in the embeddings and in an output
layer of its own. So its logit is the mean of the pieces' logits and its probability at most the geometric mean of
theirs: of k different pieces never more than 1/k, and no text becomes much less probable by it. Hewitt 2021
("Initializing New Word Embeddings for Pretrained Language Models") shows the like for the mean of all rows, of which
the spelling is told apart here so that two new tokens are not one. Nothing is drawn.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tutelage.errors import ModelError, TemplateError
from tutelage.files import read_text
from tutelage.models.chatml import put_template
from tutelage.models.quiet import quiet
from tutelage.models.rendering import Renderer
from tutelage.records import assistant, user

ADAPTER_CONFIG, TOKENIZER, CHAT = "adapter_config.json", "tokenizer.json", "chat_template.jinja"
WHERE = "model.new_tokens"


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that a tokenizer got: its text, its id, and the ids of the pieces that it was spelled with before."""

    text: str
    id: int
    pieces: tuple[int, ...]


def add_tokens(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[str]) -> tuple[NewToken, ...]:
    """Make ``tokens`` special tokens of ``tokenizer``, in this order.

    Raises :class:`TemplateError` where one of them is a token already.
    """
    known = tokenizer.get_vocab()
    if already := [token for token in tokens if token in known]:
        raise TemplateError(
            "the tokenizer has this token already" if len(already) == 1 else "the tokenizer has these tokens already",
            where=WHERE,
            received=", ".join(already),
            remedy="leave it out: it has a row that was trained with the model",
        )
    spelled = [tuple(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in tokens]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in tokens], special_tokens=True)
    ids, unknown = tokenizer.get_vocab(), tokenizer.unk_token_id
    return tuple(
        NewToken(token, ids[token], tuple(piece for piece in pieces if piece != unknown))
        for token, pieces in zip(tokens, spelled, strict=True)
    )


def grow(model: PreTrainedModel, new: Sequence[NewToken]) -> None:
    """Give ``model`` a row for every new token; logits of tokens that were there stay what they were.

    Rows that the model has beyond its tokenizer (padding) are used first. Tied weights stay one weight. The global
    random state stays.
    """
    if not new:
        return
    needed = max(token.id for token in new) + 1
    if needed > num_rows(model):
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), quiet():  # what it draws is written over
            model.resize_token_embeddings(needed, mean_resizing=False)
    for weight in _by_token(model):
        for token in new:
            pieces = list(token.pieces) or list(range(new[0].id))
            with torch.no_grad():
                weight[token.id] = weight[pieces].float().mean(0).to(weight.dtype)


def num_rows(model: PreTrainedModel) -> int:
    """Return how many tokens the model has embeddings for; those of its tokenizer may be fewer."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return len(weight)


def _by_token(model: PreTrainedModel) -> list[Tensor]:
    """The weights that have a row, or a number, for each token; tied ones once."""
    layers: list[nn.Module | None] = [model.get_input_embeddings(), model.get_output_embeddings()]  # type: ignore[no-untyped-call]
    found = {id(weight): weight for layer in layers if layer is not None for weight in layer.parameters()}
    return list(found.values())


def trained_ids(named: list[int] | dict[str, list[int]] | None) -> tuple[int, ...]:
    """Return the ids of the tokens whose rows an adapter has trained, ascending, of its ``trainable_token_indices``."""
    lists: Iterable[list[int]] = named.values() if isinstance(named, dict) else [named or []]
    return tuple(sorted({index for one in lists for index in one}))


def tokens_of_adapter(folder: Path) -> dict[str, int]:
    """Return the added tokens whose rows the adapter in ``folder`` has trained, by id; none of most adapters.

    Their names are in the tokenizer beside it. Raises :class:`ModelError` where that cannot be read.
    """
    try:
        ids = trained_ids(json.loads(read_text(folder / ADAPTER_CONFIG)).get("trainable_token_indices"))
        if not ids or not (folder / TOKENIZER).is_file():
            return {}
        added = {
            int(one["id"]): str(one["content"]) for one in json.loads(read_text(folder / TOKENIZER))["added_tokens"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError("the adapter cannot be read", where=str(folder), received=str(error)) from error
    return {added[index]: index for index in ids if index in added}


def template_of_adapter(folder: Path) -> Path | None:
    """Return the chat template beside an adapter that has trained rows of added tokens; None: there is none."""
    file = folder / CHAT
    return file if file.is_file() and tokens_of_adapter(folder) else None


def prepare_tokenizer(
    tokenizer: PreTrainedTokenizerFast, template: Path | None, asked: Sequence[str], adapter: Path | None
) -> tuple[NewToken, ...]:
    """Give ``tokenizer`` the new tokens and the chat template that are ``asked`` for; return the tokens.

    An ``adapter`` that has trained rows brings what is not asked for: its tokens, and the template beside it.

    Raises
    ------
    TemplateError: a token is there already, or the template never writes it. ModelError: the adapter was trained with
        other tokens.
    """
    trained = {} if adapter is None else tokens_of_adapter(adapter)
    if adapter is not None and asked and list(trained) != list(asked):
        raise ModelError(
            "the adapter was not trained with these new tokens",
            where=str(adapter),
            received=f"{', '.join(trained) or 'none'}; {WHERE} has {', '.join(asked)}",
            remedy="take the recipe that it was trained with",
        )
    known = tokenizer.get_vocab()
    tokens = tuple(asked) or tuple(token for token in trained if token not in known)
    new = add_tokens(tokenizer, tokens)
    if moved := [token for token, index in trained.items() if tokenizer.convert_tokens_to_ids(token) != index]:
        raise ModelError(
            "the adapter has trained rows of tokens that have other ids here",
            where=str(adapter),
            received=", ".join(f"{token}: {trained[token]}" for token in moved),
            remedy="load it on the model it was trained on (adapter_config.json names it)",
        )
    if template is None and adapter is not None:
        template = template_of_adapter(adapter)
    if template is not None:
        put_template(tokenizer, template)
    _require_written(tokenizer, tokens)
    return new


def _require_written(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[str]) -> None:
    """Refuse a token that the chat template does not write, as text or in a conversation: nothing would train it."""
    if not tokens or not tokenizer.chat_template:  # that there is none is said elsewhere
        return
    source, text = str(tokenizer.chat_template), Renderer(tokenizer).render((user("a"), assistant("b")), False)
    if idle := [token for token in tokens if token not in source and token not in text]:
        raise TemplateError(
            "the chat template never writes a new token",
            where=WHERE,
            received=", ".join(idle),
            remedy="write it as the template does, or leave it out",
        )
