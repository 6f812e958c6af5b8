"""The endpoint completer against a server on this machine that misbehaves on demand."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.errors import CompletionError
from tutelage.records import Message, Request, Sampling, TextPart, ToolCall, user
from tutelage.records.messages import ImagePart

Reply = tuple[int, object]
ONCE = Patience(retries=0)


class Endpoint:
    """A server whose replies are a function of (path, headers, body, number of the call)."""

    def __init__(self, reply: Callable[[dict, int], Reply]) -> None:
        self.calls: list[tuple[str, dict, dict]] = []
        self.at_once = self.most_at_once = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    outer.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, asked))
                    number = len(outer.calls)
                status, content = reply(asked, number)
                with lock:
                    outer.at_once -= 1
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("retry-after-ms", "5")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict, int], Reply]], Endpoint]]:
    started: list[Endpoint] = []

    def start(reply: Callable[[dict, int], Reply]) -> Endpoint:
        started.append(Endpoint(reply))
        return started[-1]

    yield start
    for endpoint in started:
        endpoint.stop()


def completion(text: str | None, *, finish: str = "stop", usage: bool = True, **message: object) -> dict:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        **({"usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}} if usage else {}),
    }


def ask(count: int = 1, **sampling: float) -> list[Request]:
    return [
        Request(id=f"r{n}", messages=(user(f"q{n}"),), sampling=Sampling(**sampling), seed=40 + n) for n in range(count)
    ]


def test_what_is_sent_and_what_is_read(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_ENDPOINT_KEY", "s3cret")
    endpoint = serve(lambda asked, number: (200, completion("Good day.")))
    with RemoteCompleter(endpoint.url, "some-model", key_variable="MY_ENDPOINT_KEY") as completer:
        (answer,) = completer.complete(ask(temperature=0.5, top_p=0.9, top_k=7, max_tokens=33, repetition_penalty=1.1))
        assert "s3cret" not in repr(completer.engine)
    assert (answer.text, answer.finish, answer.seed) == ("Good day.", "stop", 40)
    assert (answer.prompt_tokens, answer.completion_tokens) == (11, 5)
    path, headers, asked = endpoint.calls[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer s3cret"
    assert asked == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "q0"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "repetition_penalty": 1.1,
        "max_tokens": 33,
        "seed": 40,
    }


def test_no_key_of_another_service_is_sent(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "for-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    endpoint = serve(lambda asked, number: (200, completion("x")))
    with RemoteCompleter(endpoint.url, "m") as completer:
        list(completer.complete(ask()))
    sent = json.dumps(endpoint.calls[0][1])
    assert "for-somebody-else" not in sent
    assert '"org"' not in sent


def test_filters_that_are_off_are_not_sent(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (200, completion("x")))
    with RemoteCompleter(endpoint.url, "m") as completer:
        list(completer.complete(ask()))
    assert not {"top_k", "repetition_penalty"} & set(endpoint.calls[0][2])


@pytest.mark.parametrize(
    ("reply", "text", "reasoning", "finish"),
    [
        (completion("cut", finish="length"), "cut", "", "length"),
        (completion("<think>\nwell\n</think>\n\nYes."), "Yes.", "well", "stop"),
        (completion("<think>never closed", finish="length"), "", "never closed", "length"),
        (completion("well, why\n</think>\n\nYes."), "Yes.", "well, why", "stop"),
        (completion("[THINK]well[/THINK]Yes."), "Yes.", "well", "stop"),
        (completion("well[/THINK]\nYes: </think>."), "Yes: </think>.", "well", "stop"),
        (completion("<|begin_of_thought|>\nwell<|end_of_thought|>\nYes."), "Yes.", "well", "stop"),
        (completion("It writes <think>so</think> first."), "It writes <think>so</think> first.", "", "stop"),
        (completion("Yes.", reasoning_content="hm"), "Yes.", "hm", "stop"),
        (completion("Yes.", reasoning="hm"), "Yes.", "hm", "stop"),
    ],
)
def test_finish_and_reasoning(serve: Callable, reply: dict, text: str, reasoning: str, finish: str) -> None:
    endpoint = serve(lambda asked, number: (200, reply))
    with RemoteCompleter(endpoint.url, "m") as completer:
        (answer,) = completer.complete(ask())
    assert (answer.text, answer.reasoning, answer.finish) == (text, reasoning, finish)


def test_unknown_token_counts_stay_unknown(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (200, completion("x", usage=False)))
    with RemoteCompleter(endpoint.url, "m") as completer:
        (answer,) = completer.complete(ask())
    assert answer.prompt_tokens is None
    assert answer.completion_tokens is None


def test_a_busy_endpoint_is_tried_again(serve: Callable) -> None:
    replies = {1: (429, {"error": {"message": "slow down"}}), 2: (503, {"error": {"message": "starting"}})}
    endpoint = serve(lambda asked, number: replies.get(number, (200, completion("at last"))))
    with RemoteCompleter(endpoint.url, "m") as completer:
        (answer,) = completer.complete(ask())
    assert answer.text == "at last"
    assert len(endpoint.calls) == 3


def test_retries_are_bounded_and_one_bad_request_spoils_no_other(serve: Callable) -> None:
    def reply(asked: dict, number: int) -> Reply:
        bad = asked["messages"][0]["content"] == "q1"
        return (500, {"error": {"message": "broken"}}) if bad else (200, completion("fine"))

    endpoint = serve(reply)
    with RemoteCompleter(endpoint.url, "m", patience=Patience(retries=2, base_s=0.01)) as completer:
        answers = {answer.request_id: answer for answer in completer.complete(ask(4))}
    assert [answers[f"r{n}"].finish for n in range(4)] == ["stop", "error", "stop", "stop"]
    assert "500" in answers["r1"].error
    assert answers["r1"].text == ""
    assert len(endpoint.calls) == 3 + 3


@pytest.mark.parametrize(
    "reply",
    [
        (400, {"error": {"message": "context length exceeded"}}),
        (200, completion("", finish="content_filter")),
        (200, {**completion("x"), "choices": []}),
        (200, b"<html>not json</html>"),
        (200, b'{"choices": "none"}'),
        (200, [1, 2]),
    ],
)
def test_answers_that_are_none_come_back_with_the_reason(serve: Callable, reply: Reply) -> None:
    endpoint = serve(lambda asked, number: reply)
    with RemoteCompleter(endpoint.url, "m", patience=ONCE) as completer:
        (answer,) = completer.complete(ask())
    assert answer.finish == "error"
    assert answer.error


@pytest.mark.parametrize(
    ("reply", "transient"),
    [
        ((400, {"error": {"message": "context length exceeded"}}), False),
        ((200, completion("", finish="content_filter")), False),
        ((429, {"error": {"message": "slow down"}}), True),
        ((502, {"error": {"message": "bad gateway"}}), True),
        ((200, b"<html>starting</html>"), True),
    ],
)
def test_an_error_says_whether_it_may_pass(serve: Callable, reply: Reply, transient: bool) -> None:
    endpoint = serve(lambda asked, number: reply)
    with RemoteCompleter(endpoint.url, "m", patience=ONCE) as completer:
        (answer,) = completer.complete(ask())
    assert (answer.finish, answer.transient) == ("error", transient)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_the_call(serve: Callable, status: int) -> None:
    endpoint = serve(lambda asked, number: (status, {"error": {"message": "no"}}))
    with RemoteCompleter(endpoint.url, "m") as completer, pytest.raises(CompletionError, match="Check that it is"):
        list(completer.complete(ask(20)))
    assert len(endpoint.calls) <= 16


def test_an_endpoint_that_is_not_there(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (200, completion("x")))
    endpoint.stop()
    endpoint.stop = lambda: None
    with RemoteCompleter(endpoint.url, "m", patience=ONCE) as completer, pytest.raises(CompletionError) as raised:
        list(completer.complete(ask(5)))
    assert "cannot be reached" in str(raised.value)
    assert endpoint.url in str(raised.value)


def test_time_out(serve: Callable) -> None:
    def reply(asked: dict, number: int) -> Reply:
        if asked["messages"][0]["content"] == "q1":
            time.sleep(1.0)
        return 200, completion("x")

    endpoint = serve(reply)
    with RemoteCompleter(endpoint.url, "m", patience=Patience(retries=0, answer_s=0.5), concurrency=1) as completer:
        answers = {answer.request_id: answer for answer in completer.complete(ask(3))}
    assert [answers[f"r{n}"].finish for n in range(3)] == ["stop", "error", "stop"]
    assert "Timeout" in answers["r1"].error
    assert answers["r1"].transient


def test_concurrency_is_bounded(serve: Callable) -> None:
    def reply(asked: dict, number: int) -> Reply:
        time.sleep(0.02)
        return 200, completion("x")

    endpoint = serve(reply)
    with RemoteCompleter(endpoint.url, "m", concurrency=3) as completer:
        assert len(list(completer.complete(ask(15)))) == 15
    assert 2 <= endpoint.most_at_once <= 3


def test_tool_calls_and_pictures(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (200, completion("22 °C")))
    call = Message(role="assistant", tool_calls=(ToolCall(name="weather", arguments={"city": "Bonn"}, id="c1"),))
    result = Message(role="tool", content=(TextPart(kind="text", text="22"),), tool_call_id="c1")
    picture = Message(role="user", content=(ImagePart(kind="image", uri="a.png"),))
    asked = [Request(id="tool", messages=(user("?"), call, result)), Request(id="picture", messages=(picture,))]
    with RemoteCompleter(endpoint.url, "m") as completer:
        answers = {answer.request_id: answer for answer in completer.complete(asked)}
    assert answers["tool"].text == "22 °C"
    sent = endpoint.calls[0][2]["messages"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Bonn"}'}
    assert sent[2]["tool_call_id"] == "c1"
    assert answers["picture"].finish == "error"
    assert "which folder the image lies in" in answers["picture"].error


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("http://192.168.0.7:8000/v1", "not on this machine"),
        ("https://api.example.com/v1", "not on this machine"),
        ("http://localhost.example.com/v1", "not on this machine"),
        ("http://127.0.0.1.example.com/v1", "not on this machine"),
        ("ftp://127.0.0.1/v1", "no endpoint address"),
        ("127.0.0.1:8000", "no endpoint address"),
        ("http://user:pw@127.0.0.1/v1", "holds credentials"),
    ],
)
def test_addresses_that_are_refused(address: str, what: str) -> None:
    with pytest.raises(CompletionError, match=what) as raised:
        RemoteCompleter(address, "m")
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("address", ["http://localhost:1/v1", "http://[::1]:1/v1", "http://127.0.0.9:1/v1"])
def test_addresses_on_this_machine(address: str) -> None:
    with RemoteCompleter(address, "m") as completer:
        assert address in completer.engine.engine


def test_elsewhere_only_when_allowed() -> None:
    with RemoteCompleter("https://api.example.com/v1", "m", allow_remote=True) as completer:
        assert "api.example.com" in completer.engine.engine


def test_a_key_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(CompletionError, match="NO_SUCH_KEY"):
        RemoteCompleter("http://localhost:1/v1", "m", key_variable="NO_SUCH_KEY")


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        ((402, {"error": {"message": "no credit"}}), "wants to be paid"),
        ((429, {"error": {"message": "quota", "code": "insufficient_quota"}}), "wants to be paid"),
        ((405, {"detail": "Method Not Allowed"}), "address is unknown"),
        ((307, b""), "leads elsewhere"),
        ((200, {"error": {"message": "no such key", "code": 401}}), "rejects the key"),
    ],
)
def test_what_holds_for_every_request_ends_the_call(serve: Callable, reply: Reply, what: str) -> None:
    endpoint = serve(lambda asked, number: reply)
    with RemoteCompleter(endpoint.url, "m") as completer, pytest.raises(CompletionError, match=what):
        list(completer.complete(ask(40)))
    assert len(endpoint.calls) <= 8


def test_a_refusal_of_one_request_is_none_of_all(serve: Callable) -> None:
    replies = {"q3": (403, {"error": {"message": "flagged"}}), "q4": (422, {"error": "too long"})}
    replies["q5"] = (200, {"error": {"message": "filtered", "type": "content_filter"}})
    endpoint = serve(lambda asked, number: replies.get(asked["messages"][0]["content"], (200, completion("fine"))))
    with RemoteCompleter(endpoint.url, "m", concurrency=1) as completer:
        answers = {answer.request_id: answer for answer in completer.complete(ask(8))}
    said = {name: answer.error for name, answer in answers.items() if answer.finish == "error"}
    assert set(said) == {"r3", "r4", "r5"}
    assert "flagged" in said["r3"]
    assert "422" in said["r4"]
    assert "filtered" in said["r5"]
    assert not any(answers[name].transient for name in said)
    assert len(endpoint.calls) == 8, "what is refused for good is not tried again"


def test_an_endpoint_that_refuses_everything_is_not_asked_for_everything(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (400, {"error": {"message": "unknown parameter: seed"}}))
    with (
        RemoteCompleter(endpoint.url, "m") as completer,
        pytest.raises(CompletionError, match=r"refuses every request.*unknown parameter: seed"),
    ):
        list(completer.complete(ask(300)))
    assert len(endpoint.calls) <= 20 + 16


def test_what_was_in_flight_when_the_call_ends_is_given_on(serve: Callable) -> None:
    def reply(asked: dict, number: int) -> Reply:
        if asked["messages"][0]["content"] == "q0":
            return 401, {"error": {"message": "no"}}
        time.sleep(0.2)
        return 200, completion("paid")

    endpoint = serve(reply)
    arrived = []
    with RemoteCompleter(endpoint.url, "m", concurrency=4) as completer, pytest.raises(CompletionError):
        arrived.extend(completer.complete(ask(30)))
    assert 1 <= len(endpoint.calls) <= 8
    assert len(arrived) == len(endpoint.calls) - 1


def test_a_cut_answer_with_nothing_to_show_is_no_answer(serve: Callable) -> None:
    endpoint = serve(lambda asked, number: (200, completion("", finish="length")))
    with RemoteCompleter(endpoint.url, "m") as completer:
        (answer,) = completer.complete(ask())
    assert "max_tokens went to what is not shown" in answer.error
    assert not answer.transient
    assert len(endpoint.calls) == 1


def test_a_key_with_a_line_break_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_ENDPOINT_KEY", "abc\nX-Other: 1")
    with pytest.raises(CompletionError, match="MY_ENDPOINT_KEY") as raised:
        RemoteCompleter("http://localhost:1/v1", "m", key_variable="MY_ENDPOINT_KEY")
    assert "abc" not in str(raised.value)
