"""Answers held to a schema: which tokens may come next is asked of llguidance, and the others get no chance.

The grammar works on the bytes of tokens, so a token may be of any length and end anywhere in the form. White space
between the parts of the JSON is one blank, or a line break with at most eight blanks: a small model that may write more
of it does so until it is cut. Lists and texts have no bounds but those of the schema.
"""

import json
from collections.abc import Sequence

import llguidance
import numpy as np
import torch
from numpy.typing import NDArray

from tutelage.models.bundle import Bundle
from tutelage.models.reasoning import Thoughts
from tutelage.records import AnswerSchema

BLANKS = r"( |\n {0,8})"
"""White space inside the JSON. It is one piece: nothing but a part of the JSON follows it."""
_WORDS = 300


class Hold:
    """One answer on its way through a form: what may come next, and whether anything may.

    Where the grammar gives up in the middle, as it may where a schema is too large for its limits, the answer goes on
    as it likes, and ``forms`` gets the reason.
    """

    def __init__(self, matcher: llguidance.LLMatcher, forms: "Forms", schema: AnswerSchema) -> None:
        self._matcher, self._forms, self._schema = matcher, forms, schema
        self.free = False

    def allowed(self) -> NDArray[np.int32]:
        """Return which tokens may come next, int32 (W,): 32 tokens a number, the lowest bit first.

        A token that ends an answer is among them where the form is complete.
        """
        words = np.zeros(self._forms.width, dtype=np.int32)
        if not self.free:
            self._matcher.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)
            self._let_go_at_fault()
        if self.free:
            words.fill(-1)
        return words

    def take(self, token: int) -> bool:
        """Go on by ``token``, and return whether the form is complete and nothing may follow."""
        if not self.free:
            self._matcher.consume_token(token)
            self._let_go_at_fault()
        return not self.free and self._matcher.is_stopped()

    def _let_go_at_fault(self) -> None:
        if self._matcher.is_error():
            self.free = True
            self._forms.refuse(self._schema, self._matcher.get_error())


class Forms:
    """The forms that answers of one model are held to, each compiled once.

    The tokenizer is read when the first form is wanted (a second or two).
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._tokenizer: llguidance.LLTokenizer | None = None
        self._compiled: dict[str, llguidance.LLMatcher | None] = {}
        self._refusals: dict[str, str] = {}

    def begin(self, schema: AnswerSchema | None) -> Hold | None:
        """Return the beginning of an answer of ``schema``; None where there is none, or it was refused."""
        if schema is None:
            return None
        written = _written(schema)
        if written not in self._compiled:
            self._compiled[written] = self._compile(schema)
        matcher = self._compiled[written]
        return None if matcher is None else Hold(matcher.deep_copy(), self, schema)

    def refusal(self, schema: AnswerSchema) -> str:
        """Return why ``schema`` is not held to: the grammar cannot say it, gave up in the middle of an answer, or
        cannot read the tokenizer; empty while it is held to, or was never wanted."""
        return self._refusals.get(_written(schema), "")

    @property
    def width(self) -> int:
        """Numbers that :meth:`Hold.allowed` returns."""
        assert self._tokenizer is not None
        return -(-self._tokenizer.vocab_size // 32)

    def refuse(self, schema: AnswerSchema, why: str) -> None:
        """Keep why ``schema`` is not held to, unless something is kept already."""
        self._refusals.setdefault(_written(schema), " ".join(why.split("<state>")[0].split())[:_WORDS])

    def _compile(self, schema: AnswerSchema) -> llguidance.LLMatcher | None:
        try:
            tokenizer = self._read_tokenizer()
        except ValueError as fault:  # a decoder that does not spell tokens in bytes, as of WordPiece
            self.refuse(schema, f"the tokenizer cannot be read: {fault}")
            return None
        thoughts = self._bundle.template.thoughts
        options = {"x-guidance": {"whitespace_pattern": BLANKS}}
        form = {"name": "form", "json_schema": {**schema.json_schema, **options}}
        grammar = json.dumps({"grammars": [{"lark_grammar": self._beginning(thoughts)}, form]})
        matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
        if matcher.is_error():
            self.refuse(schema, f"{schema.name}: {matcher.get_error()}")
            return None
        return matcher

    def _read_tokenizer(self) -> llguidance.LLTokenizer:
        if self._tokenizer is None:
            backend = json.loads(self._bundle.tokenizer.backend_tokenizer.to_str())
            backend |= {"truncation": None, "padding": None}  # set by whoever tokenized last
            self._tokenizer = llguidance.LLTokenizer(json.dumps(backend), eos_token=[*self._bundle.template.end_ids])
        return self._tokenizer

    def _beginning(self, thoughts: Thoughts | None) -> str:
        """The grammar of a whole completion: the form, behind the reasoning of a model that thinks first.

        Where the prompt has opened the reasoning it must be closed, else it may be opened; what is in it is free.
        """
        if thoughts is None:
            return "start: @form"
        closing = self._spelled(thoughts.closing)
        free = "/(?s:.*)/"
        inside = f"inside: {free} {closing}" if closing[0] == "<" else f"inside[suffix={closing}]: {free}"
        start = "inside" if thoughts.opened else f"(gap {self._spelled(thoughts.opening)} inside)?"
        return f"start: {start} gap @form\n{inside}\ngap: /[ \\n]{{0,4}}/\n"

    def _spelled(self, marker: str) -> str:
        """A marker in a grammar: as the special token that it is, or as the text that its tokens make."""
        number = self._bundle.tokenizer.get_vocab().get(marker)
        if number is not None and self._read_tokenizer().is_special_token(number):
            return f"<[{number}]>"
        return json.dumps(marker)


def _written(schema: AnswerSchema) -> str:
    return json.dumps(schema.json_schema)


def masked(logits: torch.Tensor, holds: Sequence[Hold | None]) -> torch.Tensor:
    """Return ``logits`` (B, V) with -inf for what may not come next; ``holds`` (B,) has None for rows that are free.

    The given logits stay as they are, and so do those of free rows. Tokens that the model has and the tokenizer does
    not, as where its matrix was padded, never come.
    """
    held = {row: hold for row, hold in enumerate(holds) if hold is not None and not hold.free}
    if not held:
        return logits
    words = np.stack([hold.allowed() for hold in held.values()])
    bits = np.unpackbits(words.view(np.uint8), axis=1, count=logits.shape[-1], bitorder="little")
    barred = ~torch.from_numpy(bits).view(torch.bool).to(logits.device)
    if len(held) == len(logits):
        return logits.masked_fill(barred, -torch.inf)
    rows = torch.tensor([*held], device=logits.device)
    return logits.index_copy(0, rows, logits[rows].masked_fill_(barred, -torch.inf))
