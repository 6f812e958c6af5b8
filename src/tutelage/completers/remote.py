"""Answers from an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, TGI or a hosted service."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Self

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import ValidationError

from tutelage.completers.address import check_address, public_address, read_key
from tutelage.completers.preparation import failed, refuse_duplicates
from tutelage.completers.wire import read_completion, write_messages
from tutelage.errors import CompletionError
from tutelage.records import Answer, Engine, Request

_OUTAGE = 3
_BUSY = (408, 409, 425, 429)


class RemoteCompleter:
    """Answers by chat completions, at most ``concurrency`` in flight.

    The key is read from the environment variable ``key_variable`` and stands nowhere else. Each request is tried
    1 + ``retries`` times with growing pauses (connection faults, time-outs, 408, 409, 429, 5xx); then, or when it is
    refused, its answer says why. When the endpoint cannot be reached, or rejects the key or the model,
    :class:`CompletionError` is raised: at once for 401, 403 and 404, else when the first requests fail to connect.

    Seeds are sent; whether equal requests give equal answers is the endpoint's affair. ``top_k`` and
    ``repetition_penalty`` are sent only where set, as extra fields that vLLM, TGI and llama.cpp read.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key_variable: str = "",
        allow_remote: bool = False,
        concurrency: int = 8,
        timeout_s: float = 120.0,
        retries: int = 4,
    ) -> None:
        check_address(base_url, allow_remote)
        self._base_url, self._model = base_url, model
        self._concurrency = concurrency
        # No proxy from the environment: an address on this machine must not leave it.
        transport = openai.DefaultHttpxClient(timeout=timeout_s, trust_env=allow_remote, follow_redirects=False)
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=read_key(key_variable),
            timeout=timeout_s,
            max_retries=retries,
            http_client=transport,
            organization="",
            project="",
        )

    @property
    def engine(self) -> Engine:
        """The model's name at the endpoint, and the endpoint without credentials."""
        return Engine(model=self._model, engine=f"remote {public_address(self._base_url)}")

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield one answer a request, as they arrive."""
        refuse_duplicates(requests)
        waiting = iter(requests)
        unreachable, arrived = 0, 0
        pool = ThreadPoolExecutor(max_workers=self._concurrency, thread_name_prefix="completions")
        try:
            flying: dict[Future[Answer], Request] = {}
            while True:
                for request in islice(waiting, self._concurrency - len(flying)):
                    flying[pool.submit(self._ask, request)] = request
                if not flying:
                    return
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda one: flying[one].id):
                    request = flying.pop(future)
                    try:
                        answer = future.result()
                        arrived += answer.finish != "error"
                    except openai.APIConnectionError as fault:
                        unreachable += 1
                        reason = _reason(fault)
                        if not arrived and unreachable >= min(_OUTAGE, len(requests)):
                            raise self._outage("the endpoint cannot be reached", reason) from fault
                        answer = failed(request, reason, transient=True)
                    yield answer
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, request: Request) -> Answer:
        try:
            messages = write_messages(request.messages)
        except CompletionError as fault:
            return failed(request, str(fault))
        try:
            return read_completion(request, self._post(request, messages))
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as fault:
            what = "the model or address is unknown" if fault.status_code == 404 else "the endpoint rejects the key"
            raise self._outage(what, _reason(fault)) from fault
        except openai.APIStatusError as fault:
            reason = f"the endpoint answered {fault.status_code}: {_reason(fault)}"
            return failed(request, reason, transient=fault.status_code in _BUSY or fault.status_code >= 500)
        except ValueError as fault:
            # What is no completion may be one another time; one that ended otherwise (a content filter) will not.
            reason = f"the endpoint's answer cannot be read: {fault}"[:300]
            return failed(request, reason, transient=isinstance(fault, ValidationError))

    def _post(self, request: Request, messages: list[ChatCompletionMessageParam]) -> str:
        sampling = request.sampling
        extra: dict[str, object] = {}
        if sampling.top_k:
            extra["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1:
            extra["repetition_penalty"] = sampling.repetition_penalty
        response = self._client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=request.seed,
            extra_body=extra or None,
        )
        return response.text

    def _outage(self, what: str, reason: str) -> CompletionError:
        return CompletionError(
            what,
            where=f"{self._model} at {public_address(self._base_url)}",
            received=reason,
            remedy="check that it is running, the address (with /v1), the model's name and the key's variable",
        )


def _reason(fault: openai.APIError) -> str:
    return f"{type(fault).__name__}: {fault.message}"[:300]
