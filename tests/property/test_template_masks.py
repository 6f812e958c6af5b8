"""The loss mask over chat templates in the manner of nine model families, against texts built by hand.

The oracles below write each family's format with string concatenation, piece by piece, each piece known to be the
assistant's or not; they share nothing with the code under test, which only sees the Jinja templates.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.models.template import ChatTemplate
from tutelage.records import Conversation, Message, TextPart, ToolCall, system, user

TEMPLATES = Path(__file__).parents[1] / "templates"
Pieces = list[tuple[str, bool]]
SPECIAL = [
    *("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<|end|>"),
    *("<|user|>", "<|assistant|>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>"),
    *("<｜Assistant｜>", "<tool_call>", "</tool_call>"),
]


def smollm2(messages: Conversation) -> Pieces:
    head = "" if messages[0].role == "system" else "<|im_start|>system\nYou are a careful assistant.<|im_end|>\n"
    pieces: Pieces = [(head, False)]
    for m in messages:
        mine = m.role == "assistant"
        pieces += [(f"<|im_start|>{m.role}\n", False), (m.text + "<|im_end|>", mine), ("\n", False)]
    return pieces


def llama3(messages: Conversation) -> Pieces:
    instruction, rest = (messages[0].text.strip(), messages[1:]) if messages[0].role == "system" else ("", messages)
    today = "<|start_header_id|>system<|end_header_id|>\n\nToday: 01 Jan 2026\n\n"
    pieces: Pieces = [(f"<|begin_of_text|>{today}{instruction}<|eot_id|>", False)]
    for m in rest:
        role = "ipython" if m.role == "tool" else m.role
        body = m.text.strip()
        if m.role == "tool":
            body = json.dumps(m.text, ensure_ascii=False)
        if m.tool_calls:
            (call,) = m.tool_calls
            body = f'{{"name": "{call.name}", "parameters": {json.dumps(call.arguments, ensure_ascii=False)}}}'
        pieces += [(f"<|start_header_id|>{role}<|end_header_id|>\n\n", False)]
        pieces += [(body + "<|eot_id|>", m.role == "assistant")]
    return pieces


def fold(messages: Conversation) -> list[Message]:
    """What the documentation promises for templates without a system turn."""
    if messages[0].role != "system":
        return list(messages)
    return [user(messages[0].text + "\n\n" + messages[1].text), *messages[2:]]


def gemma(messages: Conversation) -> Pieces:
    pieces: Pieces = [("<bos>", False)]
    for m in fold(messages):
        mine = m.role == "assistant"
        pieces += [(f"<start_of_turn>{'model' if mine else 'user'}\n", False)]
        pieces += [(m.text.strip() + "<end_of_turn>", mine), ("\n", False)]
    return pieces


def mistral(messages: Conversation) -> Pieces:
    pieces: Pieces = [("<s>", False)]
    for m in fold(messages):
        pieces += (
            [(m.text + "</s>", True), (" ", False)] if m.role == "assistant" else [(f"[INST] {m.text} [/INST]", False)]
        )
    return pieces


def mistral_last(messages: Conversation) -> Pieces:
    instruction, rest = (messages[0].text, messages[1:]) if messages[0].role == "system" else (None, messages)
    last = max(index for index, m in enumerate(rest) if m.role == "user")
    pieces: Pieces = [("<s>", False)]
    for index, m in enumerate(rest):
        if m.role == "assistant":
            pieces += [(f" {m.text.strip()}</s>", True)]
        else:
            lead = f"{instruction}\n\n" if instruction is not None and index == last else ""
            pieces += [(f"[INST]{lead}{m.text}[/INST]", False)]
    return pieces


def phi3(messages: Conversation) -> Pieces:
    pieces: Pieces = []
    for m in messages:
        pieces += [(f"<|{m.role}|>\n", False), (m.text + "<|end|>", m.role == "assistant"), ("\n", False)]
    return [*pieces, ("<|endoftext|>", False)]


def zephyr(messages: Conversation) -> Pieces:
    pieces: Pieces = []
    for m in messages:
        # The generation prompt has no line break after the header, so the model has to write it.
        pieces += [(f"<|{m.role}|>", False), (f"\n{m.text}</s>", m.role == "assistant"), ("\n", False)]
    return pieces


def qwen3(messages: Conversation) -> Pieces:
    last = max(index for index, m in enumerate(messages) if m.role == "user")
    pieces: Pieces = []
    for index, m in enumerate(messages):
        if m.role == "tool":
            pieces += [(f"<|im_start|>user\n<tool_response>\n{m.text}\n</tool_response><|im_end|>\n", False)]
            continue
        body = m.text
        if m.role == "assistant":
            if index > last and (m.reasoning or index == len(messages) - 1):
                stripped = m.reasoning.strip("\n")
                body = f"<think>\n{stripped}\n</think>\n\n" + m.text.lstrip("\n")
            for number, call in enumerate(m.tool_calls):
                arguments = json.dumps(call.arguments, ensure_ascii=False)
                body += "\n" if m.text or number else ""
                body += f'<tool_call>\n{{"name": "{call.name}", "arguments": {arguments}}}\n</tool_call>'
        pieces += [(f"<|im_start|>{m.role}\n", False), (body + "<|im_end|>", m.role == "assistant"), ("\n", False)]
    return pieces


def deepseek_r1(messages: Conversation) -> Pieces:
    pieces: Pieces = [("<｜begin▁of▁sentence｜>" + "".join(m.text for m in messages if m.role == "system"), False)]
    for previous, m in zip((None, *messages), messages, strict=False):
        if m.role == "user":
            pieces += [(f"<｜User｜>{m.text}", False)]
        elif m.role == "tool":
            pieces += [(f"<｜tool▁output▁begin｜>{m.text}<｜tool▁output▁end｜>", False)]
        elif m.role == "assistant":
            after_tool = previous is not None and previous.role == "tool"
            body = m.text.split("</think>")[-1]
            for call in m.tool_calls:
                arguments = json.dumps(call.arguments, ensure_ascii=False)
                body += f"<｜tool▁call▁begin｜>{call.name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
            pieces += [("" if after_tool else "<｜Assistant｜>", False), (body + "<｜end▁of▁sentence｜>", True)]
    return pieces


@dataclass(frozen=True)
class Family:
    oracle: Callable[[Conversation], Pieces]
    bos: str
    eos: str
    end: str
    tools: int = 0  # how many calls a turn may hold
    reasoning: bool = False
    text_beside_tools: bool = False
    prompt_is_prefix: bool = True


FAMILIES = {
    "smollm2": Family(smollm2, "<|im_start|>", "<|im_end|>", "<|im_end|>"),
    "llama3": Family(llama3, "<|begin_of_text|>", "<|eot_id|>", "<|eot_id|>", tools=1),
    "gemma": Family(gemma, "<bos>", "<eos>", "<end_of_turn>"),
    "mistral": Family(mistral, "<s>", "</s>", "</s>"),
    "mistral_last": Family(mistral_last, "<s>", "</s>", "</s>"),
    "phi3": Family(phi3, "<s>", "<|endoftext|>", "<|end|>"),
    "zephyr": Family(zephyr, "<s>", "</s>", "</s>"),
    "qwen3": Family(qwen3, "<|endoftext|>", "<|im_end|>", "<|im_end|>", 2, reasoning=True, text_beside_tools=True),
    "deepseek_r1": Family(
        deepseek_r1,
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        2,
        text_beside_tools=True,
        prompt_is_prefix=False,
    ),
}

CORPUS = [
    "the answer is [/INST] not stated] ]. (yes) \n\n1. one\n2. two",
    "héllo wörld 日本語 <|user|> the the answer",
] * 2


@cache
def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=FAMILIES[name].bos,
        eos_token=FAMILIES[name].eos,
        pad_token="<pad>",
        chat_template=(TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
    )


@cache
def template_of(name: str) -> ChatTemplate:
    return ChatTemplate(tokenizer_of(name))


TEXTS = st.lists(
    st.sampled_from(
        [
            *("a", "Z", "1", " ", "\n", "\t", ".", "]", "}", "[", "  ", "\n\n", "the answer", "é", "日本", "🙂"),
            *("\u0301", "\u00a0", "</s>", "<|im_end|>\n", "<|im_end|>", "<|im_start|>assistant\n", "[INST] "),
            *(" [/INST]", "<end_of_turn>", "<|end|>", "<think>", "<|eot_id|>", "</think>", '"}', "<｜Assistant｜>"),
            *("<tool_call>", "Zq", "{{ bos_token }}", "<s>"),
        ]
    ),
    max_size=6,
).map("".join)
CALLS = st.builds(
    ToolCall,
    name=st.sampled_from(["look", "add_up"]),
    arguments=st.dictionaries(st.sampled_from(["at", "x"]), st.one_of(TEXTS, st.integers()), max_size=2),
    id=st.just("a1b2c3d4e"),
)


@st.composite
def conversations(draw: st.DrawFn, family: Family) -> Conversation:
    messages = [system(draw(TEXTS))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 8))):
        messages.append(user(draw(TEXTS)))
        if family.tools and draw(st.booleans()):
            calls = draw(st.lists(CALLS, min_size=1, max_size=family.tools))
            text = draw(TEXTS) if family.text_beside_tools else ""
            messages.append(answer(text, draw(TEXTS) if family.reasoning else "", tuple(calls)))
            messages.append(Message(role="tool", content=(part(draw(TEXTS)),), tool_call_id="a1b2c3d4e"))
        messages.append(answer(draw(TEXTS), draw(TEXTS) if family.reasoning and draw(st.booleans()) else "", ()))
    return tuple(messages)


def part(text: str) -> TextPart:
    return TextPart(kind="text", text=text)


def answer(text: str, reasoning: str, calls: tuple[ToolCall, ...]) -> Message:
    return Message(role="assistant", content=(part(text),) if text else (), reasoning=reasoning, tool_calls=calls)


@pytest.mark.parametrize("name", FAMILIES)
def test_mask_is_exactly_the_assistant_spans(name: str) -> None:
    family, template, tokenizer = FAMILIES[name], template_of(name), tokenizer_of(name)

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(messages=conversations(family))
    def check(messages: Conversation) -> None:
        pieces = family.oracle(messages)
        encoded = template.encode(messages)
        assert template.render(messages) == "".join(text for text, _ in pieces)
        assert tokenizer.decode(encoded.ids) == "".join(text for text, _ in pieces)
        assert tokenizer.decode(encoded.ids[encoded.targets]) == "".join(text for text, mine in pieces if mine)
        # Span by span, not only in sum.
        text, spans = template.spans(messages)
        assert [text[start:stop] for start, stop in spans] == [text for text, mine in pieces if mine]
        assert template.end_token == family.end
        assert (encoded.ids[encoded.targets] == template.end_ids[0]).sum() >= len(spans)

    check()


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.prompt_is_prefix])
def test_training_continues_the_very_tokens_that_generation_starts_from(name: str) -> None:
    family, template = FAMILIES[name], template_of(name)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(asked=TEXTS, answered=TEXTS)
    def check(asked: str, answered: str) -> None:
        messages = (user(asked), answer(answered, "", ()))
        encoded = template.encode(messages)
        prompt = template.encode_prompt(messages[:1])
        assert encoded.ids[: len(prompt)].tolist() == prompt
        assert encoded.targets[: len(prompt)].sum() == 0
        assert encoded.targets[len(prompt)]

    check()
    assert family.end in template.render((user("a"), answer("b", "", ())))


WORDS = st.sampled_from(
    ["What is it?", "1 more, please", "Ärger gibt es immer.", "日本 is what?", "(a) or (b)", "def f():"]
)


@pytest.mark.parametrize("name", FAMILIES)
@given(text=WORDS, talk=st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_user_begins_to_write_behind_the_very_tokens_that_stand_before_a_users_words(
    name: str, text: str, talk: bool
) -> None:
    template, tokenizer = template_of(name), tokenizer_of(name)
    before: Conversation = (user("Hello"), answer("Hi there", "", ())) if talk else ()
    ids = template.encode_user_turn(before)
    whole = template.encode_prompt((*before, user(text)))
    assert ids == whole[: len(ids)]
    rest = tokenizer.decode(whole[len(ids) :])
    assert rest.lstrip().startswith(text)
    assert template.user_end
    assert rest.lstrip()[len(text) :].lstrip().startswith(template.user_end), "the words end by it"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_system_turn_stands_before_the_users_or_is_refused(name: str) -> None:
    template = template_of(name)
    if template.folds_system:
        with pytest.raises(TemplateError, match="no system turn"):
            template.encode_user_turn((system("Be kind."),))
    else:
        ids = template.encode_user_turn((system("Be kind."),))
        assert "Be kind." in tokenizer_of(name).decode(ids)
