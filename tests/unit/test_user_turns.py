"""A model writes in the user's place: from the right tokens, cut where a user's words end, and never by an endpoint."""

import torch

from tutelage.completers.endpoints.remote import USERS_TURN, RemoteCompleter
from tutelage.completers.local import LocalCompleter
from tutelage.completers.preparation import Prompt, answered, prepare
from tutelage.models.template import ChatTemplate
from tutelage.models.tiny import tiny_model
from tutelage.records import Request, Sampling, system, user


def asked(name: str = "a", **keys: object) -> Request:
    said = {"id": name, "messages": (), "turn": "user", "sampling": Sampling(max_tokens=5), **keys}
    return Request.model_validate(said)


def test_the_engine_continues_an_empty_turn_of_the_user() -> None:
    bundle = tiny_model()
    ids = bundle.template.encode_user_turn(())
    (answer, other) = sorted(
        LocalCompleter(bundle).complete([asked("a"), asked("b", messages=(system("Be kind."),))]),
        key=lambda one: one.request_id,
    )
    assert answer.prompt_tokens == len(ids)
    assert other.prompt_tokens == len(bundle.template.encode_user_turn((system("Be kind."),))) != len(ids)
    written = list(ids)
    with torch.no_grad():
        for _ in range(5):
            written.append(int(bundle.model(torch.tensor([written])).logits[0, -1].argmax()))
    told = bundle.tokenizer.decode(written[len(ids) :])
    assert answer.text == told.partition(bundle.template.user_end)[0]
    assert answer.completion_tokens == 5


def test_what_comes_after_the_users_words_is_cut_off() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}"
        " {{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    )
    template = ChatTemplate(tokenizer)
    assert template.user_end == "[/INST]"
    ids = tokenizer.encode("Why is it so? [/INST] Because", add_special_tokens=False)
    prompt = Prompt(asked(), (), Sampling())
    cut = answered(prompt, ids, stopped=False, template=template, tokenizer=tokenizer)
    assert (cut.text.strip(), cut.finish, cut.completion_tokens) == ("Why is it so?", "stop", len(ids))
    open_ended = answered(prompt, ids[:3], stopped=False, template=template, tokenizer=tokenizer)
    assert open_ended.finish == "length"
    assistants = Prompt(asked(turn="assistant", messages=(user("?"),)), (), Sampling())
    whole = answered(assistants, ids, stopped=True, template=template, tokenizer=tokenizer)
    assert "[/INST]" in whole.text


def test_a_mark_that_is_text_ends_a_turn_only_after_its_line_break() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\n{% else %}A: {{ m.content }}<|im_end|>\n"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
    )
    template = ChatTemplate(tokenizer)
    assert template.user_end == "\nA:"
    ids = tokenizer.encode("Which is right, A: this or B: that?\nA: This", add_special_tokens=False)
    cut = answered(Prompt(asked(), (), Sampling()), ids, stopped=False, template=template, tokenizer=tokenizer)
    assert (cut.text, cut.finish) == ("Which is right, A: this or B: that?", "stop")


def test_a_template_that_writes_nothing_before_a_user_is_refused() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
    prompts, refused = prepare(ChatTemplate(tokenizer), 100, [asked("a"), asked("b", messages=(system("Be kind."),))])
    assert [(one.request.id, len(one.ids) > 0) for one in prompts] == [("b", True)]
    assert [one.request_id for one in refused] == ["a"]
    assert "writes nothing before a user's words" in refused[0].error


def test_a_template_without_such_a_place_fails_that_request_alone() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    template = ChatTemplate(tokenizer)
    prompts, refused = prepare(template, 100, [asked("a"), asked("b", messages=(system("Be kind."),))])
    assert [one.request.id for one in prompts] == ["a"]
    assert [(one.request_id, one.finish) for one in refused] == [("b", "error")]
    assert "no system turn" in refused[0].error


def test_an_endpoint_of_chat_completions_refuses_by_name() -> None:
    with RemoteCompleter("http://127.0.0.1:9/v1", "m") as endpoint:
        (answer,) = endpoint.complete([asked()])
    assert (answer.finish, answer.transient, answer.error) == ("error", False, USERS_TURN)


def test_requests_of_before_are_known_by_the_same_mark() -> None:
    assert "turn" not in Request(id="a", messages=(user("?"),)).to_json()
