"""Where the assistant's words lie in a rendered conversation, for any chat template.

Every assistant turn is rendered once more with its own words replaced by marks that occur nowhere else. What lies
before the first mark and after the last is then the template's, and comparing it with the generation prompt and with
the template's end token gives the borders of the turn. Nothing is looked up by the family of the model, and nothing a
user or an assistant writes can move a border.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise, takewhile

from tutelage.errors import TemplateError
from tutelage.models.rendering import Renderer
from tutelage.records import Conversation, Message, TextPart, ToolCall, assistant, user

Span = tuple[int, int]


def find_end_token(renderer: Renderer, tokens: Sequence[str]) -> str:
    """Return the first of ``tokens`` that the template writes after an assistant's words.

    Raises :class:`TemplateError` when there is none: a model trained on such text never learns to stop.
    """
    mark = _mark_for("")
    text = renderer.render([user("Hello"), assistant(mark)])
    _, found, tail = text.partition(mark)
    if not found:
        raise TemplateError(
            "the chat template does not write what the assistant says", remedy="give another one (model.template)"
        )
    places = [(tail.index(token), -len(token), token) for token in tokens if token.strip() and token in tail]
    if not places:
        raise TemplateError(
            "the chat template writes no end token after an assistant turn, so a model could not learn to stop",
            received=repr(tail),
            remedy="give a template that ends assistant turns with one of the tokenizer's special tokens "
            "(model.template)",
        )
    return min(places)[2]


def find_spans(renderer: Renderer, messages: Conversation, end_token: str) -> tuple[str, list[Span]]:
    """Return the rendered text and one span [start, end) in characters for each assistant turn, in order.

    A span starts where the generation prompt ends and ends with ``end_token``. Raises :class:`TemplateError` when there
    is no assistant turn or no exact span.
    """
    text = renderer.render(messages)
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if not turns:
        raise TemplateError(
            "the conversation has no assistant turn: nothing would be trained on",
            received=", ".join(message.role for message in messages) or "no messages",
        )
    if any(message.role == "tool" for message in messages) and not renderer.shows_tool_results():
        raise TemplateError(
            "the chat template does not write tool results",
            remedy="give a template with tool support (model.template)",
        )
    spans = [_TurnFinder(renderer, messages, index, end_token).span(text) for index in turns]
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        raise TemplateError("the chat template mixes assistant turns, so no exact loss mask can be made")
    return text, spans


class _TurnFinder:
    """Finds the borders of one assistant turn."""

    def __init__(self, renderer: Renderer, messages: Conversation, index: int, end_token: str) -> None:
        self._renderer = renderer
        self._messages = messages
        self._index = index
        self._end_token = end_token
        self._where = f"message {index + 1} (assistant)"

    def span(self, text: str) -> Span:
        mark = _mark_for(text)
        before = self._messages[: self._index]
        marked = _marked(self._messages[self._index], mark)
        probe = self._renderer.render((*before, marked, *self._messages[self._index + 1 :]))
        if mark not in probe:
            raise self._refusal("the chat template leaves this assistant turn out")
        start = self._start(probe, marked, mark)
        stop = self._stop(probe, marked, mark)
        self._require_complete(probe[start:stop], mark)
        end = len(text) - (len(probe) - stop)
        if not (
            text.startswith(probe[:start])
            and text.endswith(probe[stop:])
            and start <= end - len(self._end_token)
            and text[:end].endswith(self._end_token)
        ):
            raise self._refusal("the chat template writes other turns differently when this one changes")
        return start, end

    def _start(self, probe: str, marked: Message, mark: str) -> int:
        """Return where the model would start to write: after the generation prompt."""
        before = self._messages[: self._index]
        prompt = self._renderer.render(before, add_generation_prompt=True)
        if probe.startswith(prompt):
            return len(prompt)
        # The template rewrites history, or its generation prompt holds more than the header (an opened <think>).
        # Compare what stands between the end of the previous turn and the mark, there and here.
        if not before:
            raise self._refusal("the generation prompt does not begin this turn")
        other = mark[::-1]
        earlier = (*before[:-1], _marked(before[-1], other))
        prompt = self._renderer.render(earlier, add_generation_prompt=True)
        # Plain words first: a tool call may begin like the opened <think> that it is compared with.
        plain = marked.model_copy(update={"content": _text_part(mark), "tool_calls": ()})
        header, called = (self._after_previous(earlier, turn, other) for turn in (plain, marked))
        promised = prompt[_end_of_marks(prompt, other) :] if other in prompt else ""
        header = header.partition(mark)[0]
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(header, promised, strict=False)))
        lead = called.partition(mark)[0]
        first = probe.index(mark)
        if (
            shared not in (len(header), len(promised))
            or not lead.startswith(header[:shared])
            or not probe[:first].endswith(lead)
        ):
            raise self._refusal("the chat template begins this turn otherwise than its generation prompt does")
        return first - len(lead) + shared

    def _after_previous(self, earlier: Conversation, turn: Message, mark: str) -> str:
        """Return what follows the words of the turn before, which are replaced by ``mark``."""
        text = self._renderer.render((*earlier, turn, *self._messages[self._index + 1 :]))
        if mark not in text:
            raise self._refusal("the chat template leaves out the turn before this one")
        return text[_end_of_marks(text, mark) :]

    def _stop(self, probe: str, marked: Message, mark: str) -> int:
        """Return where the turn's end token ends, in ``probe``."""
        # With nothing after it, whatever follows the last mark is the turn's own closing.
        alone = self._renderer.render((*self._messages[: self._index], marked))
        closing, found, _ = alone[_end_of_marks(alone, mark) :].partition(self._end_token)
        begin = probe.index(mark)
        stop = probe.find(self._end_token, begin) + len(self._end_token)
        if not found or stop < begin + len(self._end_token) or not probe[:stop].endswith(closing + self._end_token):
            raise self._refusal("the chat template does not close this turn with its end token")
        if _end_of_marks(probe[:stop], mark) != stop - len(closing) - len(self._end_token):
            raise self._refusal("the chat template does not close this turn with its end token")
        return stop

    def _require_complete(self, written: str, mark: str) -> None:
        message = self._messages[self._index]
        if message.text.strip() and _PART_MARKS["text"].format(mark) not in written:
            raise self._refusal("the chat template leaves out the text of this assistant turn")
        if written.count(_PART_MARKS["tool"].format(mark)) < len(message.tool_calls):
            raise self._refusal("the chat template does not write tool calls")

    def _refusal(self, what: str) -> TemplateError:
        return TemplateError(
            f"{what}, so no exact loss mask can be made",
            where=self._where,
            remedy="give another template (model.template), or leave the record out",
        )


# Letters and digits only, so that templates that strip, split or quote leave the marks alone.
_PART_MARKS = {"text": "{}c", "reasoning": "{}r", "tool": "{}n", "argument": "{}a"}
_MARK_TAIL = 1


def _mark_for(text: str) -> str:
    return f"Zq{hashlib.sha256(text.encode()).hexdigest()[:20]}qX"


def _marked(message: Message, mark: str) -> Message:
    """Return ``message`` with its words replaced by marks; parts that are absent stay absent."""
    # An empty turn is marked too: its place is known although nothing stands there.
    has_text = bool(message.text) or not message.tool_calls
    argument = _PART_MARKS["argument"].format(mark)
    return message.model_copy(
        update={
            "content": _text_part(mark) if has_text else (),
            "reasoning": _PART_MARKS["reasoning"].format(mark) if message.reasoning else "",
            "tool_calls": tuple(
                ToolCall(
                    name=_PART_MARKS["tool"].format(mark),
                    arguments={argument: argument} if call.arguments else {},
                    id=call.id,
                )
                for call in message.tool_calls
            ),
        }
    )


def _text_part(mark: str) -> tuple[TextPart]:
    return (TextPart(kind="text", text=_PART_MARKS["text"].format(mark)),)


def _end_of_marks(text: str, mark: str) -> int:
    return text.rindex(mark) + len(mark) + _MARK_TAIL
