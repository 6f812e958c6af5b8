"""Conversations to text by a tokenizer's own chat template, with errors that name the template."""

from collections.abc import Sequence
from typing import cast

import jinja2
from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.records import Conversation, Message, TextPart, assistant, system, user

# Some templates write today's date. Equal conversations must give equal text on any day (cached tokens, resumed runs,
# scores), so the clock they read is stopped: this macro hides transformers' function of the same name.
_STOPPED_CLOCK = (
    "{% macro strftime_now(format) %}"
    "{{ format.replace('%Y', '2026').replace('%m', '01').replace('%d', '01').replace('%B', 'January')"
    ".replace('%b', 'Jan').replace('%A', 'Thursday').replace('%a', 'Thu').replace('%H', '12').replace('%M', '00')"
    ".replace('%S', '00').replace('%-d', '1').replace('%y', '26') }}"
    "{% endmacro +%}"
)
# What Jinja code raises when a template meets input it was not written for.
_RENDER_FAULTS = (jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError)
_PROBE = "Zq7probe"


def template_messages(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Return ``messages`` as the dictionaries that chat templates read. Raises :class:`TemplateError` on images."""
    called = {call.id: call.name for message in messages for call in message.tool_calls if call.id}
    return [_template_message(index, message, called) for index, message in enumerate(messages)]


def _template_message(index: int, message: Message, called: dict[str, str]) -> dict[str, object]:
    foreign = sorted({part.kind for part in message.content if not isinstance(part, TextPart)})
    if foreign:
        raise TemplateError(
            "this model's chat template takes text only",
            where=f"message {index + 1} ({message.role})",
            received=" and ".join(foreign),
            remedy="remove these parts, or use a multimodal model",
        )
    written: dict[str, object] = {"role": message.role, "content": message.text}
    if message.reasoning:
        written["reasoning_content"] = message.reasoning
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
        if message.tool_call_id in called:
            written["name"] = called[message.tool_call_id]
    return written


class Renderer:
    """A tokenizer's chat template as a function from conversations to text.

    A template that refuses or drops a system turn gets its text at the head of the first user turn, followed by an
    empty line (``folds_system``); the same folding applies in training and in generation.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Raises :class:`TemplateError` when the tokenizer has no chat template or it cannot render a user turn."""
        self._tokenizer = tokenizer
        self.source = _source_of(tokenizer)
        self.program = _STOPPED_CLOCK + self.source if "strftime_now" in self.source else self.source
        """The template as it is run here."""
        self.folds_system = False
        self.render([user(_PROBE)], add_generation_prompt=True)
        self.folds_system = not self._shows([system(_PROBE), user("Hello")])

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """Return the text of ``messages``. Raises :class:`TemplateError` with the template's own complaint."""
        turns = self.turns(messages)
        try:
            text = self._tokenizer.apply_chat_template(
                # transformers annotates messages as flat, narrower than what templates read.
                cast("list[dict[str, str]]", template_messages(turns)),
                chat_template=self.program,
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
            )
        except _RENDER_FAULTS as fault:
            raise TemplateError(
                f"the chat template cannot render this conversation: {fault}",
                received=", ".join(message.role for message in messages) or "no messages",
                remedy="change the order of turns, or give another template (model.template)",
            ) from fault
        return str(text)

    def turns(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return ``messages`` as the template gets them: without a system turn where it has none."""
        return self._fold(tuple(messages)) if self.folds_system else messages

    def shows_tool_results(self) -> bool:
        """Return whether the template writes what a tool answered."""
        call = {"name": "look", "arguments": {"at": "it"}, "id": "a1b2c3d4e"}
        asked = Message.model_validate({"role": "assistant", "tool_calls": [call]})
        result = Message.model_validate({"role": "tool", "content": _PROBE, "tool_call_id": "a1b2c3d4e"})
        return self._shows([user("Hello"), asked, result]) or self._shows(
            [user("Hello"), asked, result, assistant("Done.")]
        )

    def _shows(self, messages: Sequence[Message]) -> bool:
        try:
            return _PROBE in self.render(messages)
        except TemplateError:
            return False

    @staticmethod
    def _fold(messages: Conversation) -> Conversation:
        if not messages or messages[0].role != "system":
            return messages
        if len(messages) < 2 or messages[1].role != "user":
            raise TemplateError(
                "the chat template has no system turn, and no user turn follows into which it could be written",
                remedy="begin the conversation with a user turn",
            )
        merged = (TextPart(kind="text", text=messages[0].text + "\n\n"), *messages[1].content)
        return messages[1].model_copy(update={"content": merged}), *messages[2:]


def _source_of(tokenizer: PreTrainedTokenizerFast) -> str:
    if not tokenizer.chat_template:
        raise TemplateError(
            "the tokenizer has no chat template",
            where=str(tokenizer.name_or_path),
            remedy="use an instruction-tuned model, or say how chats are written: model.template: chatml in the recipe "
            "(or --set model.template=chatml), or a file of your own",
        )
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as fault:
        raise TemplateError(
            "the tokenizer has several chat templates and none of them is the default",
            where=str(tokenizer.name_or_path),
            remedy="give one in the recipe (model.template)",
        ) from fault
