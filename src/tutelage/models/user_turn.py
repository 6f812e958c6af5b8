"""Where a user's words stand in a rendered conversation, so that a model can be asked to write them itself.

Magpie (Xu et al. 2024) gives an aligned model its own chat template up to there, and nothing else.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.models.rendering import Renderer
from tutelage.records import Conversation, user

_WORDS = "What Zq7words"


def user_frame(renderer: Renderer, messages: Conversation) -> tuple[str, str]:
    """Return the text of ``messages`` up to the words of a user who speaks next, and what stands between these words
    and an assistant's.

    Raises :class:`TemplateError` where the template writes the system turn into the user's, or does not write the
    user's words as they are, once.
    """
    if renderer.folds_system and any(message.role == "system" for message in messages):
        raise TemplateError(
            "the chat template has no system turn, and a user cannot begin to write after one",
            remedy="leave the system turn out",
        )
    text = renderer.render((*messages, user(_WORDS)), add_generation_prompt=True)
    if text.count(_WORDS) != 1:
        raise TemplateError(
            "the chat template does not write a user's words once",
            received=f"{text.count(_WORDS)} times",
            remedy="give another one (model.template)",
        )
    before, _, after = text.partition(_WORDS)
    return before, after


def ids_before(tokenizer: PreTrainedTokenizerFast, before: str) -> list[int]:
    """Return the ids of ``before`` as they are where words follow: without a space at its end, which often is one token
    with the first word, and without what else is."""
    most = len(before.rstrip(" "))
    encoded = tokenizer(
        before + _WORDS,
        add_special_tokens=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
        verbose=False,
    )
    found: list[int] = []
    for token, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        if end > most:
            break
        found.append(int(token))
    return found


def find_user_end(after: str, tokens: Sequence[str]) -> str:
    """Return by what a user's words end, where ``after`` stands between them and an assistant's: the one of ``tokens``
    with which it begins, else its first line, behind the white space that stands before it: a mark that is only text
    may stand in the middle of a line as a user's own word. After a space, as it is one token with a word, nothing
    else is known and it is left out."""
    rest = after.strip()
    special = max((token for token in tokens if token.strip() and rest.startswith(token)), key=len, default="")
    if special or not rest:
        return special
    gap = after[: len(after) - len(after.lstrip())]
    return (gap if "\n" in gap else "") + rest.partition("\n")[0].rstrip()
