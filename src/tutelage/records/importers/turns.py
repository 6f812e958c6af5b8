"""Turns in people's files (OpenAI chat and ShareGPT, with parts and tool calls; Alpaca's question) as messages."""

import json
import re
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from tutelage.records.messages import Conversation, Message

Values = Mapping[str, JsonValue]
Raw = dict[str, JsonValue]

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


PYTHON_TURNS = re.compile(r"\s*\[?\s*\{\s*'(role|content|from|value)'\s*:")


class RowFault(Exception):
    """One fault of a row at a key; whoever reads the file knows the line."""

    def __init__(self, key: str, what: str, received: object = None, remedy: str = "") -> None:
        super().__init__(what)
        self.key, self.what, self.received, self.remedy = key, what, received, remedy


def parse_turns(values: Values, key: str) -> tuple[Message, ...]:
    """Return the turns of ``role`` and ``content`` in one column as messages. Raises :class:`RowFault`."""
    return tuple(message_of(turn, f"{key}.{position}") for position, turn in enumerate(turns_of(values, key)))


def sharegpt_turn(turn: Raw, key: str) -> Raw:
    """Return a turn of ``from`` and ``value`` as one of ``role`` and ``content``, which it may be already."""
    if "from" not in turn and "role" in turn:
        return turn
    for name in ("from", "value"):
        if not isinstance(turn.get(name), str):
            raise RowFault(f"{key}.{name}", "expected a text", turn.get(name), "a turn has from and value")
    return {"role": turn["from"], "content": turn["value"]}


def with_system(turns: list[Raw], values: Values) -> list[Raw]:
    """Return ``turns`` behind the text of the row's ``system`` column, if it has one."""
    text = text_of(values, "system")
    if not text:
        return turns
    if turns and turns[0].get("role") == "system":
        raise RowFault("system", "the conversation has a system turn of its own", remedy="keep one of the two")
    return [{"role": "system", "content": text}, *turns]


def alpaca_question(values: Values) -> Raw:
    """Return ``instruction`` and ``input`` as one turn of the user."""
    instruction, given = required_text(values, "instruction"), text_of(values, "input")
    return {"role": "user", "content": f"{instruction}\n\n{given}" if given.strip() else instruction}


def turns_in(text: str, key: str) -> list[Raw] | None:
    """Return the turns that a cell of a table holds as JSON; None: it is a text.

    Raises :class:`RowFault` for what Python, not JSON, writes of turns.
    """
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        if PYTHON_TURNS.match(text):
            raise RowFault(
                key, "expected turns as JSON", text, "write them with json.dumps, in double quotes"
            ) from None
        return None
    turns = found if isinstance(found, list) else [found]
    roles = [turn.get("role", turn.get("from")) if isinstance(turn, dict) else None for turn in turns]
    return turns if roles and all(isinstance(role, str) and role.lower() in ROLES for role in roles) else None


def turns_or_text(values: Values, key: str, role: str) -> list[Raw]:
    """Return a column's turns: a list or one of them, the same as JSON in a cell, or a text that ``role`` says."""
    value = values[key]
    if isinstance(value, dict):
        return [sharegpt_turn(value, key)]
    found = turns_of(values, key) if isinstance(value, list) else None
    if isinstance(value, str):
        found = turns_in(value, key)
    if found is None:
        return [{"role": role, "content": required_text(values, key)}]
    return [sharegpt_turn(turn, f"{key}.{place}") for place, turn in enumerate(found)]


def turns_of(values: Values, key: str) -> list[Raw]:
    """Return a column's list of turns, which may be JSON in a cell."""
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


def message_of(turn: Raw, key: str) -> Message:
    """Return a turn of ``role`` and ``content`` as a message; ``key`` is its place in the row."""
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


def check_turns(messages: Conversation, key: str) -> None:
    """Refuse a conversation without a user, or one that does not end in an answer."""
    check_answer(messages[-1], f"{key}.{len(messages) - 1}")
    if not any(message.role == "user" for message in messages):
        raise RowFault(key, "no turn of a user")


def check_answer(message: Message, key: str) -> None:
    """Refuse what is no answer of the assistant."""
    if message.role != "assistant":
        raise RowFault(f"{key}.role", "the last turn must be the assistant's", message.role)
    if not message.text.strip() and not message.tool_calls:
        raise RowFault(f"{key}.content", "the answer is empty", message.text, "write it or remove the row")


def text_of(values: Values, key: str) -> str:
    """Return the text of a column; "" where there is none."""
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowFault(key, "expected a text", value)
    return value


def required_text(values: Values, key: str) -> str:
    """Return the text of a column, which must have words."""
    text = text_of(values, key)
    if not text.strip():
        raise RowFault(key, "expected a text that is not empty", text, "write it or remove the row")
    return text
