"""The chat template and the loss mask, made here and nowhere else."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from tutelage.errors import TemplateError
from tutelage.models.reasoning import Thoughts, markers_of, names_markers, split_reasoning
from tutelage.models.rendering import Renderer
from tutelage.models.spans import Span, find_end_token, find_spans
from tutelage.models.user_turn import find_user_end, ids_before, user_frame
from tutelage.records import Conversation, assistant, user

MASK_RULES = 1
"""Version of the rules by which conversations become ids and masks; part of every digest."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenized conversation: ``ids`` int32 (T,) and ``targets`` bool (T,).

    ``targets[t]`` is True where token t is to be predicted, from the tokens before it: the assistant's words and the
    end token of each of its turns. At least one is True.
    """

    ids: NDArray[np.int32]
    targets: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


class ChatTemplate:
    """A tokenizer's own chat template, its loss mask and its end tokens.

    Raises :class:`TemplateError` when the tokenizer has no template, or when the template ends assistant turns with no
    token. Text is tokenized without further special tokens: the template carries the beginning of text itself.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._renderer = Renderer(tokenizer)
        known = [str(token) for token in tokenizer.added_tokens_decoder.values()]
        self.end_token = find_end_token(
            self._renderer, [*known, *([tokenizer.eos_token] if tokenizer.eos_token else [])]
        )
        self._end_id = self._single_id(self.end_token)

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: the template's end token, then the tokenizer's end of text if that is another."""
        eos = self._tokenizer.eos_token_id
        return (self._end_id,) if eos is None or eos == self._end_id else (self._end_id, int(eos))

    @property
    def folds_system(self) -> bool:
        """Whether the template has no system turn, so that its text goes to the head of the first user turn."""
        return self._renderer.folds_system

    @property
    def program(self) -> str:
        """The Jinja text that is run here, for another program to render the same."""
        return self._renderer.program

    def turns(self, messages: Conversation) -> Conversation:
        """Return ``messages`` as the Jinja text gets them, with the system turn folded where it has none."""
        return tuple(self._renderer.turns(messages))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over template text, tokenizer and mask rules: in cache keys and in the identity of every score."""
        backend = json.loads(self._tokenizer.backend_tokenizer.to_str())
        # Set by whoever tokenized last; no part of what the tokenizer is.
        del backend["truncation"], backend["padding"]
        parts = [MASK_RULES, self._renderer.source, self._tokenizer.special_tokens_map, backend]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def render(self, messages: Conversation, add_generation_prompt: bool = False) -> str:
        """Return the text of ``messages``; with ``add_generation_prompt`` up to where the assistant starts to write."""
        return self._renderer.render(messages, add_generation_prompt)

    def spans(self, messages: Conversation) -> tuple[str, list[Span]]:
        """Return the text and the assistant's spans [start, end) in characters, end tokens included."""
        return find_spans(self._renderer, messages, self.end_token)

    def encode_prompt(self, messages: Conversation) -> list[int]:
        """Return the ids of ``messages`` and the generation prompt: what a model continues.

        Raises :class:`TemplateError` where they begin with two beginning-of-text tokens.
        """
        ids = self._tokenize([self.render(messages, add_generation_prompt=True)])[0]
        self._refuse_second_beginning(ids)
        return ids

    def encode_user_turn(self, messages: Conversation) -> list[int]:
        """Return the ids of ``messages`` up to where a user who speaks next starts to write: what a model continues
        that writes in the user's place.

        Raises :class:`TemplateError` where the template has no such place or writes nothing before it, or it begins
        with two beginning-of-text tokens.
        """
        ids = ids_before(self._tokenizer, user_frame(self._renderer, messages)[0])
        if not ids:
            raise TemplateError(
                "the chat template writes nothing before a user's words, and a model cannot continue nothing",
                remedy="give a template that marks a user's turn (model.template), or a system turn to begin with",
            )
        self._refuse_second_beginning(ids)
        return ids

    @cached_property
    def user_end(self) -> str:
        """The text by which a user's words end; "" where nothing stands between them and an assistant's."""
        known = [str(token) for token in self._tokenizer.added_tokens_decoder.values()]
        return find_user_end(user_frame(self._renderer, ())[1], known)

    def encode(self, messages: Conversation, *, last: bool = False) -> Encoded:
        """Return ids and loss mask of a conversation; ``last``: only the last assistant turn is to be predicted, as
        where answers to one prompt are compared.

        Raises :class:`TemplateError` when no exact mask can be made: no assistant turn, a turn that the template
        leaves out or does not close, an end token that is not tokenized as one.
        """
        text, spans = self.spans(messages)
        borders = [border for span in spans for border in span]
        whole, *prefixes = self._tokenize([text, *(text[:border] for border in borders)])
        if all(whole[: len(prefix)] == prefix for prefix in prefixes):
            ids, cuts = whole, [len(prefix) for prefix in prefixes]
        else:
            ids, cuts = self._join_segments(text, borders, whole)
        targets = np.zeros(len(ids), dtype=np.bool_)
        for start, stop in zip(cuts[::2], cuts[1::2], strict=True):
            if stop <= start or ids[stop - 1] != self._end_id:
                raise TemplateError(
                    "the tokenizer does not keep the end token of a turn whole", received=self.end_token
                )
            targets[start:stop] = True
        if last:
            targets[: cuts[-2]] = False
        self._refuse_second_beginning(ids)
        return Encoded(np.asarray(ids, dtype=np.int32), targets)

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return how many tokens each text is by itself."""
        return [len(ids) for ids in self._tokenize(texts)] if texts else []

    @cached_property
    def lead(self) -> tuple[int, ...]:
        """Ids of what the template writes before any answer, whatever was asked: the beginning of text, if texts have
        one, and the head of an assistant turn; an end token where it writes neither."""
        asked = (user("Hello"),)
        before, whole = self.render(asked), self.render(asked, add_generation_prompt=True)
        head = whole[len(before) :] if whole.startswith(before) else ""
        ids = self._tokenize([head])[0] if head else []
        bos = self._tokenizer.bos_token_id
        first = [int(bos)] if bos is not None and self.encode_prompt(asked)[0] == bos and ids[:1] != [bos] else []
        return (*first, *ids) or (self._end_id,)

    def strip_reasoning(self, text: str) -> tuple[str, str]:
        """Return (reasoning, answer) of a completion to :meth:`encode_prompt`; reasoning is "" where there is none."""
        return split_reasoning(text, self._markers, opened=self._opens_reasoning)

    @cached_property
    def thoughts(self) -> Thoughts | None:
        """How reasoning stands before an answer; None where the template names no markers of any."""
        if not names_markers(self._renderer.source) and not self._opens_reasoning:
            return None
        return Thoughts(*self._markers, opened=self._opens_reasoning)

    @cached_property
    def keeps_reasoning(self) -> bool:
        """Whether the template writes the reasoning of an answer so that :meth:`strip_reasoning` finds it again."""
        reasons, answer = "Zq7reasons", "Zq7answer"
        turn = assistant(answer).model_copy(update={"reasoning": reasons})
        try:
            text, ((start, stop),) = self.spans((user("Hello"), turn))
        except TemplateError:
            return False
        found = self.strip_reasoning(text[start : stop - len(self.end_token)])
        return tuple(part.strip() for part in found) == (reasons, answer)

    @cached_property
    def _markers(self) -> tuple[str, str]:
        return markers_of(self._renderer.source)

    @cached_property
    def _opens_reasoning(self) -> bool:
        return self.render((user("Hello"),), add_generation_prompt=True).rstrip().endswith(self._markers[0])

    def _refuse_second_beginning(self, ids: list[int]) -> None:
        bos = self._tokenizer.bos_token_id
        if bos is not None and ids[:2] == [bos, bos]:
            raise TemplateError(
                "the text begins with two beginning-of-text tokens", remedy="remove one from the template"
            )

    def _join_segments(self, text: str, borders: list[int], whole: list[int]) -> tuple[list[int], list[int]]:
        """Tokenize between the borders, where a token of the whole text lies across one.

        At generation the prompt is tokenized by itself, so training on a token that holds the prompt's last character
        would teach what never occurs. Each segment is read behind an end token, which keeps tokenizers that put a
        space before the first word from doing so.
        """
        edges = [0, *borders, len(text)]
        segments = [text[start:stop] for start, stop in pairwise(edges)]
        pieces = self._tokenize([segments[0], *(self.end_token + segment for segment in segments[1:])])
        pieces = [pieces[0], *(piece[1:] for piece in pieces[1:])]
        ids = [token for piece in pieces for token in piece]
        if self._tokenizer.decode(ids) != self._tokenizer.decode(whole):
            raise TemplateError(
                "a token lies across the border of an assistant turn, and the text cannot be tokenized in parts",
                remedy="give a template that puts a special token or a line break before the assistant's words "
                "(model.template)",
            )
        lengths = [len(piece) for piece in pieces[:-1]]
        return ids, [sum(lengths[: number + 1]) for number in range(len(lengths))]

    def _single_id(self, token: str) -> int:
        ids = self._tokenize([token])[0]
        if len(ids) != 1:
            raise TemplateError("the end token of the chat template is not one token", received=f"{token!r}: {ids}")
        return ids[0]

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        encoded = self._tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
        return [list(ids) for ids in encoded["input_ids"]]
