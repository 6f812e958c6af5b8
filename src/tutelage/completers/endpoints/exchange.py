"""One exchange with an endpoint: a request goes, and what comes back is one of four things."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Literal

import httpx

from tutelage.completers.endpoints.media import MediaSettings, Shown, media_of, show
from tutelage.completers.endpoints.pauses import Patience, exhausted_for, retry_after
from tutelage.completers.endpoints.spending import NOTHING, Tokens
from tutelage.completers.endpoints.wire import (
    Complaint,
    Manner,
    NoAnswer,
    Wish,
    Written,
    most_prompt_tokens,
    read_complaint,
    read_completion,
    refused_wish,
    wishes_of,
    write_body,
)
from tutelage.records import Answer, Request

LANE = 4
"""Connections a client: a pool looks through all of its connections for every request."""
_TURNED_AWAY = (429, 503, 529)
_PASSING = (408, 409, 425, 429)
_ADDRESS = (404, 405)
_WANTS_MONEY = ("insufficient_quota", "billing", "insufficient_credits", "payment_required")
_FOR_GOOD = ("invalid_request", "context_length", "content_filter", "content_policy", "bad_request")
_LONGEST_REASON = 300

Kind = Literal["answered", "again", "plainer", "refused", "broken"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is sent, and the most tokens that it can cost, of which ``media`` are of images and sound;
    ``wishes`` are what a server may refuse of it alone, ``parts`` its media as they are sent."""

    request: Request
    body: bytes
    worst: Tokens
    media: int = 0
    wishes: frozenset[Wish] = frozenset()
    parts: Written = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an exchange gave: an answer; a fault that may pass (``again``); a refusal of a wish alone (schema,
    log-probabilities), without which it is asked at once (``plainer``); a refusal for good; an endpoint that is
    ``broken`` for every request (key, address, account).

    ``cost`` are the tokens that it cost, of which ``assumed`` are the most that it can have been. ``unreached``: no
    connection was made. ``wait`` is what the endpoint asks to wait, ``exhausted`` how long its rate limit is used up.
    """

    kind: Kind
    reason: str = ""
    answer: Answer | None = None
    cost: Tokens = NOTHING
    assumed: int = 0
    turned_away: bool = False
    unreached: bool = False
    status: int = 200
    wait: float | None = None
    exhausted: float = 0.0


class Exchange:
    """Posts requests over connections that are kept; lives in one event loop.

    The key stands in the headers alone; where an endpoint repeats it in a message it is taken out.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        key: str,
        patience: Patience,
        most: int,
        environment: bool,
        media: MediaSettings,
    ) -> None:
        self._address, self._model, self._key = f"{base_url.rstrip('/')}/chat/completions", model, key
        self._patience, self._media = patience, media
        self.manner = Manner()
        """What is special to the server that is asked."""
        self.refusals: dict[Wish, str] = {}
        """What the endpoint said to the first wish of each kind that it refused: from then on none is sent."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        secure = base_url.startswith("https")
        # No proxy from the environment: an address on this machine must not leave it.
        verify: ssl.SSLContext | bool = httpx.create_ssl_context(trust_env=environment) if secure else False
        self._clients = [
            httpx.AsyncClient(
                verify=verify,
                trust_env=environment,
                follow_redirects=False,
                timeout=httpx.Timeout(patience.answer_s, connect=patience.connect_s, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=LANE),
                headers=headers,
            )
            for _ in range(-(-most // LANE))
        ]
        self._lanes = [client for client in self._clients for _ in range(LANE)]

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.aclose()

    async def prepare(self, request: Request) -> Asked:
        """Return what is sent; raises :class:`tutelage.errors.CompletionError` for media that cannot be."""
        media = media_of(request.messages)
        # Files are read in another thread: nobody waits for a disk.
        shown = await asyncio.to_thread(show, media, self._media) if media else Shown()
        body = write_body(self._model, request, shown.parts, manner=self.manner)
        schema = 0  # some show the model the schema, and count it
        if request.answer_schema is not None:
            plain = write_body(self._model, request, shown.parts, without=frozenset({"schema"}), manner=self.manner)
            schema = len(body) - len(plain)
        most = most_prompt_tokens(request.messages) + shown.tokens + schema
        worst = Tokens(most, request.sampling.max_tokens)
        return Asked(request, body, worst, shown.tokens, wishes_of(request), shown.parts)

    async def post(self, asked: Asked) -> Reply:
        """Ask once. Whatever was sent and has not come back whole may have been paid: it costs the most it can."""
        client = self._lanes.pop()  # the one used last: few connections where few are needed
        times = self._patience
        sent = asked.wishes - self.refusals.keys()
        body = asked.body if sent == asked.wishes else self._without(asked, asked.wishes - sent)
        try:
            async with asyncio.timeout(times.connect_s + times.answer_s):
                response = await client.post(self._address, content=body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as fault:
            late = isinstance(fault, httpx.ConnectTimeout)
            return Reply("again", self._said(fault), turned_away=late, unreached=True)
        except (httpx.TimeoutException, TimeoutError):
            reason = f"Timeout: no answer in {times.answer_s:g} s"
            return Reply("again", reason, turned_away=True, cost=asked.worst, assumed=asked.worst.all)
        except httpx.HTTPError as fault:
            return Reply("again", self._said(fault), cost=asked.worst, assumed=asked.worst.all)
        finally:
            self._lanes.append(client)
        # Without the worst of images, which is far above what they are: it would wait for tokens without need.
        exhausted = exhausted_for(response.headers, asked.worst.all - asked.media)
        if response.status_code != 200:
            complaint = read_complaint(response.content) or Complaint(message=response.text[:_LONGEST_REASON])
            if (wish := refused_wish(response.status_code, complaint, sent)) is not None:
                said = self._without_key(f"{response.status_code}: {complaint.message or complaint.code or ''}")
                self.refusals.setdefault(wish, said)
                return Reply("plainer", said, status=response.status_code)
            return self._refused(response.status_code, complaint, response, exhausted)
        return self._read(asked, response, exhausted)

    def _without(self, asked: Asked, refused: frozenset[Wish]) -> bytes:
        return write_body(self._model, asked.request, asked.parts, without=refused, manner=self.manner)

    def _read(self, asked: Asked, response: httpx.Response, exhausted: float) -> Reply:
        try:
            answer = read_completion(asked.request, response.content, manner=self.manner)
        except NoAnswer as fault:
            if fault.passing and (complaint := read_complaint(response.content)) is not None:
                status = complaint.status or (400 if complaint.says(*_FOR_GOOD) else 500)
                return self._refused(status, complaint, response, exhausted)
            cost, assumed = _cost(asked.worst, fault.prompt_tokens, fault.completion_tokens)
            reason = self._without_key(f"the endpoint's answer cannot be read: {fault}")
            return Reply(
                "again" if fault.passing else "refused", reason, cost=cost, assumed=assumed, exhausted=exhausted
            )
        cost, assumed = _cost(asked.worst, answer.prompt_tokens, answer.completion_tokens)
        return Reply("answered", answer=answer, cost=cost, assumed=assumed, exhausted=exhausted)

    def _refused(self, status: int, complaint: Complaint, response: httpx.Response, exhausted: float) -> Reply:
        """Nothing was made, so nothing was paid."""
        reason = self._without_key(f"the endpoint answered {status}: {complaint.message or complaint.code or ''}")
        kind: Kind = "refused"
        if status == 401 or status in _ADDRESS or 300 <= status < 400 or status == 402 or complaint.says(*_WANTS_MONEY):
            kind = "broken"
        elif status in _PASSING or status >= 500:
            kind = "again"
        return Reply(
            kind,
            reason,
            status=status,
            turned_away=status in _TURNED_AWAY,
            wait=retry_after(response.headers),
            exhausted=exhausted,
        )

    def _said(self, fault: Exception) -> str:
        return self._without_key(f"{type(fault).__name__}: {fault}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]")[:_LONGEST_REASON] if self._key else text[:_LONGEST_REASON]


def _cost(worst: Tokens, prompt: int | None, completion: int | None) -> tuple[Tokens, int]:
    """What an answer cost, and how much of it is assumed because the endpoint does not say."""
    cost = Tokens(worst.prompt if prompt is None else prompt, worst.completion if completion is None else completion)
    return cost, (worst.prompt if prompt is None else 0) + (worst.completion if completion is None else 0)
