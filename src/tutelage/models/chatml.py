"""A chat template put in place of a tokenizer's own; ChatML only where the model knows its tokens."""

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.files import read_text
from tutelage.models.template_file import CHATML

TOKENS = START, END = ("<|im_start|>", "<|im_end|>")


def put_template(tokenizer: PreTrainedTokenizerFast, file: Path) -> None:
    """Let ``tokenizer`` write chats by the template in ``file``.

    ChatML begins with the beginning of text where the tokenizer by itself puts one before every text: the model never
    saw a text without it. Raises :class:`TemplateError` where ChatML's tokens are not in the vocabulary as one token
    each: written in pieces they would be no ends.
    """
    source = read_text(file)
    if file == CHATML:
        pieces = {token: _ids(tokenizer, token) for token in TOKENS}
        if torn := {token: len(ids) for token, ids in pieces.items() if len(ids) != 1 or ids[0] in _unknown(tokenizer)}:
            end = tokenizer.eos_token
            raise TemplateError(
                f"ChatML needs tokens that this tokenizer does not have: {' and '.join(torn)}",
                where=str(tokenizer.name_or_path),
                received=", ".join(f"{token} in {count} pieces" for token, count in torn.items()),
                remedy=f"add them, to be trained: model.new_tokens: {list(torn)}; or give a template in a file whose "
                f"turns end with a token that this one has{f', such as {end}' if end else ''} (model.template)",
            )
        bos = tokenizer.bos_token_id
        if bos is not None and bos != pieces[START][0] and tokenizer("a")["input_ids"][0] == bos:
            source = "{{ bos_token }}" + source
    tokenizer.chat_template = source


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _unknown(tokenizer: PreTrainedTokenizerFast) -> tuple[int | None]:
    return (tokenizer.unk_token_id,)
