"""What is asked of a vLLM server beside answers: what it serves, how it tokenizes, and adapters come and gone.

Routes and bodies are those of vLLM 0.10 to 0.33 (``vllm/entrypoints/serve`` and ``openai/models``): ``/v1/models``,
``/v1/load_lora_adapter`` and ``/v1/unload_lora_adapter``, which are there only with VLLM_ALLOW_RUNTIME_LORA_UPDATING,
and, outside ``/v1`` and its key, ``/tokenize`` and ``/version``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
from pydantic import BaseModel, ValidationError

from tutelage.completers.endpoints.address import public_address
from tutelage.completers.endpoints.wire import read_complaint
from tutelage.errors import CompletionError

LONGEST_REASON = 400
LOADING_S = 300.0
"""Seconds that loading an adapter may take."""
ALLOW = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"


class VllmUnavailable(CompletionError):
    """vLLM cannot answer here, and another engine may in its place."""


class AdapterRefused(VllmUnavailable):
    """vLLM cannot take these tuned weights; it may take others."""


class Card(BaseModel):
    """What a server says of a model that it serves: its name, where its weights lie, and the base of an adapter."""

    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _Cards(BaseModel):
    data: list[Card]


class _Tokens(BaseModel):
    tokens: list[int]


class _Version(BaseModel):
    version: str


class VllmApi:
    """A client of one server, at its address with ``/v1``; the key stands in its headers alone."""

    def __init__(self, base_url: str, key: str, *, allow_remote: bool = False) -> None:
        self.base_url = base_url.rstrip("/")
        self._root = self.base_url.removesuffix("/v1")
        self._key = key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # No proxy from the environment: an address on this machine must not leave it.
        self._client = httpx.Client(headers=headers, timeout=LOADING_S, trust_env=allow_remote)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self._client.close()

    def models(self) -> list[Card]:
        """Return what is served.

        Raises
        ------
        VllmUnavailable: nobody is there, or what is there is no such server.
        CompletionError: the key is wrong.
        """
        try:
            return _Cards.model_validate_json(self._get(f"{self.base_url}/models")).data
        except ValidationError as fault:
            raise self._unavailable("it names no models", str(fault.errors(include_url=False)[0]["msg"])) from fault

    def version(self) -> str:
        """Return the server's version, empty where it does not say."""
        try:
            return _Version.model_validate_json(self._get(f"{self._root}/version")).version
        except (VllmUnavailable, ValidationError):
            return ""

    def tokenize(self, model: str, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the ids of the prompt that the server makes of ``messages``.

        Raises
        ------
        VllmUnavailable: it has no such route, so that nobody can know.
        CompletionError: its chat template refuses the messages.
        """
        body = {"model": model, "messages": list(messages), "add_generation_prompt": True}
        response = self._post(f"{self._root}/tokenize", body)
        if response.status_code in (404, 405):
            raise self._unavailable("it does not say how it tokenizes (/tokenize)", self._said(response))
        if response.status_code != 200:
            raise CompletionError(
                "the server's chat template refuses a conversation that ours takes",
                where=self._root,
                received=self._said(response),
                remedy="start the server with the chat template of the recipe (--chat-template), or let the run start "
                "one: leave engines.sampling.base_url out",
            )
        try:
            return _Tokens.model_validate_json(response.content).tokens
        except ValidationError as fault:
            raise self._unavailable("it does not say how it tokenizes (/tokenize)", self._said(response)) from fault

    def load(self, name: str, folder: Path) -> None:
        """Let the server read the adapter of ``folder`` and give it as the model ``name``.

        Raises :class:`AdapterRefused`.
        """
        body = {"lora_name": name, "lora_path": str(folder.resolve())}
        response = self._post(f"{self.base_url}/load_lora_adapter", body)
        if response.status_code == 200:
            return
        if response.status_code in (404, 405) and b'"detail"' in response.content:  # no such route
            raise AdapterRefused(
                "the server takes no adapters while it runs",
                where=public_address(self.base_url),
                received=self._said(response),
                remedy=f"start it with {ALLOW}=True in its environment, --enable-lora and --max-lora-rank",
            )
        raise AdapterRefused(
            "the server refuses the adapter",
            where=public_address(self.base_url),
            received=self._said(response),
            remedy="look into the server's log; an adapter's rank must not be above --max-lora-rank, and its folder "
            "must be where the server can read it",
        )

    def unload(self, name: str) -> None:
        """Let the server forget the adapter ``name``; whether it does is its affair."""
        try:
            self._post(f"{self.base_url}/unload_lora_adapter", {"lora_name": name})
        except VllmUnavailable:
            return  # it has gone, and the adapter with it

    def _get(self, address: str) -> bytes:
        try:
            response = self._client.get(address)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise self._unavailable("nobody answers there", f"{type(fault).__name__}: {fault}") from fault
        self._refuse_key(response)
        if response.status_code != 200:
            raise self._unavailable("what is there is no vLLM server", self._said(response))
        return response.content

    def _post(self, address: str, body: Mapping[str, object]) -> httpx.Response:
        try:
            response = self._client.post(
                address, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as fault:
            raise self._unavailable("nobody answers there", f"{type(fault).__name__}: {fault}") from fault
        self._refuse_key(response)
        return response

    def _refuse_key(self, response: httpx.Response) -> None:
        if response.status_code in (401, 403):
            raise CompletionError(
                "the vLLM server does not take the key",
                where=public_address(self.base_url),
                received=self._said(response),
                remedy="name the variable that holds it: engines.sampling.key_variable",
            )

    def _unavailable(self, what: str, received: str) -> VllmUnavailable:
        return VllmUnavailable(
            f"there is no vLLM server to ask: {what}",
            where=public_address(self.base_url),
            received=received[:LONGEST_REASON],
            remedy="check that it is running, and the address (with /v1): engines.sampling.base_url",
        )

    def _said(self, response: httpx.Response) -> str:
        complaint = read_complaint(response.content)
        words = complaint.message if complaint is not None else response.text
        if self._key:
            words = words.replace(self._key, "(the key)")
        return f"{response.status_code}: {' '.join(words.split())}"[:LONGEST_REASON]
