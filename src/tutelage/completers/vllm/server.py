"""A vLLM server of our own: started on this machine's loopback, waited for, and never left behind.

Options and variables are those of ``vllm serve`` 0.10 to 0.33. Beyond what is asked for: weights from safetensors
alone, sampling defaults of vLLM and not of the model's ``generation_config.json``, and no usage statistics.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import httpx

from tutelage.completers.vllm import guard
from tutelage.completers.vllm.api import ALLOW, VllmUnavailable
from tutelage.files import storage

COMMAND = "vllm"
SERVED = "base"
"""The name under which a server of ours gives its model."""
INSTALL = (
    "run: pip install 'tutelage[vllm]', or, as it brings a torch of its own, in another environment: python -m venv "
    "vllm-env && vllm-env/bin/pip install vllm, with vllm-env/bin on the PATH"
)
TAIL_LINES, TAIL_CHARACTERS = 12, 1500
_KEY = "VLLM_API_KEY"
_POLL_S = (0.05, 1.0)
"""Seconds between two looks whether it is up: first and longest."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a server is started with. ``model`` is a folder or a hub id; ``max_lora_rank`` 0: it takes no adapters.

    ``device`` is that of the recipe; ``chat_template`` a file that replaces the model's own.
    """

    model: str
    chat_template: Path
    revision: str | None = None
    dtype: str = "auto"
    max_lora_rank: int = 0
    gpu_memory: float = 0.8
    tensor_parallel: int = 1
    max_model_len: int | None = None
    device: str = "auto"
    offline: bool = False

    def arguments(self, port: int) -> list[str]:
        """Return the arguments of ``vllm``."""
        given = ["serve", self.model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", SERVED]
        given += ["--dtype", self.dtype, "--load-format", "safetensors", "--generation-config", "vllm"]
        given += ["--chat-template", str(self.chat_template.resolve()), "--chat-template-content-format", "string"]
        given += ["--gpu-memory-utilization", f"{self.gpu_memory:g}", "--seed", "0"]
        given += ["--tensor-parallel-size", str(self.tensor_parallel)]
        if self.revision is not None:
            given += ["--revision", self.revision]
        if self.max_lora_rank:
            given += ["--enable-lora", "--max-loras", "1", "--max-lora-rank", str(self.max_lora_rank)]
        if self.max_model_len is not None:
            given += ["--max-model-len", str(self.max_model_len)]
        return given

    def environment(self, key: str) -> dict[str, str]:
        """Return the environment of ``vllm``: ours, with the key, and without telemetry."""
        changed = {_KEY: key, ALLOW: "True", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        if self.offline:
            changed |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        if self.device.startswith("cuda:"):
            number, visible = int(self.device.removeprefix("cuda:")), os.environ.get("CUDA_VISIBLE_DEVICES", "")
            known = [name for name in visible.split(",") if name]
            changed["CUDA_VISIBLE_DEVICES"] = known[number] if number < len(known) else str(number)
        return {**os.environ, **changed}


def find_command() -> str | None:
    """Return the path of ``vllm``: on the PATH, or beside this interpreter; None where it is not installed."""
    beside = Path(sys.executable).parent / COMMAND
    return shutil.which(COMMAND) or (str(beside) if beside.is_file() else None)


def require_command() -> str:
    """Return the path of ``vllm``; raises :class:`VllmUnavailable` with the line that installs it."""
    if (command := find_command()) is None:
        raise VllmUnavailable("vLLM is not installed", received=f"no command {COMMAND}", remedy=INSTALL)
    return command


class VllmServer:
    """A server that runs while this object is open, and no longer: a guard ends it when this process ends, however.

    ``log`` gets what it writes, after what is there. The key is drawn here, handed over in the environment and written
    nowhere.
    """

    def __init__(self, launch: Launch, *, log: Path, start_s: float) -> None:
        self.launch = launch
        self.log = log
        self.key = secrets.token_urlsafe(32)
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0
        self._port = 0

    @property
    def url(self) -> str:
        """Its address, with ``/v1``."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and wait until it is up.

        Raises
        ------
        VllmUnavailable: it is not installed, ended, or is not up within the seconds; with the end of its log.
        """
        command = require_command()
        self._port = _free_port()
        try:
            with storage(self.log, "write the server's log"):
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with self.log.open("ab") as out:
                    self._began = out.tell()
                    self._process = self._guarded(command, out)
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it and wait until it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(guard.GRACE_S + 10)
        except subprocess.TimeoutExpired:  # the guard does not answer
            process.kill()
            process.wait()

    def tail(self) -> str:
        """Return the end of what this start has written."""
        with storage(self.log, "read the server's log"), self.log.open("rb") as opened:
            opened.seek(max(self._began, self.log.stat().st_size - 64 * 1024))
            lines = opened.read().decode(errors="replace").replace(self.key, "(the key)").splitlines()
        said = [line.strip() for line in lines if line.strip()]
        return "\n".join(said[-TAIL_LINES:])[-TAIL_CHARACTERS:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _guarded(self, command: str, out: IO[bytes]) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C at the terminal is ours to hear, and the server is then stopped in order.
        return subprocess.Popen(
            [sys.executable, "-I", str(Path(guard.__file__)), command, *self.launch.arguments(self._port)],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=self.launch.environment(self.key),
            start_new_session=True,
        )

    def _wait(self) -> None:
        assert self._process is not None
        health = f"http://127.0.0.1:{self._port}/health"
        until, pause = time.monotonic() + self._start_s, _POLL_S[0]
        with httpx.Client(trust_env=False, timeout=5) as client:
            while True:
                if (code := self._process.poll()) is not None:
                    raise self._fault(f"the vLLM server ended before it was up (exit code {code})")
                with suppress(httpx.HTTPError):
                    if client.get(health).status_code == 200:
                        return
                if time.monotonic() > until:
                    raise self._fault(
                        f"the vLLM server was not up within {self._start_s:g} s (engines.sampling.start_s)"
                    )
                time.sleep(pause)
                pause = min(1.5 * pause, _POLL_S[1])

    def _fault(self, what: str) -> VllmUnavailable:
        return VllmUnavailable(
            what,
            where=str(self.log),
            received=f"the end of its log:\n{self.tail() or '(nothing)'}",
            remedy="mend what it names; where it finds no device, this machine has no GPU that this build of vLLM "
            "knows, and needs its CPU build",
        )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
