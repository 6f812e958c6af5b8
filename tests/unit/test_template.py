"""Refusals, tokens and details of the chat template; masks over whole families are in tests/property."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.models.template import ChatTemplate
from tutelage.models.tiny import tiny_model
from tutelage.records import Conversation, Message, assistant, system, user

TEMPLATES = Path(__file__).parents[1] / "templates"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TALK = (user("Hi"), assistant("Hello"), user("Bye"), assistant("So long"))


def with_template(source: str) -> ChatTemplate:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = source
    return ChatTemplate(tokenizer)


def called() -> Message:
    call = {"name": "look", "arguments": {"at": "it"}, "id": "a1b2c3d4e"}
    return Message.model_validate({"role": "assistant", "content": "Let me see.", "tool_calls": [call]})


def test_ids_and_targets_are_those_of_the_whole_text() -> None:
    bundle = tiny_model()
    encoded = bundle.template.encode(TALK)
    assert encoded.ids.dtype == np.int32
    assert encoded.targets.dtype == np.bool_
    assert len(encoded) == encoded.ids.shape[0] == encoded.targets.shape[0]
    assert encoded.ids.tolist() == bundle.tokenizer.encode(bundle.template.render(TALK), add_special_tokens=False)
    assert bundle.tokenizer.decode(encoded.ids[encoded.targets]) == "Hello<|im_end|>So long<|im_end|>"
    assert (encoded.ids == bundle.tokenizer.bos_token_id).sum() == 1


def test_mask_equals_the_one_of_generation_markers() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = (TEMPLATES / "marked_chatml.jinja").read_text(encoding="utf-8")
    marked = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.text} for m in TALK], return_dict=True, return_assistant_tokens_mask=True
    )
    encoded = ChatTemplate(tokenizer).encode(TALK)
    assert encoded.ids.tolist() == list(marked["input_ids"])
    assert encoded.targets.tolist() == [bool(flag) for flag in marked["assistant_masks"]]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", "no end token"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}<|im_end|>{% endfor %}", "does not write what"),
        ("{% for m in messages %}{{ m.content }}{% endfo %}", "cannot render"),
        ("{{ raise_exception('never') }}", "never"),
        ("{{ messages + 1 }}", "cannot render"),
    ],
)
def test_template_that_cannot_be_masked_is_refused_at_once(source: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        with_template(source)


def test_end_token_only_after_the_last_turn_is_refused() -> None:
    template = with_template(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% else %}<|im_end|>{% endif %}"
    )
    assert template.encode((user("Hi"), assistant("Hello"))).targets.any()
    with pytest.raises(TemplateError, match="does not close this turn"):
        template.encode(TALK)


def test_generation_prompt_that_differs_from_the_turn_is_refused() -> None:
    template = with_template(CHATML.replace("assistant\n{% endif", "bot\n{% endif"))
    with pytest.raises(TemplateError, match="otherwise than its generation prompt"):
        template.encode(TALK)


@pytest.mark.parametrize("messages", [(), (user("Hi"),), (system("Be kind."), user("Hi"))])
def test_empty_mask_is_refused(messages: Conversation) -> None:
    with pytest.raises(TemplateError):
        tiny_model().template.encode(messages)


def test_tokenizer_without_template_names_the_remedy() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match=r"no chat template.*model\.template"):
        ChatTemplate(tokenizer)


def test_images_are_refused_by_place() -> None:
    picture = Message.model_validate({"role": "user", "content": [{"kind": "image", "uri": "cat.png"}]})
    with pytest.raises(TemplateError, match=r"message 1 \(user\).*text only.*image"):
        tiny_model().template.encode((picture, assistant("A cat.")))


def test_tool_calls_that_the_template_drops_are_refused() -> None:
    with pytest.raises(TemplateError, match="does not write tool calls"):
        with_template(CHATML).encode((user("Look"), called()))


def test_tool_results_that_the_template_drops_are_refused() -> None:
    template = with_template(CHATML.replace("in messages", "in messages if m.role != 'tool'"))
    result = Message.model_validate({"role": "tool", "content": "a cat", "tool_call_id": "a1b2c3d4e"})
    with pytest.raises(TemplateError, match="tool results"):
        template.encode((user("Look"), assistant("I look."), result, assistant("A cat.")))


def test_text_that_the_template_drops_beside_tool_calls_is_refused() -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.tool_calls %}{{ m.tool_calls[0].function | tojson }}{% else %}{{ m.content }}{% endif %}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(TemplateError, match="leaves out the text"):
        with_template(source).encode((user("Look"), called()))


def test_second_beginning_of_text_is_refused() -> None:
    template = with_template("{{ bos_token + bos_token }}" + CHATML)
    with pytest.raises(TemplateError, match="two beginning-of-text"):
        template.encode(TALK)
    with pytest.raises(TemplateError, match="two beginning-of-text"):
        template.encode_prompt(TALK[:1])


@pytest.mark.parametrize("guard", ["{{ raise_exception('no system') }}", "{% set messages = messages[1:] %}"])
def test_system_text_goes_to_the_first_user_turn_where_there_is_no_system_turn(guard: str) -> None:
    template = with_template("{% if messages[0].role == 'system' %}" + guard + "{% endif %}" + CHATML)
    assert template.folds_system
    assert template.render((system("Be kind."), user("Hi"))) == template.render((user("Be kind.\n\nHi"),))
    with pytest.raises(TemplateError, match="no system turn"):
        template.render((system("Be kind."), assistant("Hi")))
    assert not with_template(CHATML).folds_system


def test_end_ids_are_the_end_token_and_the_end_of_text() -> None:
    tokenizer = tiny_model().tokenizer
    tokenizer.eos_token = "<|pad|>"
    assert ChatTemplate(tokenizer).end_ids == tuple(tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|pad|>"]))
    assert tiny_model().template.end_ids == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)


def test_digest_follows_template_and_vocabulary_and_nothing_else() -> None:
    bundle = tiny_model()
    bundle.tokenizer(["a", "b c d"], padding=True, truncation=True, max_length=2)
    assert bundle.template.digest == tiny_model(seed=3, layers=1).template.digest
    assert bundle.template.digest != tiny_model(vocabulary=300).template.digest
    assert bundle.template.digest != with_template(CHATML).digest
    assert with_template(CHATML + "{# note #}").digest != with_template(CHATML).digest


def test_text_of_a_template_that_reads_the_clock_is_the_same_on_any_day() -> None:
    template = with_template("{{ strftime_now('%A %d %B %Y') }}\n" + CHATML)
    assert template.render((user("Hi"),)).startswith("Thursday 01 January 2026\n<|im_start|>user")


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("plain", ("", "plain")),
        ("<think>\nwhy\n</think>\n\nbecause", ("why", "because")),
        ("\n<think></think>x", ("", "x")),
        ("<think>never closed", ("never closed", "")),
        ("say <think>a</think>", ("", "say <think>a</think>")),
    ],
)
def test_reasoning_is_taken_out(text: str, split: tuple[str, str]) -> None:
    assert with_template(CHATML).strip_reasoning(text) == split


def test_reasoning_that_the_prompt_opened_is_taken_out() -> None:
    opened = with_template(CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif"))
    assert opened.strip_reasoning("why\n</think>\n\nbecause") == ("why", "because")
    assert opened.strip_reasoning("cut short") == ("cut short", "")
    assert with_template(CHATML + "{# [/THINK] #}").strip_reasoning("[THINK]a[/THINK]b") == ("a", "b")


def test_token_across_the_border_is_cut_as_in_generation() -> None:
    # "ASSISTANT: the" holds the token " the"; the prompt ends in a space, so generation starts without it.
    source = "{% for m in messages %}{{ m.role | upper }}: {{ m.content }}<|im_end|>{% endfor %}"
    bundle = tiny_model()
    bundle.tokenizer.chat_template = source + "{% if add_generation_prompt %}ASSISTANT: {% endif %}"
    template = ChatTemplate(bundle.tokenizer)
    messages = (user("Hi"), assistant("the answer"))
    whole = bundle.tokenizer.encode(template.render(messages), add_special_tokens=False)
    prompt = template.encode_prompt(messages[:1])
    encoded = template.encode(messages)
    assert whole[: len(prompt)] != prompt
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert bundle.tokenizer.decode(encoded.ids) == template.render(messages)
    assert bundle.tokenizer.decode(encoded.ids[encoded.targets]) == "the answer<|im_end|>"


def test_word_marks_of_sentence_piece_tokenizers_are_not_doubled() -> None:
    """Tokens with a leading ▁, in the manner of Llama 2 and Mistral: "▁the" lies across "[/INST] |the"."""
    words = ["▁", "▁the", "the", "▁Hi", "Hi", *"[]/INST", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {token: index for index, token in enumerate(["<unk>", "<s>", "</s>", *dict.fromkeys(words)])}
    merges = [("t", "h"), ("th", "e"), ("▁", "the")]
    for token in ("t", "h", "e", "th"):
        vocabulary.setdefault(token, len(vocabulary))
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in ("<s>", "</s>")])
    source = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST] {% else %}"
        "{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=source
    )
    template = ChatTemplate(tokenizer)
    messages = (user("Hi"), assistant("the"), user("Hi"), assistant("the the"))
    encoded = template.encode(messages)
    prompt = template.encode_prompt(messages[:1])
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert tokenizer.convert_ids_to_tokens(encoded.ids[encoded.targets].tolist()) == [
        *("the", "</s>", "the", "▁the", "</s>")
    ]


WITH_REASONS = "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}"


@pytest.mark.parametrize(
    ("written", "keeps"),
    [
        ("{{ m.content }}", False),
        (WITH_REASONS, True),
        (WITH_REASONS.replace("think>", "reasoning>"), True),
        # Read back as a part of the answer: a scorer would see it.
        (WITH_REASONS.replace("<think>", "Reasons:").replace("</think>", "Answer:"), False),
        ("{{ m.content }}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}", False),
    ],
)
def test_whether_a_template_keeps_reasoning(written: str, keeps: bool) -> None:
    assert with_template(CHATML.replace("{{ m.content }}", written)).keeps_reasoning is keeps


def test_a_template_keeps_reasoning_that_its_prompt_opens() -> None:
    header = "{% if m.role == 'assistant' %}<think>\n{% endif %}"
    inside = "{% if m.reasoning_content %}{{ m.reasoning_content }}\n{% endif %}</think>\n\n{{ m.content }}"
    body = f"{{% if m.role == 'assistant' %}}{inside}{{% else %}}{{{{ m.content }}}}{{% endif %}}"
    opened = CHATML.replace("{{ m.content }}", header + body)
    assert with_template(opened.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")).keeps_reasoning


def test_which_templates_in_use_keep_reasoning() -> None:
    keeping = set()
    for file in sorted(TEMPLATES.glob("*.jinja")):
        tokenizer = tiny_model().tokenizer
        ends = ["<end_of_turn>", "<|eot_id|>", "</s>", "<|end|>", "<｜end▁of▁sentence｜>"]
        tokenizer.add_special_tokens({"additional_special_tokens": ends})
        tokenizer.chat_template = file.read_text(encoding="utf-8")
        keeping |= {file.stem} if ChatTemplate(tokenizer).keeps_reasoning else set()
    assert keeping == {"qwen3"}
