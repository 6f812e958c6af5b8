"""What stands for a vLLM server: its routes, its command line and its error bodies, without a model behind them.

``with served(Behaviour(...)) as server`` runs it in a thread, for who joins one; :func:`install` puts it on the PATH as
the command ``vllm``, for who starts one. It reads the chat template and the tokenizer of the model's folder with jinja2
and tokenizers alone, so that what it tokenizes owes nothing to the code under test. All that it was asked is kept: in
``journal``, and line by line in the file of that name.
"""

import argparse
import hashlib
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

VERSION = "0.0.fake"
SETTINGS = "FAKE_VLLM"


@dataclass
class Behaviour:
    """``model``: the folder that is served, under ``name``. ``template``: a chat template in place of the folder's own.
    Before it is up it waits ``slow_s``, or writes ``crash`` and ends. ``refuses``: what it says to every adapter;
    without ``updating`` it has no such route, nor ``/tokenize`` without ``tokenizing``. It ends itself in the midst of
    the ``ends_at``-th answer. ``text`` is every answer, with the model's name and the seed in it."""

    model: str = ""
    name: str = ""
    key: str = ""
    template: str = ""
    slow_s: float = 0.0
    crash: str = ""
    refuses: str = ""
    max_lora_rank: int = 16
    max_model_len: int = 4096
    updating: bool = True
    tokenizing: bool = True
    ends_at: int = 0
    text: str = "{model} was asked with {seed}"
    journal: str = ""


@dataclass
class FakeVllm:
    """The server: ``journal`` are ``(what, details)`` in order, ``adapters`` those loaded now, by name."""

    behaviour: Behaviour
    journal: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    adapters: dict[str, str] = field(default_factory=dict)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        folder = Path(self.behaviour.model)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.special = json.loads((folder / "tokenizer_config.json").read_text())
        source = self.behaviour.template or (folder / "chat_template.jinja").read_text()
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        self.template = environment.from_string(source)

    def note(self, what: str, **details: Any) -> None:
        """Keep what happened."""
        with self.lock:
            self.journal.append((what, details))
            if self.behaviour.journal:
                with open(self.behaviour.journal, "a", encoding="utf-8") as file:
                    file.write(json.dumps([what, details]) + "\n")

    def tokens(self, messages: list[dict[str, str]]) -> list[int]:
        """The ids of the prompt."""
        bos = self.special.get("bos_token") or ""
        text = self.template.render(messages=messages, add_generation_prompt=True, bos_token=bos)
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def handle(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Return status and body of one request; a text is sent as it is."""
        routes: dict[tuple[str, str], Any] = {
            ("GET", "/health"): lambda _: (200, ""),
            ("GET", "/version"): lambda _: (200, {"version": VERSION}),
            ("GET", "/v1/models"): lambda _: (200, {"object": "list", "data": self._cards()}),
            ("POST", "/v1/chat/completions"): self._answer,
        }
        if self.behaviour.tokenizing:
            routes["POST", "/tokenize"] = self._tokenize
        if self.behaviour.updating:
            routes["POST", "/v1/load_lora_adapter"] = self._load
            routes["POST", "/v1/unload_lora_adapter"] = self._unload
        route = routes.get((method, path))
        return route(body) if route is not None else (404, {"detail": "Not Found"})

    def _cards(self) -> list[dict[str, Any]]:
        own, common = self.behaviour, {"object": "model", "owned_by": "vllm"}
        base = {"id": own.name, "root": own.model, "parent": None, "max_model_len": own.max_model_len, **common}
        return [base, *({"id": name, "root": at, "parent": own.name, **common} for name, at in self.adapters.items())]

    def _tokenize(self, body: dict[str, Any]) -> tuple[int, Any]:
        if (missing := self._missing(body)) is not None:
            return missing
        assert body["add_generation_prompt"] is True
        self.note("tokenize", model=body["model"])
        ids = self.tokens(body["messages"])
        return 200, {"count": len(ids), "max_model_len": self.behaviour.max_model_len, "tokens": ids}

    def _load(self, body: dict[str, Any]) -> tuple[int, Any]:
        name, path = body["lora_name"], Path(body["lora_path"])
        if name in self.adapters:
            return _error(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded.")
        if not (path / "adapter_config.json").is_file():
            return _error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {path}")
        config = json.loads((path / "adapter_config.json").read_text())
        most = self.behaviour.max_lora_rank
        if config["r"] > most:
            message = f"LoRA rank {config['r']} is greater than max_lora_rank {most}."
            return _error(500, "InternalServerError", message)
        if self.behaviour.refuses:
            return _error(500, "InternalServerError", self.behaviour.refuses)
        digest = hashlib.sha256((path / "adapter_model.safetensors").read_bytes()).hexdigest()
        self.adapters[name] = str(path)
        self.note("load", name=name, path=str(path), sha256=digest)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        self.note("unload", name=name)
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def _missing(self, body: dict[str, Any]) -> tuple[int, Any] | None:
        if body["model"] in {self.behaviour.name, *self.adapters}:
            return None
        return _error(404, "NotFoundError", f"The model `{body['model']}` does not exist.")

    def _answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        if (missing := self._missing(body)) is not None:
            return missing
        self.note("ask", **body)
        if sum(what == "ask" for what, _ in self.journal) == self.behaviour.ends_at:
            print("RuntimeError: CUDA error: an illegal memory access was encountered", flush=True)
            os._exit(1)
        prompt, most = len(self.tokens(body["messages"])), self.behaviour.max_model_len
        if prompt + body["max_tokens"] > most:
            asked = f"you requested {body['max_tokens']} output tokens and your prompt contains at least {prompt}"
            return _error(400, "BadRequestError", f"This model's maximum context length is {most} tokens. {asked}.")
        ids = self.tokenizer.encode(self.behaviour.text.format(**body), add_special_tokens=False).ids
        written = ids[: body["max_tokens"]]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": self.tokenizer.decode(written), "reasoning": None},
            "finish_reason": "stop" if len(written) == len(ids) else "length",
            "stop_reason": None,
        }
        usage = {"prompt_tokens": prompt, "completion_tokens": len(written) + 1}
        return 200, {"id": "chatcmpl-1", "model": body["model"], "choices": [choice], "usage": usage}


def _error(status: int, kind: str, message: str) -> tuple[int, Any]:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}


def http_server(fake: FakeVllm, port: int = 0) -> ThreadingHTTPServer:
    """The server on loopback, not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            key = fake.behaviour.key
            if key and self.path.startswith("/v1") and self.headers.get("Authorization") != f"Bearer {key}":
                status, said = 401, {"error": "Unauthorized"}
            else:
                status, said = fake.handle(self.command, self.path, body)
            content = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(said, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do  # as the library calls them

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True

    made = Server(("127.0.0.1", port), Handler)
    fake.url = f"http://127.0.0.1:{made.server_address[1]}/v1"
    return made


@contextmanager
def served(behaviour: Behaviour) -> Iterator[FakeVllm]:
    """A server in a thread of its own."""
    fake = FakeVllm(behaviour)
    server = http_server(fake)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install(folder: Path, behaviour: Behaviour | None = None) -> dict[str, str]:
    """Write the command ``vllm`` into ``folder``; returns what the environment of who calls it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "vllm"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    settings = json.dumps(asdict(behaviour or Behaviour()))
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", SETTINGS: settings}


def read_journal(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """What the servers that were started have been asked, in order."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [(what, details) for what, details in map(json.loads, lines)]


def command_line(argv: list[str]) -> argparse.Namespace:
    """Read what ``vllm serve`` is given; what the real one does not know either is an error."""
    parser = argparse.ArgumentParser(prog="vllm")
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--dtype", choices=["auto", "bfloat16", "float32"])
    parser.add_argument("--load-format")
    parser.add_argument("--generation-config")
    parser.add_argument("--chat-template", type=Path)
    parser.add_argument("--chat-template-content-format", choices=["auto", "string", "openai"])
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--tensor-parallel-size", type=int)
    parser.add_argument("--revision")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int)
    parser.add_argument("--max-lora-rank", type=int, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512], default=16)
    parser.add_argument("--max-model-len", type=int)
    return parser.parse_args(argv)


def main() -> None:
    """Be the command."""
    given, behaviour = command_line(sys.argv[1:]), Behaviour(**json.loads(os.environ[SETTINGS]))
    print(f"INFO vLLM API server version {VERSION}, arguments {sys.argv[1:]}", flush=True)
    time.sleep(behaviour.slow_s)
    if behaviour.crash:
        print(behaviour.crash, flush=True)
        sys.exit(1)
    behaviour.model, behaviour.name = given.model, given.served_model_name
    behaviour.key = os.environ["VLLM_API_KEY"]
    behaviour.template = behaviour.template or given.chat_template.read_text()
    behaviour.max_lora_rank, behaviour.max_model_len = given.max_lora_rank, given.max_model_len or 4096
    allowed = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "0").lower() in ("1", "true")
    behaviour.updating = behaviour.updating and allowed
    behaviour.refuses = behaviour.refuses or ("" if given.enable_lora else "LoRA is not enabled.")
    fake = FakeVllm(behaviour)
    quiet = os.environ.get("VLLM_NO_USAGE_STATS")
    fake.note("start", pid=os.getpid(), port=given.port, argv=sys.argv[1:], no_usage_stats=quiet)
    http_server(fake, given.port).serve_forever(0.05)


if __name__ == "__main__":
    main()
