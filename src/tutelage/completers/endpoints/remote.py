"""Answers from an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, TGI or a hosted service."""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty
from typing import Any, Self

from tutelage.completers.endpoints.address import check_address, endpoint_name, public_address, read_key
from tutelage.completers.endpoints.asking import Job, Outcome, Standing
from tutelage.completers.endpoints.exchange import Exchange
from tutelage.completers.endpoints.media import MediaSettings
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.spending import Purse
from tutelage.completers.preparation import failed, refuse_duplicates
from tutelage.errors import CompletionError
from tutelage.events import Emit, Event, silent
from tutelage.records import Answer, AnswerSchema, Engine, Request

AT_MOST = 1024
"""Requests in flight: what sockets of one process bear."""
USERS_TURN = "an endpoint of chat completions writes the assistant's turn, and the user's was asked for"


class RemoteCompleter:
    """Answers by chat completions, at most ``concurrency`` in flight, fewer while the endpoint turns requests away.

    The key is read from the environment variable ``key_variable`` and stands nowhere else. What may pass (no
    connection, time-outs, 408, 409, 425, 429, 5xx, an answer that cannot be read) is tried again with ``patience``;
    then, or when a request is refused, its answer says why. Pauses that the endpoint asks for hold for all requests.
    :class:`CompletionError` is raised, after what is in flight has come back and been given on, when the endpoint
    takes no request (key, model, address, account), is down, or when the limits of ``purse`` leave no room.

    Images and recordings are sent as ``media`` says; one that cannot be is a failure of its request alone.
    Seeds are sent; whether equal requests give equal answers is the endpoint's affair. Requests are sent by an event
    loop in a thread of its own. What they cost is logged by the ``purse`` before their answers are given on.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_variable: str = "",
        allow_remote: bool = False,
        concurrency: int = 8,
        patience: Patience | None = None,
        purse: Purse | None = None,
        media: MediaSettings | None = None,
    ) -> None:
        check_address(base_url, allow_remote)
        self._base_url, self._model, self._key = base_url, model, read_key(key_variable)
        self._concurrency, self._allow_remote = min(concurrency, AT_MOST), allow_remote
        self._patience, self._purse, self._media = patience or Patience(), purse or Purse(), media or MediaSettings()
        self.standing = Standing()
        self._emit: Emit = silent
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._exchange: Exchange | None = None

    @property
    def engine(self) -> Engine:
        """The model's name at the endpoint, and the endpoint without credentials."""
        return Engine(model=self._model, engine=f"remote {public_address(self._base_url)}")

    def schema_refusal(self, schema: AnswerSchema) -> str:
        """What the endpoint said to the first schema that it refused, after which none is sent; empty while it takes
        them."""
        return self._exchange.refusals.get("schema", "") if self._exchange is not None else ""

    def tell(self, emit: Emit) -> None:
        """Say to ``emit``, once, that log-probabilities which were asked for do not come."""
        self._emit = emit

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as they arrive."""
        for group in self.groups(requests):
            yield from group

    def groups(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield lists of the answers that have arrived since the last one."""
        refuse_duplicates(requests)
        if users := [request for request in requests if request.turn == "user"]:
            yield [failed(request, USERS_TURN) for request in users]
            requests = [request for request in requests if request.turn == "assistant"]
        if not requests:
            return
        job = self._run(self._started(requests)).result()
        wanting = {request.id for request in requests if request.top_logprobs is not None}
        over, came = False, 0
        try:
            while not over:
                arrived = [job.ended.get(), *_there(job)]
                over = arrived[-1] is None
                answers = [one.answer for one in self._written(job, arrived) if one.answer is not None]
                came += sum(answer.finish != "error" for answer in answers)
                self._say_silence(answers, wanting)
                yield answers
        finally:
            if not over:
                self._run(job.end()).result()
                self._written(job, list(_there(job)))
        if job.gate.stopped is not None and came < len(requests):
            raise job.gate.stopped

    def _say_silence(self, answers: Sequence[Answer], wanting: Collection[str]) -> None:
        """Say it when the first answer comes without the log-probabilities that it was asked for."""
        silent_one = next(
            (a for a in answers if a.finish != "error" and a.choices is None and a.request_id in wanting), None
        )
        if silent_one is None or self._told:
            return
        self._told = True
        refusal = self._exchange.refusals.get("logprobs") if self._exchange is not None else None
        why = (
            f"refuses logprobs and is asked without ({refusal})"
            if refusal
            else "answers without the logprobs it was asked for"
        )
        text = f"{endpoint_name(self._model, self._base_url)} {why}: the text is there, its distributions are not"
        self._emit(Event("note", data={"text": text}))

    def _written(self, job: Job, arrived: Sequence[Outcome | None]) -> list[Outcome]:
        """Write down what the outcomes cost, make room for as many others, and return them."""
        outcomes = [one for one in arrived if one is not None]
        self._purse.write([outcome.paid for outcome in outcomes if outcome.paid.tries])
        assert self._loop is not None
        self._loop.call_soon_threadsafe(job.taken, len(outcomes))
        return outcomes

    async def _started(self, requests: Sequence[Request]) -> Job:
        if self._exchange is None:
            self._exchange = self._connected()
        job = Job(
            requests,
            self._exchange,
            self._purse,
            self._patience,
            most=self._concurrency,
            standing=self.standing,
            outage=self._outage,
        )
        job.start()
        return job

    def _connected(self) -> Exchange:
        return Exchange(
            self._base_url,
            self._model,
            key=self._key,
            patience=self._patience,
            most=self._concurrency,
            environment=self._allow_remote,
            media=self._media,
        )

    def _run(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        if self._loop is None or self._thread is None:
            return
        if self._exchange is not None:
            self._run(self._exchange.close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._exchange = None

    def _outage(self, what: str, reason: str) -> CompletionError:
        return CompletionError(
            what,
            where=endpoint_name(self._model, self._base_url),
            received=reason,
            remedy="check that it is running, the address (with /v1), the model's name and the key's variable",
        )


def _there(job: Job) -> Iterator[Outcome | None]:
    """What has arrived by now."""
    with suppress(Empty):
        while True:
            yield job.ended.get_nowait()
