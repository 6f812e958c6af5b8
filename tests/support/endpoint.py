"""An endpoint on loopback that answers, and misbehaves as often as it is told to: ``python endpoint.py SETTINGS.json``.

What happens to an exchange is drawn from the seed, the request and the number of its try, so equal runs meet equal
faults, in whatever order requests come. Every completion that was made is counted by the content of its request, also
one whose connection is then cut: the endpoint of a provider takes money for it. Several may run side by side.
"""

import asyncio
import hashlib
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any

FAULTS = (
    "429",
    "429 seconds",
    "429 date",
    "500",
    "503",
    "hang",
    "cut before",
    "cut within",
    "half",
    "html",
    "error",
    "empty",
)
SAID = {
    "400": "This model's context is too short.",
    "401": "No such key.",
    "402": "The account is empty.",
    "429": "Too many requests.",
    "500": "Broken.",
    "503": "Starting.",
}
PROMPT_TOKENS, COMPLETION_TOKENS = 11, 5
UNKNOWN_FIELD = "Unrecognized request argument supplied: response_format"
NO_LOGPROBS = "You are not allowed to request logprobs from this model"


Says = Callable[[list[dict[str, Any]], str, int], list[dict[str, Any]]]


@dataclass
class Misbehaviour:
    """``share`` of exchanges meet one of ``faults``; a good one takes ``latency_s``; the first ``slow_start`` exchanges
    are turned away; the longest wait that a header asks for is ``wait_s``; more than ``most`` at once get 429. With
    ``exhausted_s`` every good answer says that nothing more is taken for so long. ``refused`` of the contents get 400
    whenever they come, ``filtered`` an answer that is filtered, and is paid. After ``quota`` completions the account is
    empty; after ``dies_after`` exchanges nobody is there. ``name`` stands in the answers.

    ``schemas``: what becomes of ``response_format``: ``ignored``, ``offered`` (the answer is of the schema) or
    ``refused`` (400 that names it). ``texts`` are answers by a word of the first user turn: to its first request, to
    the next, …, the last of them from then on; a text of "..." ends as one that was cut does.

    ``logprobs``: what becomes of the wish for log-probabilities: ``ignored``, ``offered`` or ``refused`` (403)."""

    share: float = 0.0
    faults: tuple[str, ...] = FAULTS
    seed: int = 0
    latency_s: float = 0.0
    slow_start: int = 0
    wait_s: float = 0.01
    most: int = 0
    repeat_key: bool = False
    exhausted_s: float = 0.0
    refused: float = 0.0
    filtered: float = 0.0
    quota: int = 0
    dies_after: int = 0
    name: str = ""
    schemas: str = "ignored"
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    logprobs: str = "ignored"


@dataclass
class Endpoint:
    """``paid``: completions made, by content; ``tries``: exchanges, by content; ``met``: faults by name; ``parts``: the
    contents that came as lists of parts; ``formats``: every ``response_format`` that came. Contents are told apart by
    the last message's text. ``reply`` is what it answers to that, where that is not the text with a word before it;
    ``says`` is what it says of an answer's tokens, of the messages, the text and the number of the likeliest."""

    behaviour: Misbehaviour
    paid: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    formats: list[dict[str, Any]] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    parts: list[list[dict[str, Any]]] = field(default_factory=list)
    server: asyncio.Server | None = None
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    reply: Callable[[str], str] | None = None
    says: Says | None = None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        stays = True
        try:
            while stays:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
                body = await reader.readexactly(int(headers["content-length"]))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    stays = await self._answer(body, headers, reader, writer)
                    await writer.drain()
                finally:
                    self.at_once -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(
        self, body: bytes, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Write the answer or what stands for it; return whether the connection stays."""
        asked = json.loads(body)
        if "response_format" in asked:
            self.formats.append(asked["response_format"])
        content = asked["messages"][-1]["content"]
        if isinstance(content, list):
            self.parts.append(content)
            content = "".join(part.get("text", "") for part in content)
        if self.behaviour.dies_after and self.tries.total() >= self.behaviour.dies_after:
            if self.server is not None:
                self.server.close()
            return False
        self.tries[content] += 1
        fault = self._fault(content, self.tries[content])
        self.met[fault] += 1
        if self.behaviour.schemas == "refused" and "response_format" in asked:
            self.met["schema refused"] += 1
            writer.write(_message(400, json.dumps({"error": {"message": UNKNOWN_FIELD}}).encode()))
            return True
        if self.behaviour.logprobs == "refused" and "logprobs" in asked:
            self.met["logprobs refused"] += 1
            writer.write(_message(403, json.dumps({"error": {"message": NO_LOGPROBS}}).encode()))
            return True
        if fault == "hang":
            await reader.read()  # until the client gives up
        if fault in ("hang", "cut before"):
            return False
        if fault.startswith(("4", "5")):
            writer.write(self._refusal(fault, headers))
            return True
        if self.behaviour.latency_s:
            await asyncio.sleep(self.behaviour.latency_s)
        if fault == "error":
            writer.write(_message(200, json.dumps({"error": {"message": "overloaded", "code": 503}}).encode()))
            return True
        if fault == "html":
            writer.write(_message(200, b"<html><body>Please wait.</body></html>"))
            return True
        self.paid[content] += 1
        text = (
            ""
            if fault == "empty"
            else self.reply(content)
            if self.reply and fault == "none"
            else self._text(asked, content)
        )
        finish = "content_filter" if fault == "filtered" else "length" if text.endswith("...") else "stop"
        said = None
        if self.behaviour.logprobs == "offered" and asked.get("logprobs"):
            says = self.says or letters
            said = says(asked["messages"], text, asked["top_logprobs"])
        answer = json.dumps(completion(text, finish, said)).encode()
        if fault == "half":
            answer = answer[: len(answer) // 2]
        quota = f"x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: {self.behaviour.exhausted_s:g}s\r\n"
        message = _message(200, answer, quota if self.behaviour.exhausted_s else "")
        writer.write(message[:-20] if fault == "cut within" else message)
        return fault != "cut within"

    def _text(self, asked: dict[str, Any], content: str) -> str:
        first = next(message["content"] for message in asked["messages"] if message["role"] == "user")
        for word, texts in self.behaviour.texts.items():
            if word in first:
                self.said[word] += 1
                return texts[min(self.said[word], len(texts)) - 1]
        wanted = asked.get("response_format")
        if wanted is not None and self.behaviour.schemas == "offered":
            return json.dumps(of_schema(wanted["json_schema"]["schema"]))
        return f"Answer to {content}" + (f" by {self.behaviour.name}" if self.behaviour.name else "")

    def _fault(self, content: str, tries: int) -> str:
        behaviour = self.behaviour
        if self.tries.total() <= behaviour.slow_start:
            return "503"
        if behaviour.most and self.at_once > behaviour.most:
            return "429"
        if behaviour.quota and self.paid.total() >= behaviour.quota:
            return "402"
        always = random.Random(hashlib.sha256(f"{behaviour.seed} {content}".encode()).digest()).random()
        if always < behaviour.refused + behaviour.filtered:
            return "400" if always < behaviour.refused else "filtered"
        drawn = random.Random(hashlib.sha256(f"{behaviour.seed} {content} {tries}".encode()).digest())
        return drawn.choice(behaviour.faults) if drawn.random() < behaviour.share else "none"

    def _refusal(self, fault: str, headers: dict[str, str]) -> bytes:
        status, _, kind = fault.partition(" ")
        said = SAID[status]
        if self.behaviour.repeat_key:
            said += f" You sent {headers.get('authorization', '')}"
        wait = self.behaviour.wait_s
        more = {"seconds": f"Retry-After: {wait}\r\n", "date": f"Retry-After: {formatdate(time(), usegmt=True)}\r\n"}
        return _message(int(status), json.dumps({"error": {"message": said}}).encode(), more.get(kind, ""))


def of_schema(schema: dict[str, Any]) -> Any:
    """The plainest value of a schema without references."""
    match schema.get("type"):
        case "object":
            return {key: of_schema(schema["properties"][key]) for key in schema["required"]}
        case "array":
            return [of_schema(schema["items"])]
        case "string":
            return schema.get("enum", ["text"])[0]
        case "boolean":
            return True
        case _:
            return 1


def letters(messages: list[dict[str, Any]], text: str, count: int) -> list[dict[str, Any]]:
    """Log-probabilities of a model whose tokens are letters, of which the next ones are as likely as half of it."""
    return [
        token_said(letter.encode(), [(chr(ord(letter) + n).encode(), -0.7 - n) for n in range(count)])
        for letter in text
    ]


def token_said(written: bytes, top: list[tuple[bytes, float]], logprob: float | None = None) -> dict[str, Any]:
    """A token as an endpoint says it; its own log-probability is that of the likeliest, if no other is given."""

    def one(token: bytes, value: float) -> dict[str, Any]:
        return {"token": token.decode(errors="replace"), "bytes": list(token), "logprob": value}

    own = top[0][1] if logprob is None else logprob
    return {**one(written, own), "top_logprobs": [one(token, value) for token, value in top]}


def completion(text: str, finish: str = "stop", said: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A chat completion as an endpoint writes it, with what is ``said`` of its tokens, if that is asked for."""
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    choice |= {} if said is None else {"logprobs": {"content": said}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _message(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def endpoint(
    behaviour: Misbehaviour | None = None, *, reply: Callable[[str], str] | None = None, says: Says | None = None
) -> Iterator[Endpoint]:
    """An endpoint in a thread of its own."""
    made = Endpoint(behaviour or Misbehaviour(), reply=reply, says=says)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Server:
        server = made.server = await asyncio.start_server(made.handle, "127.0.0.1", 0, backlog=1024)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    async def finish(server: asyncio.Server) -> None:
        server.close()
        for _ in range(3):  # a connection that was just made: its task must begin, or nobody closes its socket
            await asyncio.sleep(0)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(finish(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def serve(behaviour: Misbehaviour) -> None:
    """Serve until the input ends: the address first, then for every line of input a line of what was counted."""
    made = Endpoint(behaviour)
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        counted = {"paid": made.paid.total(), "twice": sum(n - 1 for n in made.paid.values()), "met": made.met}
        print(json.dumps(counted | {"most_at_once": made.most_at_once}), flush=True)


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    asyncio.run(serve(Misbehaviour(**settings | {"faults": tuple(settings.get("faults", FAULTS))})))
