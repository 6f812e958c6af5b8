"""The answer of a conversation after its prompt and by itself: the two texts that tell how much the prompt helps."""

from typing import NamedTuple

import numpy as np

from tutelage.errors import TemplateError
from tutelage.models.template import ChatTemplate, Encoded
from tutelage.records import Conversation

RULES = 1
"""Version of what is compared; part of the key of every reading."""


class Both(NamedTuple):
    """One answer in two places; the targets are the same tokens."""

    given: Encoded
    """After all turns before it."""
    alone: Encoded
    """After what the template writes before any answer."""


def answer_twice(template: ChatTemplate, messages: Conversation) -> Both:
    """Return the words of the last answer of a conversation after its prompt and alone, without the end token.

    Raises :class:`TemplateError` when no exact mask can be made, and where the answer has no words.
    """
    whole = template.encode(messages, last=True)
    words = np.flatnonzero(whole.targets)[:-1]  # the last one is the end token
    if not len(words):
        raise TemplateError("the answer has no words")
    end = int(words[-1]) + 1
    lead = np.asarray(template.lead, dtype=np.int32)
    targets = np.zeros(len(lead) + len(words), dtype=np.bool_)
    targets[len(lead) :] = True
    return Both(
        Encoded(whole.ids[:end], whole.targets[:end]),
        Encoded(np.concatenate([lead, whole.ids[words[0] : end]]), targets),
    )
