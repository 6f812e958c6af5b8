"""What goes to a completer and what comes back."""

from typing import Literal

from pydantic import Field, JsonValue

from tutelage.records.base import Record
from tutelage.records.logprobs import TokenChoices
from tutelage.records.messages import Conversation

FinishReason = Literal["stop", "length", "error"]


class Sampling(Record):
    """How an answer is drawn. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 1 switch their filter off."""

    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=256, ge=1)
    repetition_penalty: float = Field(default=1.0, gt=0)


class AnswerSchema(Record):
    """The JSON that an answer is to be, for engines that hold a model to it.

    ``json_schema`` is of the strict subset where ``strict``: every object names all its keys as required and allows no
    others.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    json_schema: dict[str, JsonValue]
    strict: bool = True

    def __hash__(self) -> int:
        """The schema is a dictionary; its name tells most apart."""
        return hash((self.name, self.strict))


class Request(Record):
    """One question to a completer. Equal requests to one model must be able to give equal answers: hence the seed.

    ``answer_schema`` is a wish: our own decoder holds the answer to it, an endpoint that offers structured output is
    asked for it, others do not read it. Whoever needs JSON asks for it in words too
    (:mod:`tutelage.completers.structured.asking`).
    ``top_logprobs`` is one too: so many of the likeliest tokens in the place of each that is written.
    ``turn`` is whose turn is written: the assistant's, or that of the user who speaks next, after ``messages``, of
    which there may be none. Endpoints of chat completions write an assistant's alone.
    """

    id: str
    messages: Conversation
    turn: Literal["assistant", "user"] = "assistant"
    sampling: Sampling = Sampling()
    seed: int = 0
    answer_schema: AnswerSchema | None = None
    top_logprobs: int | None = Field(default=None, ge=1, le=20)


class Engine(Record):
    """Who answered: part of the identity of every answer and every score.

    ``model`` names the weights (with adapter), ``engine`` the program, ``dtype`` the arithmetic, ``batch_size`` the
    fixed batch (0: not applicable), ``template`` the hash of the chat template.
    """

    model: str
    engine: str
    dtype: str = ""
    batch_size: int = 0
    template: str = ""


class Answer(Record):
    """One answer. ``text`` is what is scored: reasoning has been taken out of it and stands in ``reasoning``.

    ``prompt_tokens`` and ``completion_tokens`` are None where the engine does not say. ``finish`` is ``length`` when
    the answer was cut at ``max_tokens``. An answer with ``finish == "error"`` has no text and must stay unscored;
    ``transient`` says that the same request may be answered another time: the endpoint was down, busy or too slow.
    ``request`` is the hash of the whole request, where answers are logged to be used again. ``money`` is what it cost,
    tries that failed included, where a price is known. ``by`` is who gave it, where one of several could have.
    ``choices`` is what stood to choice at each of its tokens, reasoning and perhaps the end token among them, where
    that was asked for and the engine said it.
    """

    request_id: str
    text: str
    finish: FinishReason = "stop"
    reasoning: str = ""
    error: str = ""
    transient: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    logprobs: tuple[float, ...] | None = None
    choices: tuple[TokenChoices, ...] | None = None
    seed: int = 0
    request: str = ""
    money: float | None = None
    by: str = ""

    @property
    def ended(self) -> bool:
        """Whether the model ended the answer itself."""
        return self.finish == "stop"
