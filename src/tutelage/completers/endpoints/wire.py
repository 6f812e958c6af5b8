"""Conversations and answers as the chat completions protocol writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError

from tutelage.completers.endpoints.logprobs import read_choices
from tutelage.completers.endpoints.media import Media
from tutelage.models.reasoning import split_unknown
from tutelage.records import Answer, Conversation, FinishReason, Message, Request, TextPart

# How an answer may end; some versions of TGI name the token.
_ENDS: dict[str, FinishReason] = {"stop": "stop", "eos_token": "stop", "stop_sequence": "stop", "length": "length"}

Wish = Literal["schema", "logprobs"]
"""A field that not every server takes, without which a request can be asked too."""
# By what a refusal names the field, and with which status.
_REFUSED: dict[Wish, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "schema": (("response format", "json schema", "structured output"), (400, 422)),
    "logprobs": (("logprobs", "log probs", "log probabilities"), (400, 403, 422, 501)),
}


class NoAnswer(ValueError):
    """What came is no answer. ``passing``: asked again it may be one. Tokens as it says them; None: it does not."""

    def __init__(
        self, what: str, *, passing: bool, prompt_tokens: int | None = None, completion_tokens: int | None = None
    ) -> None:
        super().__init__(what)
        self.passing, self.prompt_tokens, self.completion_tokens = passing, prompt_tokens, completion_tokens


Written = Mapping[Media, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Manner:
    """What is special to one server: fields of each request where it does not set them itself, and whether an answer
    without a word is one, as it is where the model, and no filter or fault, said nothing."""

    always: Mapping[str, JsonValue] = field(default_factory=dict)
    may_be_empty: bool = False


_ANY = Manner()


def wishes_of(request: Request) -> frozenset[Wish]:
    """Return what ``request`` holds that a server may refuse without refusing to answer."""
    held: dict[Wish, object] = {"schema": request.answer_schema, "logprobs": request.top_logprobs}
    return frozenset(wish for wish, value in held.items() if value is not None)


def write_body(
    model: str,
    request: Request,
    written: Written | None = None,
    *,
    without: frozenset[Wish] = frozenset(),
    manner: Manner = _ANY,
) -> bytes:
    """Return the body that asks ``request``; ``written`` holds its images and recordings as they are sent.

    ``top_k`` and ``repetition_penalty`` are sent only where set, as fields that vLLM, TGI and llama.cpp read; so are
    the schema of the answer and the wish for log-probabilities, but for those in ``without``: in the form of OpenAI,
    which vLLM and llama.cpp take too, and of schemas Ollama.
    """
    sampling = request.sampling
    body: dict[str, object] = {
        **manner.always,
        "model": model,
        "messages": [_write(message, written or {}) for message in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed,
    }
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    if sampling.repetition_penalty != 1:
        body["repetition_penalty"] = sampling.repetition_penalty
    if "logprobs" not in without and request.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if "schema" not in without and (wanted := request.answer_schema) is not None:
        of = {"name": wanted.name, "strict": wanted.strict, "schema": wanted.json_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": of}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def refused_wish(status: int, complaint: "Complaint", sent: frozenset[Wish]) -> Wish | None:
    """Return the one of what was ``sent`` that a refusal speaks of: the server does not know the field or cannot read
    it, or the model has none of it."""
    said = f"{complaint.message} {complaint.code} {complaint.type}".lower().replace("_", " ")
    for wish in sorted(sent):
        names, statuses = _REFUSED[wish]
        if status in statuses and any(name in said for name in names):
            return wish
    return None


def most_prompt_tokens(messages: Conversation) -> int:
    """Return more tokens than the text of a prompt has, without its tokenizer: one a byte, and each message's marks.

    Byte-level vocabularies never need more. A server that adds a text of its own to every prompt may.
    """
    written = sum(
        len(message.text.encode()) + sum(len(call.to_json()) for call in message.tool_calls) + 16
        for message in messages
    )
    return written + 32


def _write(message: Message, media: Written) -> dict[str, object]:
    """A message of text alone has a text for its content: not every server takes a list."""
    content: object = message.text
    if not all(isinstance(part, TextPart) for part in message.content):
        content = [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else media[part]
            for part in message.content
        ]
    written: dict[str, object] = {"role": message.role, "content": content}
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
    return written


class _Message(BaseModel):
    content: str | None = None
    # vLLM, llama.cpp and DeepSeek give reasoning in a field of its own, under one of two names.
    reasoning_content: str | None = None
    reasoning: str | None = None
    # OpenAI says here, and not in the content, that the model will not answer in the form that was asked for.
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    # Servers write many things here; what cannot be read is no reason to throw the answer away.
    logprobs: JsonValue = None


class _Usage(BaseModel):
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_completion(request: Request, body: bytes, *, manner: Manner = _ANY) -> Answer:
    """Return the answer in the JSON ``body``; raises :class:`NoAnswer` when it holds none.

    Reasoning is taken out, whether it comes in a field of its own or between markers at the start of the text, of which
    the server's template may have written the first (:func:`tutelage.models.reasoning.split_unknown`). An answer
    without a word and without reasoning is none, unless ``manner`` says otherwise.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as fault:
        raise NoAnswer(_unreadable(fault, body), passing=True) from fault
    choice, usage = completion.choices[0], completion.usage or _Usage()
    tokens = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    finish = _ENDS.get(choice.finish_reason or "")
    if finish is None:
        raise NoAnswer(f"it ended with {choice.finish_reason}", passing=choice.finish_reason == "error", **tokens)
    inline, text = split_unknown(choice.message.content or "")
    reasoning = choice.message.reasoning_content or choice.message.reasoning or inline
    if not text.strip() and choice.message.refusal:
        raise NoAnswer(f"the model refuses: {choice.message.refusal}", passing=False, **tokens)
    if not text.strip() and not reasoning.strip() and not manner.may_be_empty:
        if finish == "length":
            raise NoAnswer("it is empty: max_tokens went to what is not shown", passing=False, **tokens)
        raise NoAnswer("it is empty", passing=True, **tokens)
    return Answer(
        request_id=request.id,
        text=text,
        finish=finish,
        reasoning=reasoning,
        choices=None if request.top_logprobs is None else read_choices(choice.logprobs),
        seed=request.seed,
        **tokens,
    )


def _unreadable(fault: ValidationError, body: bytes) -> str:
    first = fault.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    begins = body[:60].decode(errors="replace").strip()
    return f"{f'{key}: ' if key else ''}{first['msg']}; it begins {begins!r}" if body else "nothing came"


class Complaint(BaseModel):
    """What an endpoint says instead of an answer: words, a code (a status or a name), a type."""

    message: str = ""
    code: int | str | None = None
    type: str | None = None

    @property
    def status(self) -> int | None:
        """The status that the code is, if it is one."""
        said = str(self.code)
        return int(said) if said.isdigit() and len(said) == 3 else None

    def says(self, *names: str) -> bool:
        """Whether code or type holds one of ``names``."""
        return any(name in f"{self.code} {self.type}".lower() for name in names)


class _Refusal(BaseModel):
    error: Complaint | str


def read_complaint(body: bytes) -> Complaint | None:
    """Return the error object in the JSON ``body``, None where it holds none."""
    try:
        found = _Refusal.model_validate_json(body).error
    except ValidationError:
        return None
    return Complaint(message=found) if isinstance(found, str) else found
