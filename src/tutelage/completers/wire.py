"""Conversations and answers as the chat completions protocol writes them."""

import json
from typing import cast

from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tutelage.errors import CompletionError
from tutelage.records import Answer, Conversation, Message, Request, TextPart


def write_messages(messages: Conversation) -> list[ChatCompletionMessageParam]:
    """Return the messages in the protocol's form; raises :class:`CompletionError` for images and audio."""
    return [_write(message) for message in messages]


def _write(message: Message) -> ChatCompletionMessageParam:
    if not all(isinstance(part, TextPart) for part in message.content):
        raise CompletionError("this endpoint is asked in text alone; the conversation holds an image or a recording")
    written: dict[str, object] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        written["tool_calls"] = [
            {
                "id": call.id or f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for number, call in enumerate(message.tool_calls)
        ]
    if message.role == "tool":
        written["tool_call_id"] = message.tool_call_id
    return cast(ChatCompletionMessageParam, written)


def read_completion(request: Request, completion: ChatCompletion) -> Answer:
    """Return the answer in ``completion``; raises ``ValueError`` when it holds none.

    Reasoning comes in a field of its own (vLLM, llama.cpp, DeepSeek: ``reasoning_content``, ``reasoning``) or as a
    ``<think>`` block at the start of the text; either way it is taken out.
    """
    if not completion.choices:
        raise ValueError("no choices in it")
    choice = completion.choices[0]
    fields = choice.message.model_extra or {}
    separate = fields.get("reasoning_content") or fields.get("reasoning") or ""
    inline, text = _split(choice.message.content or "")
    if choice.finish_reason not in ("stop", "length"):
        raise ValueError(f"it ended with {choice.finish_reason}")
    usage = completion.usage
    return Answer(
        request_id=request.id,
        text=text,
        finish="length" if choice.finish_reason == "length" else "stop",
        reasoning=separate if isinstance(separate, str) and separate else inline,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        seed=request.seed,
    )


def _split(text: str) -> tuple[str, str]:
    body = text.lstrip()
    if not body.startswith("<think>"):
        return "", text
    reasoning, closed, answer = body.removeprefix("<think>").partition("</think>")
    return reasoning.strip("\n"), answer.lstrip("\n") if closed else ""
