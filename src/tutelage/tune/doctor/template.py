"""The chat template and its loss mask: what is learned is what the assistant writes, with its end, and nothing else.

The mask is made from the text (:mod:`tutelage.models.spans`). Here it is read back from the tokens: each stretch of
learned tokens is decoded, and must hold one answer, end with the end token, and hold nothing of any other turn.
"""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tutelage.errors import TemplateError
from tutelage.models.bundle import Bundle
from tutelage.records import Conversation
from tutelage.tune.doctor.chats import chats, mark_of
from tutelage.tune.doctor.check import Check, judged, not_applicable, refused

END, MASK, BEGINNING = "end token", "loss mask", "beginning of text"
_ONE_END = "one special token"
_EXACT = "exact"
_ONE_BEGINNING = "at most 1"


def no_template(error: TemplateError) -> Check:
    """Return the check of a tokenizer of which no chat template could be made."""
    return refused(END, error, tolerance=_ONE_END, remedy="give another chat template")


def check_end(bundle: Bundle) -> Check:
    """Say which token ends an answer; a bundle that has none cannot be loaded (:func:`no_template`)."""
    template, tokenizer = bundle.template, bundle.tokenizer
    measured = f"{template.end_token!r} (id {template.end_ids[0]}) ends an answer"
    if len(template.end_ids) > 1:
        measured += f"; so does {tokenizer.eos_token!r} when the model answers"
    return judged(END, True, measured, tolerance=_ONE_END, remedy="")


def check_mask(bundle: Bundle) -> Check:
    """Read the loss masks of all chats back from their tokens."""
    faults: list[str] = []
    turns = learned = total = 0
    for chat in chats():
        try:
            encoded = bundle.template.encode(chat)
        except TemplateError as error:
            if _beginnings(bundle, chat) > 1:
                return not_applicable(MASK, "no text with two beginnings is learned from")
            return refused(MASK, error, tolerance=_EXACT)
        stretches = [_decoded(bundle, part) for part in _stretches(encoded.ids, encoded.targets)]
        faults += _faults(chat, stretches, bundle.template.end_token)
        turns += len(stretches)
        learned += int(encoded.targets.sum())
        total += len(encoded)
    measured = f"{len(chats())} chats, {turns} answers, {learned} of {total} tokens learned"
    return judged(
        MASK,
        not faults,
        f"{measured}; {faults[0]}" if faults else measured,
        tolerance=_EXACT,
        remedy="give a template that writes each turn by itself and closes it with its end token (model.template)",
        figures={"faults": len(faults), "answers": turns, "learned_tokens": learned, "tokens": total},
    )


def check_beginning(bundle: Bundle) -> Check:
    """Count the beginning-of-text tokens that texts begin with."""
    if bundle.tokenizer.bos_token_id is None:
        return not_applicable(BEGINNING, "the tokenizer has no such token")
    most = max(_beginnings(bundle, chat) for chat in chats())
    first = bundle.template.render(chats()[0])
    added = _leading(bundle, bundle.tokenizer(first)["input_ids"])
    measured = f"{most} {bundle.tokenizer.bos_token!r}" if most else f"no {bundle.tokenizer.bos_token!r}"
    if most <= 1 < added:
        measured += f"; {added} for programs that let the tokenizer add its own"
    return judged(
        BEGINNING,
        most <= 1,
        measured,
        tolerance=_ONE_BEGINNING,
        remedy="remove one from the template (model.template)",
        figures={"beginnings": most},
    )


def _beginnings(bundle: Bundle, chat: Conversation) -> int:
    return _leading(bundle, bundle.tokenizer(bundle.template.render(chat), add_special_tokens=False)["input_ids"])


def _leading(bundle: Bundle, ids: list[int]) -> int:
    count = 0
    while count < len(ids) and ids[count] == bundle.tokenizer.bos_token_id:
        count += 1
    return count


def _stretches(ids: NDArray[np.int32], targets: NDArray[np.bool_]) -> list[list[int]]:
    pairs = groupby(zip(ids.tolist(), targets.tolist(), strict=True), key=lambda pair: pair[1])
    return [[token for token, _ in part] for is_target, part in pairs if is_target]


def _decoded(bundle: Bundle, ids: list[int]) -> str:
    text = bundle.tokenizer.decode(ids, skip_special_tokens=False)
    assert isinstance(text, str)
    return text


def _faults(chat: Conversation, stretches: list[str], end_token: str) -> list[str]:
    answers = [(place, message) for place, message in enumerate(chat) if message.role == "assistant"]
    if len(stretches) != len(answers):
        return [f"{len(stretches)} stretches of tokens are learned of {len(answers)} answers"]
    found = []
    for stretch, (own, message) in zip(stretches, answers, strict=True):
        if message.text not in stretch:
            found.append(f"{message.text!r} is not learned whole: {stretch!r}")
        if stretch.count(end_token) > 1:
            found.append(f"more than one turn is learned as an answer: {stretch!r}")
        elif not stretch.endswith(end_token):
            found.append(f"what is learned does not end with {end_token!r}: {stretch!r}")
        found += [
            f"a turn of the {chat[at].role} is learned"
            for at in range(len(chat))
            if at != own and mark_of(at) in stretch
        ]
    return found
