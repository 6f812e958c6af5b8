"""Examples: conversations that end in an answer to be learned."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from tutelage.records.base import content_id
from tutelage.records.examples import Example
from tutelage.records.importers.reading import convert_rows, labels_of, plain, unknown_form
from tutelage.records.importers.turns import (
    Raw,
    RowFault,
    Values,
    alpaca_question,
    check_turns,
    message_of,
    required_text,
    sharegpt_turn,
    turns_of,
    with_system,
)
from tutelage.records.lineage import Lineage
from tutelage.records.messages import Conversation
from tutelage.records.shards import whole_values

LABELS = ("task", "dimension", "level", "facet", "group")


def import_examples(
    path: Path | str, *, author: str, task: str = "", dimension: str = "", source: str = "examples"
) -> list[Example]:
    """Return what :func:`iter_examples` yields."""
    return list(iter_examples(path, author=author, task=task, dimension=dimension, source=source))


def iter_examples(
    path: Path | str, *, author: str, task: str = "", dimension: str = "", source: str = "examples"
) -> Iterator[Example]:
    """Yield the rows of a file (``records.tables.iter_rows``) as examples of the expert paradigm.

    Parameters
    ----------
    author: who wrote the answers; goes into the lineage of every example.
    task, dimension: for rows that name none.
    source: the method inside the paradigm, for the lineage.

    Raises
    ------
    DataError: at the end, with every fault of the file, each by file, line and key.
    StorageError: the file cannot be read.
    """
    lineage = Lineage(paradigm="expert", source=source, author=author)
    labels = {"task": task, "dimension": dimension}
    return convert_rows(path, lambda values: example_of(values, lineage, labels), Example)


def form_of(values: Values) -> str | None:
    """Return the name of the form that a row has, or None."""
    keys = {key for key, value in values.items() if value is not None}
    if {"messages", "lineage"} <= keys:
        return "example"
    if "messages" in keys:
        return "messages"
    if "conversations" in keys:
        return "sharegpt"
    if {"instruction", "output"} <= keys:
        return "alpaca"
    if "prompt" in keys and keys & {"completion", "response"}:
        return "prompt"
    return None


def conversation_of(values: Values) -> Conversation:
    """Return the turns of a row in any form but ``example``. Raises :class:`RowFault`."""
    form = form_of(values)
    if form is None:
        raise unknown_form(values, "messages, conversations, instruction + output, prompt + completion or response")
    turns, key = FORMS[form](values)
    messages = tuple(message_of(turn, f"{key}.{place}") for place, turn in enumerate(with_system(turns, values)))
    check_turns(messages, key)
    return messages


def example_of(values: Values, lineage: Lineage, labels: Mapping[str, str]) -> Example:
    """Return the example of a row; ``labels`` are for rows that name none. Raises :class:`RowFault`."""
    if form_of(values) == "example":
        example = Example.model_validate(_of_shard(values) if isinstance(values["lineage"], str) else values)
        check_turns(example.messages, "messages")
        return example
    messages = conversation_of(values)
    return Example.model_validate(
        {
            "id": content_id("example", lineage.author, plain(messages)),
            "messages": messages,
            "lineage": lineage,
            **labels,
            **labels_of(values, LABELS),
        }
    )


def _of_shard(values: Values) -> Mapping[str, JsonValue]:
    try:
        return whole_values(values)
    except ValueError as error:
        key, _, what = str(error).partition(": ")
        raise RowFault(key, what, values[key], "write the data set again") from None


def _chat(values: Values) -> tuple[list[Raw], str]:
    return turns_of(values, "messages"), "messages"


def _sharegpt(values: Values) -> tuple[list[Raw], str]:
    key = "conversations"
    return [sharegpt_turn(turn, f"{key}.{place}") for place, turn in enumerate(turns_of(values, key))], key


def _alpaca(values: Values) -> tuple[list[Raw], str]:
    return [alpaca_question(values), {"role": "assistant", "content": required_text(values, "output")}], "turns"


def _prompt(values: Values) -> tuple[list[Raw], str]:
    answer = "completion" if values.get("completion") is not None else "response"
    turns: list[Raw] = []
    for key, role in (("prompt", "user"), (answer, "assistant")):
        if isinstance(values[key], list):
            turns += turns_of(values, key)
        else:
            turns.append({"role": role, "content": required_text(values, key)})
    return turns, "turns"


FORMS: dict[str, Callable[[Values], tuple[list[Raw], str]]] = {
    "messages": _chat,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt": _prompt,
}
