"""Asking a vLLM server: the prompts are ours, every setting is sent, and what cannot be answered says so by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.vllm_server import Behaviour, FakeVllm, served
from tutelage.completers.vllm.api import AdapterRefused, VllmApi, VllmUnavailable
from tutelage.completers.vllm.completer import CONVERSATIONS, Line, VllmCompleter, require_same_prompts
from tutelage.errors import CompletionError
from tutelage.models.load import load_bundle, load_template, save_folder
from tutelage.models.template import ChatTemplate
from tutelage.records import Answer, AnswerSchema, Engine, Request, Sampling, assistant, system, user

ENGINE = Engine(model="tiny", engine="vllm 1")
# Gemma's way: no system turn. The tokens are the tiny model's.
WITHOUT_SYSTEM = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = (
    "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}{# </think> #}"
)
DATED = "{{ bos_token }}It is {{ strftime_now('%Y-%m-%d') }}.\n" + THINKING.removeprefix("{{ bos_token }}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_folder(load_bundle("tiny"), folder)
    return folder


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return load_template("tiny")


@pytest.fixture
def server(model: Path) -> Iterator[FakeVllm]:
    with served(Behaviour(str(model), "m")) as made:
        yield made


@contextmanager
def client(model: Path, **behaviour: Any) -> Iterator[VllmApi]:
    """A client of a server that behaves so."""
    with served(Behaviour(str(model), "m", **behaviour)) as server, VllmApi(server.url, "") as api:
        yield api


def ask(
    server: FakeVllm, template: ChatTemplate, requests: list[Request], *, name: str = "m", context: int = 4096
) -> dict[str, Answer]:
    line = Line(server.url, server.behaviour.key)
    with VllmCompleter(line, name, template=template, engine=ENGINE, context=context) as completer:
        return {answer.request_id: answer for answer in completer.complete(requests)}


def bodies(server: FakeVllm) -> list[dict[str, Any]]:
    return [details for what, details in server.journal if what == "ask"]


def request(id: str = "r", text: str = "Hello", **sampling: Any) -> Request:
    return Request(id=id, messages=(user(text),), sampling=Sampling(**{"max_tokens": 40, **sampling}), seed=7)


def test_every_setting_is_sent_so_that_no_default_of_the_server_counts(
    server: FakeVllm, template: ChatTemplate
) -> None:
    asked = [request("a", temperature=0.7, top_p=0.9), request("b", top_k=5, repetition_penalty=1.2)]
    answers = ask(server, template, asked)
    assert {answer.text for answer in answers.values()} == {"m was asked with 7"}
    plain, special = sorted(bodies(server), key=lambda body: body["top_k"])
    common = {"min_p": 0.0, "seed": 7, "stop_token_ids": list(template.end_ids), "skip_special_tokens": False}
    assert common.items() <= plain.items()
    assert common.items() <= special.items()
    wanted = {"temperature": 0.7, "top_p": 0.9, "top_k": -1, "repetition_penalty": 1.0, "max_tokens": 40}
    assert wanted.items() <= plain.items()
    assert {"temperature": 0.0, "top_p": 1.0, "top_k": 5, "repetition_penalty": 1.2}.items() <= special.items()


def test_the_schema_of_an_answer_is_passed_on(server: FakeVllm, template: ChatTemplate) -> None:
    schema = AnswerSchema(name="one", json_schema={"type": "object", "properties": {"a": {"type": "integer"}}})
    ask(server, template, [request().model_copy(update={"answer_schema": schema})])
    sent = {"name": "one", "strict": True, "schema": schema.json_schema}
    assert bodies(server)[0]["response_format"] == {"type": "json_schema", "json_schema": sent}


def test_what_is_too_long_fails_by_name_and_what_is_nearly_is_cut(server: FakeVllm, template: ChatTemplate) -> None:
    prompt = len(template.encode_prompt(request().messages))
    server.behaviour.max_model_len = context = prompt + 3
    answers = ask(server, template, [request("fits"), request("not", "Hello " * 50)], context=context)
    assert (answers["fits"].finish, answers["fits"].completion_tokens) == ("length", 4)
    assert answers["not"].finish == "error"
    assert not answers["not"].transient
    assert f"the model reads {context}" in answers["not"].error
    assert [body["max_tokens"] for body in bodies(server)] == [3], "the server was not asked for what it would refuse"


def test_a_limit_that_only_the_server_knows_is_a_failure_by_name(server: FakeVllm, template: ChatTemplate) -> None:
    server.behaviour.max_model_len = 8
    (answer,) = ask(server, template, [request()]).values()
    assert (answer.finish, answer.transient) == ("error", False)
    assert "maximum context length is 8 tokens" in answer.error


def test_an_answer_to_another_prompt_is_none(model: Path, template: ChatTemplate) -> None:
    other = template.program.replace("<|im_start|>{{ message.role }}", "<|im_start|>{{ message.role }}: ")
    with served(Behaviour(str(model), "m", template=other)) as server:
        (answer,) = ask(server, template, [request()]).values()
    assert answer.finish == "error"
    assert "its chat template is another one" in answer.error


def test_an_answer_without_a_word_is_the_models(server: FakeVllm, template: ChatTemplate) -> None:
    server.behaviour.text = ""
    (answer,) = ask(server, template, [request()]).values()
    assert (answer.finish, answer.text) == ("stop", "")
    assert len(bodies(server)) == 1


def test_reasoning_that_the_prompt_opened_and_nothing_closed_is_no_answer(model: Path, tmp_path: Path) -> None:
    (file := tmp_path / "chat.jinja").write_text(THINKING)
    template = load_template("tiny", template=file)
    with served(Behaviour(str(model), "m", template=THINKING, text="I wonder")) as server:
        (answer,) = ask(server, template, [request()]).values()
        assert (answer.reasoning, answer.text) == ("I wonder", "")
        server.behaviour.text = "I wonder</think>\nYes."
        (answer,) = ask(server, template, [request()]).values()
        assert (answer.reasoning, answer.text) == ("I wonder", "Yes.")


def test_a_system_turn_is_folded_where_the_template_has_none(model: Path, tmp_path: Path) -> None:
    (file := tmp_path / "chat.jinja").write_text(WITHOUT_SYSTEM)
    template = load_template("tiny", template=file)
    assert template.folds_system
    with served(Behaviour(str(model), "m", template=WITHOUT_SYSTEM)) as server:
        with VllmApi(server.url, "") as api:
            require_same_prompts(api, "m", template)
        asked = Request(id="r", messages=(system("Be kind."), user("Hello")), sampling=Sampling(max_tokens=40))
        (answer,) = ask(server, template, [asked]).values()
        assert answer.finish == "stop"
        (body,) = bodies(server)
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_equal_prompts_are_found_equal(server: FakeVllm, template: ChatTemplate) -> None:
    with VllmApi(server.url, "") as api:
        require_same_prompts(api, "m", template)
    assert sum(what == "tokenize" for what, _ in server.journal) == len(CONVERSATIONS)
    roles = {tuple(message.role for message in conversation) for conversation in CONVERSATIONS}
    assert {("user",), ("system", "user"), ("user", "assistant", "user")} <= roles


def test_another_template_is_refused_with_the_first_difference(model: Path, template: ChatTemplate) -> None:
    other = template.program.replace("<|im_end|>\n{% endfor %}", "<|im_end|>{% endfor %}")
    assert other != template.program
    at = len(template.encode_prompt(CONVERSATIONS[0])) - template.encode_prompt(CONVERSATIONS[0])[::-1].index(
        template.end_ids[0]
    )
    with (
        client(model, template=other) as api,
        pytest.raises(CompletionError, match=rf"makes other prompts.*from token {at} on.*chat-template") as caught,
    ):
        require_same_prompts(api, "m", template)
    assert not isinstance(caught.value, VllmUnavailable), "that is for people to settle, not for another engine"


def test_a_template_that_writes_the_date_is_refused_until_it_is_given_ours(model: Path, tmp_path: Path) -> None:
    """Ours stops the clock, so that equal conversations are equal on any day; a server's own does not."""
    (file := tmp_path / "chat.jinja").write_text(DATED)
    template = load_template("tiny", template=file)
    assert "It is 2026-01-01." in template.render((user("Hello"),))
    theirs = DATED.replace("{{ strftime_now('%Y-%m-%d') }}", "2027-03-04")
    with client(model, template=theirs) as api, pytest.raises(CompletionError, match="makes other prompts"):
        require_same_prompts(api, "m", template)
    with client(model, template=template.program) as api:
        require_same_prompts(api, "m", template)


def test_where_nobody_says_how_it_tokenizes_another_engine_may_answer(model: Path, template: ChatTemplate) -> None:
    with client(model, tokenizing=False) as api, pytest.raises(VllmUnavailable, match=r"does not say how it tokenizes"):
        require_same_prompts(api, "m", template)


def test_a_wrong_key_is_for_people_to_settle(model: Path) -> None:
    with (
        served(Behaviour(str(model), "m", key="sk-right")) as server,
        VllmApi(server.url, "sk-wrong") as api,
        pytest.raises(CompletionError, match=r"does not take the key.*key_variable") as caught,
    ):
        api.models()
    assert not isinstance(caught.value, VllmUnavailable)
    assert "sk-" not in str(caught.value)


def test_nobody_there_and_something_else_there(server: FakeVllm) -> None:
    with VllmApi("http://127.0.0.1:9/v1", "") as api, pytest.raises(VllmUnavailable, match="nobody answers there"):
        api.models()
    with VllmApi(server.url + "/v2", "") as api, pytest.raises(VllmUnavailable, match=r"no vLLM server.*404"):
        api.models()


def test_adapters_are_refused_in_the_servers_words(server: FakeVllm, tmp_path: Path) -> None:
    with VllmApi(server.url, "") as api:
        with pytest.raises(AdapterRefused, match=r"refuses the adapter.*No adapter found for"):
            api.load("a", tmp_path)
        server.behaviour = replace(server.behaviour, updating=False)
        with pytest.raises(AdapterRefused, match=r"takes no adapters while it runs.*VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
            api.load("a", tmp_path)


def test_many_turns_read_the_same_on_both_sides(server: FakeVllm, template: ChatTemplate) -> None:
    turns = (system("Be kind."), user("One"), assistant("Two"), user("Thrée “quoted”\n\n  spaced"))
    asked = Request(id="r", messages=turns, sampling=Sampling(max_tokens=40))
    (answer,) = ask(server, template, [asked]).values()
    assert answer.prompt_tokens == len(template.encode_prompt(turns))
