"""A server of chat completions on this machine, which decodes together whatever is asked at once.

    python benchmarks/serve.py --model default --name runs/gaps/teacher --port 8000

``transformers serve`` answers one request after another (docs/guides/capacity-gaps.md says how fast). The engine that
scores here is several times as fast on a CPU when it has many at once, and draws each answer by its own seed. So this
is for experiments with small models: loopback alone, no key, no streaming, no tools. Which requests meet in a batch is
a matter of time, and with the batch the rounding of the arithmetic changes: in bfloat16 a greedy answer may come out
otherwise when it is asked again, and a sampled one of some length mostly does.
"""

import argparse
import json
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import ValidationError

from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.errors import TutelageError
from tutelage.models.load import load_bundle
from tutelage.records import Answer, Message, Request, Sampling, TextPart

GATHER_S = 0.05
"""Time in which requests that were sent together arrive."""
FIELDS = ("model", "messages", "temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed")


class Batches:
    """Hands requests of many threads to one completer, at most ``size`` together."""

    def __init__(self, completer: Completer, size: int) -> None:
        self._completer, self._size = completer, size
        self._waiting: queue.Queue[tuple[Request, Future[Answer]] | None] = queue.Queue()

    def ask(self, request: Request) -> Answer:
        """Wait for the answer to a request."""
        future: Future[Answer] = Future()
        self._waiting.put((request, future))
        return future.result()

    def work(self) -> None:
        """Answer until :meth:`stop`."""
        while (first := self._waiting.get()) is not None:
            time.sleep(GATHER_S)
            batch = [first]
            while len(batch) < self._size and not self._waiting.empty():
                if (more := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                batch.append(more)
            self._answer(batch)

    def stop(self) -> None:
        """End the work when what has been asked is answered."""
        self._waiting.put(None)

    def _answer(self, batch: Sequence[tuple[Request, Future[Answer]]]) -> None:
        futures = {str(number): future for number, (_, future) in enumerate(batch)}
        requests = [request.model_copy(update={"id": str(number)}) for number, (request, _) in enumerate(batch)]
        try:
            for answer in self._completer.complete(requests):
                futures.pop(answer.request_id).set_result(answer)
        except TutelageError as fault:
            for future in futures.values():
                future.set_exception(fault)


class Refused(Exception):
    """A request that is not answered: the status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read(body: bytes, name: str) -> Request:
    """Return the request in a body of the protocol; raises :class:`Refused`."""
    try:
        asked = json.loads(body)
        if others := sorted(asked.keys() - set(FIELDS)):
            raise Refused(400, f"these fields are not known here: {', '.join(others)}")
        if asked["model"] != name:
            raise Refused(404, f"the model here is {name}, not {asked['model']}")
        said = {key: asked[key] for key in FIELDS[2:-1] if key in asked}
        messages = tuple(Message(role=one["role"], content=_text(one["content"])) for one in asked["messages"])
        return Request(id="", messages=messages, sampling=Sampling(**said), seed=asked.get("seed") or 0)
    except (KeyError, TypeError, AttributeError, ValueError, ValidationError) as fault:
        raise Refused(400, f"this is no request: {fault}") from fault


def _text(content: str) -> tuple[TextPart]:
    return (TextPart(kind="text", text=content),)


def written(answer: Answer, name: str) -> dict[str, Any]:
    """Return an answer as the protocol has it; raises :class:`Refused` for one that the model could not give."""
    if answer.finish == "error":
        raise Refused(503 if answer.transient else 400, answer.error)
    message = {"role": "assistant", "content": answer.text}
    usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
    choice = {"index": 0, "finish_reason": answer.finish, "message": message}
    return {
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
        "usage": usage,
    }


class Server(ThreadingHTTPServer):
    """A thread a connection; as many may knock at once as the completer of endpoints opens."""

    daemon_threads = True
    request_queue_size = 1024


def server(batches: Batches, name: str, port: int) -> Server:
    """Return a server on loopback, whose threads ask ``batches``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/v1/chat/completions":
                return self._say(404, {"error": {"message": f"there is no {self.path} here"}})
            try:
                self._say(200, written(batches.ask(read(body, name)), name))
            except Refused as fault:
                self._say(fault.status, {"error": {"message": str(fault)}})
            except TutelageError as fault:
                self._say(500, {"error": {"message": str(fault)}})

        def _say(self, status: int, said: dict[str, Any]) -> None:
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: a line a request helps nobody."""

    return Server(("127.0.0.1", port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="a hub id, a folder, a GGUF file or an alias")
    parser.add_argument("--name", help="the model's name here; absent: --model")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--batch-size", type=int, default=64)
    given = parser.parse_args()
    batches = Batches(LocalCompleter(load_bundle(given.model), batch_size=given.batch_size), given.batch_size)
    name = given.name or given.model
    with server(batches, name, given.port) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        print(f"{name} at http://127.0.0.1:{made.server_port}/v1", flush=True)
        batches.work()


if __name__ == "__main__":
    main()
