"""What every completer promises."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.vllm_server import Behaviour, served
from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.completers.vllm.completer import Line, VllmCompleter
from tutelage.errors import CompletionError
from tutelage.models.load import save_folder
from tutelage.models.tiny import tiny_model
from tutelage.records import Engine, Request, Sampling, system, user

BUNDLE = tiny_model()


class Echo(BaseHTTPRequestHandler):
    """A chat completions endpoint that says which words it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "You said: " + asked["messages"][-1]["content"]},
        }
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def echo_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def local(cache: Path) -> Iterator[Completer]:
    yield LocalCompleter(BUNDLE, batch_size=3)


@contextmanager
def fast(cache: Path) -> Iterator[Completer]:
    yield CTranslate2Completer.of(BUNDLE, workers=2, batch_size=3, cache=cache)


@contextmanager
def remote(cache: Path) -> Iterator[Completer]:
    with echo_server() as address:
        yield RemoteCompleter(address, "echo", concurrency=3)


@contextmanager
def fallback(cache: Path) -> Iterator[Completer]:
    with echo_server() as address:
        members = [Member(name, RemoteCompleter(address, name, concurrency=3)) for name in ("echo", "other")]
        yield FallbackCompleter(members)


@contextmanager
def scripted(cache: Path) -> Iterator[Completer]:
    yield ScriptedCompleter(lambda request: f"You said: {request.messages[-1].text}")


@contextmanager
def vllm(cache: Path) -> Iterator[Completer]:
    folder = cache / "vllm"
    if not folder.is_dir():
        save_folder(BUNDLE, folder)
    with served(Behaviour(str(folder), "m")) as server:
        line = Line(server.url, concurrency=3)
        engine = Engine(model="tiny", engine="vllm")
        with VllmCompleter(line, "m", template=BUNDLE.template, engine=engine, context=4096) as made:
            yield made


MAKERS: dict[str, Callable] = {
    "local": local,
    "ct2": fast,
    "remote": remote,
    "fallback": fallback,
    "vllm": vllm,
    "scripted": scripted,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(params=list(MAKERS))
def completer(request: pytest.FixtureRequest, cache: Path) -> Iterator[Completer]:
    if request.param == "ct2":
        pytest.importorskip("ctranslate2")
    with MAKERS[request.param](cache) as made, made as entered:
        assert entered is made
        yield made


def requests(count: int, **settings: float) -> list[Request]:
    return [
        Request(
            id=f"item/{number}",
            messages=(system("Be short."), user("word " * (1 + number % 4) + str(number // 2))),
            sampling=Sampling(max_tokens=3 + number % 5, temperature=(number % 3) / 2, **settings),
            seed=number,
        )
        for number in range(count)
    ]


def test_it_is_a_completer(completer: Completer) -> None:
    assert isinstance(completer, Completer)
    assert completer.engine.model
    assert completer.engine.engine
    assert completer.engine == completer.engine


def test_every_request_gets_one_answer(completer: Completer) -> None:
    asked = requests(11)
    answers = list(completer.complete(asked))
    assert sorted(answer.request_id for answer in answers) == sorted(request.id for request in asked)
    seeds = {request.id: request.seed for request in asked}
    for answer in answers:
        assert answer.finish in ("stop", "length"), answer.error
        assert answer.seed == seeds[answer.request_id]
        assert answer.completion_tokens is None or answer.completion_tokens > 0


def test_no_requests_no_answers(completer: Completer) -> None:
    assert list(completer.complete([])) == []


def test_equal_calls_give_equal_answers_whatever_ran_between(completer: Completer) -> None:
    first = sorted(completer.complete(requests(7)), key=lambda answer: answer.request_id)
    list(completer.complete(requests(4, top_p=0.9)))
    again = sorted(completer.complete(requests(7)), key=lambda answer: answer.request_id)
    assert first == again


def test_two_requests_with_one_id_are_refused(completer: Completer) -> None:
    one = requests(1)
    with pytest.raises(CompletionError, match=r"different ids .*item/0"):
        list(completer.complete(one + one))


def test_a_call_that_is_given_up_leaves_nothing_running(completer: Completer) -> None:
    before = threading.active_count()
    answers = completer.complete(requests(12))
    next(answers)
    assert isinstance(answers, Iterator)
    answers.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before + 4  # the endpoint's loop, and the server's three connections
    assert len(list(completer.complete(requests(5)))) == 5


@pytest.mark.parametrize("kind", ["local", "ct2", "vllm"])
def test_a_prompt_longer_than_the_model_reads_comes_back_with_the_reason(kind: str, cache: Path) -> None:
    long = Request(id="long", messages=(user("far too long " * 4000),))
    with MAKERS[kind](cache) as made:
        answers = {answer.request_id: answer for answer in made.complete([long, *requests(2)])}
    assert answers["long"].finish == "error"
    assert "reads 4096" in answers["long"].error
    assert answers["item/1"].finish != "error"


@pytest.mark.parametrize("kind", ["local", "ct2"])
def test_greedy_answers_do_not_depend_on_the_seed(kind: str, cache: Path) -> None:
    one = [Request(id="a", messages=(user("Hello"),), sampling=Sampling(max_tokens=9), seed=1)]
    two = [one[0].model_copy(update={"seed": 2})]
    with MAKERS[kind](cache) as made:
        assert next(made.complete(one)).text == next(made.complete(two)).text


@pytest.mark.parametrize("kind", ["local", "ct2"])
def test_samples_of_one_prompt_differ_by_their_seeds(kind: str, cache: Path) -> None:
    sampling = Sampling(max_tokens=12, temperature=1.0)
    asked = [Request(id=str(n), messages=(user("Hello"),), sampling=sampling, seed=n) for n in range(8)]
    with MAKERS[kind](cache) as made:
        assert len({answer.text for answer in made.complete(asked)}) == 8


def test_the_torch_free_completers_are_torch_free() -> None:
    names = ", ".join(
        f"tutelage.completers.{name}"
        for name in ("endpoints.fallback", "replay", "scripted", "structured.asking", "vllm.completer", "vllm.server")
    )
    code = (
        f"import sys, {names};sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'ctranslate2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
