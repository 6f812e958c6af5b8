"""From requests to prompts and from ids to answers: what the engines that hold a tokenizer share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tutelage.errors import CompletionError, ModelError
from tutelage.records import Answer, Conversation, Request, Sampling


class Template(Protocol):
    """What is needed of a chat template."""

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


class Decodes(Protocol):
    """What is needed of a tokenizer."""

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str | list[str]:
        """Text of ids."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request that can be answered: its ids, and its sampling settings within the model's context."""

    request: Request
    ids: tuple[int, ...]
    sampling: Sampling


def refuse_duplicates(requests: Sequence[Request]) -> None:
    """Raise :class:`CompletionError` when two requests have one id: their answers could not be told apart."""
    counts = Counter(request.id for request in requests)
    if len(counts) < len(requests):
        twice = sorted(name for name, number in counts.items() if number > 1)
        raise CompletionError(
            "requests of one call must have different ids",
            received=", ".join(twice[:3]),
            remedy="number the samples of one item in the id",
        )


def prepare(template: Template, context: int, requests: Sequence[Request]) -> tuple[list[Prompt], list[Answer]]:
    """Return the prompts, and an error answer for each request that has none.

    ``context`` is the number of tokens that prompt and answer may have together; ``max_tokens`` is cut to what is left.
    Raises :class:`tutelage.errors.CompletionError` when two requests have one id.
    """
    refuse_duplicates(requests)
    prompts: list[Prompt] = []
    refused: list[Answer] = []
    for request in requests:
        try:
            encode = template.encode_prompt if request.turn == "assistant" else template.encode_user_turn
            ids = tuple(encode(request.messages))
        except ModelError as fault:
            refused.append(failed(request, str(fault)))
            continue
        if len(ids) >= context:
            refused.append(failed(request, f"the prompt has {len(ids)} tokens and the model reads {context}", len(ids)))
            continue
        room = min(request.sampling.max_tokens, context - len(ids))
        prompts.append(Prompt(request, ids, request.sampling.model_copy(update={"max_tokens": room})))
    return prompts, refused


def failed(request: Request, reason: str, prompt_tokens: int | None = None, *, transient: bool = False) -> Answer:
    """Return the answer of a request that could not be answered; ``transient``: another time it may be."""
    return Answer(
        request_id=request.id,
        text="",
        finish="error",
        error=reason,
        transient=transient,
        prompt_tokens=prompt_tokens,
        seed=request.seed,
    )


def answered(
    prompt: Prompt,
    tokens: Sequence[int],
    *,
    stopped: bool,
    template: Template,
    tokenizer: Decodes,
    logprobs: Sequence[float] | None = None,
    closed: bool = False,
) -> Answer:
    """Return the answer that ``tokens`` (without the end token) spell.

    ``completion_tokens`` counts the end token, because the model had to write it, unless the answer was ``closed``: it
    stopped without one, where nothing could follow. Special tokens inside the answer stay visible: they are what the
    model wrote, and reasoning markers may be among them. A user's turn is cut where the template ends it, for not every
    template does so by a token that ends an answer.
    """
    written = tokenizer.decode(list(tokens), skip_special_tokens=False)
    assert isinstance(written, str)
    ended = stopped
    if prompt.request.turn == "user":
        end = template.user_end
        text, found, _ = written.partition(end) if end else (written, "", "")
        reasoning, stopped = "", stopped or bool(found)
    else:
        reasoning, text = template.strip_reasoning(written)
    return Answer(
        request_id=prompt.request.id,
        text=text,
        finish="stop" if stopped else "length",
        reasoning=reasoning,
        prompt_tokens=len(prompt.ids),
        completion_tokens=len(tokens) + (ended and not closed),
        logprobs=None if logprobs is None else tuple(logprobs),
        seed=prompt.request.seed,
    )
