"""``benchmarks/serve.py``: an endpoint answers with the reference engine, each request by its own seed."""

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.local import LocalCompleter
from tutelage.models.tiny import tiny_model
from tutelage.records import Answer, Request, Sampling, assistant, user

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "serve.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_serve", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url(script: ModuleType) -> Iterator[str]:
    """A server of the tiny model, eight rows together."""
    batches = script.Batches(LocalCompleter(tiny_model(), batch_size=8), 8)
    with script.server(batches, "tiny", 0) as server:
        threads = [threading.Thread(target=work) for work in (server.serve_forever, batches.work)]
        for thread in threads:
            thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        batches.stop()
        server.shutdown()
        for thread in threads:
            thread.join()


def requests() -> list[Request]:
    """Sampled in two ways, of one turn and of three."""
    shots = (user("Say a river."), assistant("A river."))
    sampled = Sampling(temperature=0.9, top_p=0.9, max_tokens=7)
    # The tiny model's greedy answers are empty lines, and an empty answer is none.
    other = Sampling(temperature=1.2, top_k=50, max_tokens=5, repetition_penalty=1.3)
    return [
        Request(
            id=f"r{n}",
            messages=(*(shots if n % 2 else ()), user(f"Say garden {n}.")),
            sampling=sampled if n % 3 else other,
            seed=n,
        )
        for n in range(12)
    ]


def told(answers: list[Answer]) -> dict[str, tuple[str, str, int | None, int | None]]:
    return {a.request_id: (a.text, a.finish, a.prompt_tokens, a.completion_tokens) for a in answers}


def test_an_endpoint_answers_as_the_engine_does(url: str) -> None:
    asked = requests()
    with RemoteCompleter(url, "tiny", concurrency=1) as remote:
        one_by_one = told(list(remote.complete(asked)))
    alone = LocalCompleter(tiny_model(), batch_size=8)
    assert one_by_one == told([answer for request in asked for answer in alone.complete([request])])
    with RemoteCompleter(url, "tiny", concurrency=12) as remote:
        assert told(list(remote.complete(asked))) == one_by_one, "in float32 no batch changes a token of these"


def test_what_is_no_request_is_refused_in_words(url: str) -> None:
    def say(**body: object) -> tuple[int, str]:
        reply = httpx.post(f"{url}/chat/completions", json=body, trust_env=False)
        return reply.status_code, reply.json()["error"]["message"]

    turn = [{"role": "user", "content": "Say it."}]
    assert say(model="other", messages=turn) == (404, "the model here is tiny, not other")
    assert say(model="tiny", messages=turn, stream=True)[1] == "these fields are not known here: stream"
    for wrong in ({"temperature": -1}, {"messages": [{"role": "user"}]}, {"messages": "Say it."}):
        status, reason = say(**{"model": "tiny", "messages": turn, **wrong})
        assert (status, reason.partition(":")[0]) == (400, "this is no request")
    long = [{"role": "user", "content": "word " * 5000}]
    assert say(model="tiny", messages=long, max_tokens=4)[0] == 400, "longer than what the model reads"
    assert httpx.post(f"{url}/completions", json={}, trust_env=False).status_code == 404
