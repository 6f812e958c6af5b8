"""Questions: the rows of people's files without their answers."""

from pathlib import Path

from tutelage.records.base import content_id
from tutelage.records.examples import Example
from tutelage.records.importers.examples import FORMS, LABELS, form_of
from tutelage.records.importers.reading import convert_rows, labels_of, plain, unknown_form
from tutelage.records.importers.turns import (
    Raw,
    RowFault,
    Values,
    alpaca_question,
    message_of,
    turns_or_text,
    with_system,
)
from tutelage.records.messages import Conversation
from tutelage.records.prompts import Prompt


def import_prompts(path: Path | str) -> list[Prompt]:
    """Return what the rows of a file ask, each question once: rows of any form of examples, without what they answer
    last, or ``prompt`` (a text or turns) or ``instruction`` alone.

    Raises
    ------
    DataError: with every fault of the file, each by file, line and key. StorageError: the file cannot be read.
    """
    found: dict[str, Prompt] = {}
    for prompt in convert_rows(path, prompt_of, Prompt):
        found.setdefault(prompt.id, prompt)
    return list(found.values())


def prompt_of(values: Values) -> Prompt:
    """Return what a row asks. Raises :class:`RowFault`."""
    messages, key = _messages(values)
    if messages and messages[-1].role == "assistant":
        messages = messages[:-1]
    if not messages or messages[-1].role != "user" or not messages[-1].text.strip():
        remedy = "end the conversation with what the user asks, or with the answer to it"
        raise RowFault(key, "expected a question: a turn of the user that is not empty", remedy=remedy)
    return Prompt.model_validate(
        {"id": content_id("prompt", plain(messages)), "messages": messages, **labels_of(values, LABELS)}
    )


def _messages(values: Values) -> tuple[Conversation, str]:
    """All turns of a row, and the key of the column that has them."""
    form = form_of(values)
    turns: list[Raw]
    if form == "example":
        return Example.model_validate(values).messages, "messages"
    if form is not None:
        turns, key = FORMS[form](values)
    elif values.get("prompt") is not None:
        turns, key = turns_or_text(values, "prompt", "user"), "prompt"
    elif values.get("instruction") is not None:
        turns, key = [alpaca_question(values)], "instruction"
    else:
        raise unknown_form(values, "prompt, instruction, messages or conversations, with an answer or without")
    turns = with_system(turns, values)
    return tuple(message_of(turn, f"{key}.{place}") for place, turn in enumerate(turns)), key
