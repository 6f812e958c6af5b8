"""An endpoint on loopback that answers, and misbehaves as often as it is told to: ``python endpoint.py SETTINGS.json``.

What happens to an exchange is drawn from the seed, the request and the number of its try, so equal runs meet equal
faults, in whatever order requests come. Every completion that was made is counted by the content of its request, also
one whose connection is then cut: the endpoint of a provider takes money for it.
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
PROMPT_TOKENS, COMPLETION_TOKENS = 11, 5


@dataclass
class Misbehaviour:
    """``share`` of exchanges meet one of ``faults``; a good one takes ``latency_s``; the first ``slow_start`` exchanges
    are turned away; the longest wait that a header asks for is ``wait_s``; more than ``most`` at once get 429. With
    ``exhausted_s`` every good answer says that nothing more is taken for so long."""

    share: float = 0.0
    faults: tuple[str, ...] = FAULTS
    seed: int = 0
    latency_s: float = 0.0
    slow_start: int = 0
    wait_s: float = 0.01
    most: int = 0
    repeat_key: bool = False
    exhausted_s: float = 0.0


@dataclass
class Endpoint:
    """``paid``: completions made, by content; ``tries``: exchanges, by content; ``met``: faults by name.

    ``reply`` is what it answers to the text of the last message, where that is not the text with a word before it."""

    behaviour: Misbehaviour
    paid: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    reply: Callable[[str], str] | None = None

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
        content = asked["messages"][-1]["content"]
        self.tries[content] += 1
        fault = self._fault(content, self.tries[content])
        self.met[fault] += 1
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
        answer = json.dumps(completion("" if fault == "empty" else f"Answer to {content}")).encode()
        if self.reply is not None and fault == "none":
            answer = json.dumps(completion(self.reply(content))).encode()
        if fault == "half":
            answer = answer[: len(answer) // 2]
        quota = f"x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: {self.behaviour.exhausted_s:g}s\r\n"
        message = _message(200, answer, quota if self.behaviour.exhausted_s else "")
        writer.write(message[:-20] if fault == "cut within" else message)
        return fault != "cut within"

    def _fault(self, content: str, tries: int) -> str:
        behaviour = self.behaviour
        if self.tries.total() <= behaviour.slow_start:
            return "503"
        if behaviour.most and self.at_once > behaviour.most:
            return "429"
        drawn = random.Random(hashlib.sha256(f"{behaviour.seed} {content} {tries}".encode()).digest())
        return drawn.choice(behaviour.faults) if drawn.random() < behaviour.share else "none"

    def _refusal(self, fault: str, headers: dict[str, str]) -> bytes:
        status, _, kind = fault.partition(" ")
        said = {"401": "No such key.", "429": "Too many requests.", "500": "Broken.", "503": "Starting."}[status]
        if self.behaviour.repeat_key:
            said += f" You sent {headers.get('authorization', '')}"
        wait = self.behaviour.wait_s
        more = {"seconds": f"Retry-After: {wait}\r\n", "date": f"Retry-After: {formatdate(time(), usegmt=True)}\r\n"}
        return _message(int(status), json.dumps({"error": {"message": said}}).encode(), more.get(kind, ""))


def completion(text: str) -> dict[str, Any]:
    """A chat completion as an endpoint writes it."""
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _message(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def endpoint(behaviour: Misbehaviour | None = None, *, reply: Callable[[str], str] | None = None) -> Iterator[Endpoint]:
    """An endpoint in a thread of its own."""
    made = Endpoint(behaviour or Misbehaviour(), reply=reply)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Server:
        server = await asyncio.start_server(made.handle, "127.0.0.1", 0, backlog=1024)
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    async def finish(server: asyncio.Server) -> None:
        server.close()
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
