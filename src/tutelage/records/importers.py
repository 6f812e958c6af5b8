"""People's own data in the forms of the field, as examples.

| form | keys of a row |
|---|---|
| ``messages`` | ``messages``: turns of ``role`` and ``content`` (OpenAI chat; parts and tool calls too) |
| ``sharegpt`` | ``conversations``: turns of ``from`` and ``value`` |
| ``alpaca`` | ``instruction``, optional ``input``, ``output`` |
| ``prompt`` | ``prompt`` and ``completion`` or ``response``, as text or as messages |
| ``example`` | an :class:`Example` as this library writes it |

Every row may also have ``system``, ``task``, ``dimension``, ``level``, ``facet`` and ``group``; other columns are not
read. The form is told by the keys, row by row.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue, ValidationError

from tutelage.errors import Problem
from tutelage.records.base import content_id
from tutelage.records.examples import Example
from tutelage.records.jsonl import problems_of
from tutelage.records.lineage import Lineage
from tutelage.records.messages import Message
from tutelage.records.tables import Faults, Row, read_rows, shown

Values = Mapping[str, JsonValue]
Raw = dict[str, JsonValue]

LABELS = ("task", "dimension", "level", "facet", "group")
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


class RowFault(Exception):
    """One fault of a row at a key; whoever reads the file knows the line."""

    def __init__(self, key: str, what: str, received: object = None, remedy: str = "") -> None:
        super().__init__(what)
        self.key, self.what, self.received, self.remedy = key, what, received, remedy


def import_examples(
    path: Path | str, *, author: str, task: str = "", dimension: str = "", source: str = "examples"
) -> list[Example]:
    """Return the rows of a file (``records.tables.read_rows``) as examples of the expert paradigm.

    Parameters
    ----------
    author: who wrote the answers; goes into the lineage of every example.
    task, dimension: for rows that name none.
    source: the method inside the paradigm, for the lineage.

    Raises
    ------
    DataError: with every fault of the file, each by file, line and key.
    StorageError: the file cannot be read.
    """
    path = Path(path)
    faults = Faults(path)
    lineage = Lineage(paradigm="expert", source=source, author=author)
    examples = []
    for row in read_rows(path):
        where = f"{path}:{row.line}"
        try:
            examples.append(_example(row, lineage, {"task": task, "dimension": dimension}))
        except RowFault as fault:
            received = "" if fault.received is None else shown(fault.received)
            faults.add(Problem(fault.what, f"{where}: {fault.key}" if fault.key else where, received, fault.remedy))
        except ValidationError as error:
            for problem in problems_of(error, Example, where):
                faults.add(problem)
    faults.raise_if_any()
    return examples


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


def parse_turns(values: Values, key: str) -> tuple[Message, ...]:
    """Return the turns of ``role`` and ``content`` in one column as messages. Raises :class:`RowFault`."""
    return tuple(_message(turn, f"{key}.{position}") for position, turn in enumerate(_turns(values, key)))


def _example(row: Row, lineage: Lineage, labels: Mapping[str, str]) -> Example:
    values = row.values
    form = form_of(values)
    if form == "example":
        example = Example.model_validate(values)
        _check_turns(example.messages, "messages")
        return example
    if form is None:
        raise RowFault(
            "",
            "the keys fit no known form",
            sorted(values),
            "use messages, conversations, instruction + output, prompt + completion or prompt + response",
        )
    turns, key = FORMS[form](values)
    if system := _text(values, "system"):
        if turns and turns[0].get("role") == "system":
            raise RowFault("system", "the conversation has a system turn of its own", remedy="keep one of the two")
        turns.insert(0, {"role": "system", "content": system})
    messages = tuple(_message(turn, f"{key}.{position}") for position, turn in enumerate(turns))
    _check_turns(messages, key)
    given = {name: _text(values, name) for name in LABELS}
    identity: list[JsonValue] = [message.model_dump(mode="json", exclude_defaults=True) for message in messages]
    return Example.model_validate(
        {
            "id": content_id("example", lineage.author, identity),
            "messages": messages,
            "lineage": lineage,
            **labels,
            **{name: text for name, text in given.items() if text},
        }
    )


def _chat(values: Values) -> tuple[list[Raw], str]:
    return _turns(values, "messages"), "messages"


def _sharegpt(values: Values) -> tuple[list[Raw], str]:
    turns: list[Raw] = []
    for position, turn in enumerate(_turns(values, "conversations")):
        key = f"conversations.{position}"
        if "from" not in turn and "role" in turn:
            turns.append(turn)
            continue
        for name in ("from", "value"):
            if not isinstance(turn.get(name), str):
                raise RowFault(f"{key}.{name}", "expected a text", turn.get(name), "a turn has from and value")
        turns.append({"role": turn["from"], "content": turn["value"]})
    return turns, "conversations"


def _alpaca(values: Values) -> tuple[list[Raw], str]:
    instruction, given = _required(values, "instruction"), _text(values, "input")
    question = f"{instruction}\n\n{given}" if given.strip() else instruction
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": _required(values, "output")},
    ], "turns"


def _prompt(values: Values) -> tuple[list[Raw], str]:
    answer = "completion" if values.get("completion") is not None else "response"
    turns: list[Raw] = []
    for key, role in (("prompt", "user"), (answer, "assistant")):
        if isinstance(values[key], list):
            turns += _turns(values, key)
        else:
            turns.append({"role": role, "content": _required(values, key)})
    return turns, "turns"


FORMS: dict[str, Callable[[Values], tuple[list[Raw], str]]] = {
    "messages": _chat,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt": _prompt,
}


def _turns(values: Values, key: str) -> list[Raw]:
    turns = values[key]
    if isinstance(turns, str):  # a list in a CSV cell
        try:
            turns = json.loads(turns)
        except ValueError as error:
            raise RowFault(key, f"expected a list of turns as JSON: {error}", turns) from error
    if not isinstance(turns, list) or not turns:
        raise RowFault(key, "expected a list of turns", turns)
    found = []
    for position, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise RowFault(f"{key}.{position}", "expected a turn", turn, 'a turn is {"role": ..., "content": ...}')
        found.append(turn)
    return found


def _message(turn: Raw, key: str) -> Message:
    role = turn.get("role")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise RowFault(f"{key}.role", "expected system, user, assistant or tool", role)
    made: Raw = {"role": ROLES[role.lower()], "content": _content(turn.get("content"), f"{key}.content")}
    reasoning = turn.get("reasoning") or turn.get("reasoning_content")
    if reasoning:
        made["reasoning"] = reasoning
    if turn.get("tool_call_id"):
        made["tool_call_id"] = turn["tool_call_id"]
    calls = turn.get("tool_calls") or []
    if not isinstance(calls, list):
        raise RowFault(f"{key}.tool_calls", "expected a list of calls", calls)
    made["tool_calls"] = [_tool_call(call, f"{key}.tool_calls.{place}") for place, call in enumerate(calls)]
    try:
        return Message.model_validate(made)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join([key, *map(str, first["loc"])])
        raise RowFault(at, first["msg"].replace("Input should be", "expected"), first["input"]) from error


def _content(content: JsonValue, key: str) -> JsonValue:
    if content is None:
        return []
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowFault(key, "expected a text or a list of parts", content)
    parts: list[JsonValue] = []
    for position, part in enumerate(content):
        at = f"{key}.{position}"
        if isinstance(part, str):
            parts.append({"kind": "text", "text": part})
        elif isinstance(part, dict) and "kind" in part:
            parts.append(part)
        elif isinstance(part, dict) and part.get("type") == "text":
            parts.append({"kind": "text", "text": part.get("text")})
        elif isinstance(part, dict) and part.get("type") == "image_url":
            url = part.get("image_url")
            parts.append({"kind": "image", "uri": url.get("url") if isinstance(url, dict) else url})
        else:
            raise RowFault(at, "expected a part of type text or image_url", part)
    return parts


def _tool_call(call: JsonValue, key: str) -> JsonValue:
    if not isinstance(call, dict):
        raise RowFault(key, "expected a call", call)
    function = call.get("function")
    if not isinstance(function, dict):
        return call
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise RowFault(f"{key}.function.arguments", f"expected JSON: {error}", arguments) from error
    return {"name": function.get("name"), "arguments": arguments, "id": call.get("id") or ""}


def _check_turns(messages: tuple[Message, ...], key: str) -> None:
    last = messages[-1]
    if last.role != "assistant":
        raise RowFault(f"{key}.{len(messages) - 1}.role", "the last turn must be the assistant's", last.role)
    if not last.text.strip() and not last.tool_calls:
        raise RowFault(
            f"{key}.{len(messages) - 1}.content", "the answer is empty", last.text, "write it or remove the row"
        )
    if not any(message.role == "user" for message in messages):
        raise RowFault(key, "no turn of a user")


def _text(values: Values, key: str) -> str:
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowFault(key, "expected a text", value)
    return value


def _required(values: Values, key: str) -> str:
    text = _text(values, key)
    if not text.strip():
        raise RowFault(key, "expected a text that is not empty", text, "write it or remove the row")
    return text
