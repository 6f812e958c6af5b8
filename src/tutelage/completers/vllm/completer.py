"""Answers from a vLLM server, whose prompts are token for token those of the local engine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from pydantic import JsonValue

from tutelage.completers.endpoints.exchange import Exchange
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.wire import Manner
from tutelage.completers.preparation import Prompt, failed, prepare
from tutelage.completers.vllm.api import VllmApi
from tutelage.errors import CompletionError
from tutelage.records import Answer, AnswerSchema, Conversation, Engine, Request, assistant, system, user

CONVERSATIONS: tuple[Conversation, ...] = (
    (user("What does the code E4 mean?"),),
    (system("Answer in one word."), user("Which river flows through the city?\n\n- left\n- right")),
    (user("Hello"), assistant("Hello. How can I help?"), user("  Name “three” rivers, naïve and schön: 1, 2, 3.\n")),
    (system("Be kind."), user("One."), assistant("Two."), user("Three."), assistant("Four."), user("Five?")),
)
"""What a server must tokenize as we do before it is asked for anything."""
_SHOWN = 6


class ServedTemplate(Protocol):
    """What is needed of a chat template."""

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        ...

    def turns(self, messages: Conversation) -> Conversation:
        """The messages as the Jinja text gets them."""
        ...

    def encode_prompt(self, messages: Conversation) -> list[int]:
        """Ids of the conversation and the generation prompt."""
        ...

    def encode_user_turn(self, messages: Conversation) -> list[int]:
        """Ids of the conversation up to where a user who speaks next starts to write."""
        ...

    @property
    def user_end(self) -> str:
        """The text by which a user's words end; "" where nothing does."""
        ...

    def strip_reasoning(self, text: str) -> tuple[str, str]:
        """(reasoning, answer) of a completion."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """How a server is reached; ``lost`` says what it wrote at its end, where it is ours and has ended."""

    base_url: str
    key: str = ""
    allow_remote: bool = False
    concurrency: int = 256
    timeout_s: float = 600.0
    retries: int = 6
    lost: Callable[[], str] = str


class VllmCompleter:
    """Answers of the model ``served`` by a vLLM server; ``engine`` says who that is.

    Every sampling setting is sent, for what is not sent is taken from the model's ``generation_config.json``, and so
    are the tokens that end an answer. ``context`` is the most tokens of prompt and answer together: ``max_tokens`` is
    cut to what is left, and a prompt that leaves none fails by name, as in the local engine. So does an answer whose
    prompt had another number of tokens at the server than here. The server is the caller's.
    """

    def __init__(self, line: Line, served: str, *, template: ServedTemplate, engine: Engine, context: int) -> None:
        self._template, self._engine, self._context, self._lost = template, engine, context, line.lost
        self._asking = _Asking(line, served, end_ids=template.end_ids)

    @property
    def engine(self) -> Engine:
        """Weights, program with version, arithmetic where known, no batch, and template."""
        return self._engine

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """What the server said to the first schema that it refused; empty while it takes them."""
        return self._asking.schema_refusal(schema)

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as they arrive."""
        for group in self.groups(requests):
            yield from group

    def groups(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield lists of the answers that have arrived since the last one."""
        prompts, refused = prepare(self._template, self._context, requests)
        if refused:
            yield refused
        known = {prompt.request.id: prompt for prompt in prompts}
        asked = [
            prompt.request.model_copy(
                update={"messages": self._template.turns(prompt.request.messages), "sampling": prompt.sampling}
            )
            for prompt in prompts
        ]
        failing = False
        try:
            for group in self._asking.groups(asked):
                failing |= any(answer.transient for answer in group)
                yield [self._as_ours(known[answer.request_id], answer) for answer in group]
        except CompletionError as fault:
            if said := self._lost():
                raise _ended(said) from fault
            raise
        if failing and (said := self._lost()):
            raise _ended(said)

    def _as_ours(self, prompt: Prompt, answer: Answer) -> Answer:
        """The answer as the local engine gives it: without reasoning that the prompt opened, and a failure in its place
        where its prompt was another one at the server."""
        if answer.finish == "error":
            return answer
        if answer.prompt_tokens not in (None, len(prompt.ids)):
            reason = f"the server read {answer.prompt_tokens} tokens of a prompt that has {len(prompt.ids)}"
            return failed(prompt.request, f"{reason}: its chat template is another one", answer.prompt_tokens)
        if answer.reasoning:
            return answer
        reasoning, text = self._template.strip_reasoning(answer.text)
        return answer.model_copy(update={"reasoning": reasoning, "text": text})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self._asking.__exit__(*exc_info)


def require_same_prompts(api: VllmApi, served: str, template: ServedTemplate) -> None:
    """Raise :class:`CompletionError` with the first difference where the server makes other prompts than ``template``.

    Another template answers well enough to go unnoticed, and worse than the model can.
    """
    for conversation in CONVERSATIONS:
        turns = template.turns(conversation)
        found = api.tokenize(served, [{"role": message.role, "content": message.text} for message in turns])
        wanted = template.encode_prompt(conversation)
        if found != wanted:
            raise _differs(api, conversation, found, wanted)


def _ended(said: str) -> CompletionError:
    return CompletionError(
        "the vLLM server ended while it was asked",
        received=f"the end of its log:\n{said}",
        remedy="mend what it names; the same command goes on with what was answered",
    )


def _differs(api: VllmApi, conversation: Conversation, found: list[int], wanted: list[int]) -> CompletionError:
    pairs = zip(found, wanted, strict=False)
    at = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(found), len(wanted)))
    roles = ", ".join(message.role for message in conversation)
    here, there = wanted[at : at + _SHOWN], found[at : at + _SHOWN]
    return CompletionError(
        "the vLLM server makes other prompts than this model's chat template and tokenizer here",
        where=api.base_url,
        received=f"a conversation of {roles}: from token {at} on {there} of {len(found)} there, {here} of "
        f"{len(wanted)} here",
        remedy="serve the same model, with the chat template of the recipe (--chat-template); or let the run start the "
        "server (leave engines.sampling.base_url out); or take engines.sampling: {kind: transformers}",
    )


class _Asking(RemoteCompleter):
    """Chat completions with the settings that vLLM would otherwise choose, and a key that no variable holds."""

    def __init__(self, line: Line, model: str, *, end_ids: tuple[int, ...]) -> None:
        super().__init__(
            line.base_url,
            model,
            allow_remote=line.allow_remote,
            concurrency=line.concurrency,
            patience=Patience(retries=line.retries, answer_s=line.timeout_s),
        )
        self._key, self._end_ids = line.key, end_ids

    def _connected(self) -> Exchange:
        exchange = super()._connected()
        fields: dict[str, JsonValue] = {
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": list(self._end_ids),
            # What the model wrote stays visible, as in the local engine; the token that ends it is never part of it.
            "skip_special_tokens": False,
        }
        exchange.manner = Manner(fields, may_be_empty=True)
        return exchange
