"""Conversations and answers as the chat completions protocol writes them."""

import json
from typing import cast

from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel, Field

from tutelage.errors import CompletionError
from tutelage.models.reasoning import split_unknown
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


class _Message(BaseModel):
    content: str | None = None
    # vLLM, llama.cpp and DeepSeek give reasoning in a field of its own, under one of two names.
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_completion(request: Request, body: str) -> Answer:
    """Return the answer in the JSON ``body``; raises ``ValueError`` when it holds none.

    Reasoning is taken out, whether it comes in a field of its own or between markers at the start of the text, of which
    the server's template may have written the first (:func:`tutelage.models.reasoning.split_unknown`).
    """
    completion = _Completion.model_validate_json(body)
    choice = completion.choices[0]
    if choice.finish_reason not in ("stop", "length"):
        raise ValueError(f"it ended with {choice.finish_reason}")
    inline, text = split_unknown(choice.message.content or "")
    usage = completion.usage or _Usage()
    return Answer(
        request_id=request.id,
        text=text,
        finish="length" if choice.finish_reason == "length" else "stop",
        reasoning=choice.message.reasoning_content or choice.message.reasoning or inline,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        seed=request.seed,
    )
