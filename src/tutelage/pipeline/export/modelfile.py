"""A Modelfile for Ollama: its templates are Go's ``text/template``, so the model's own is taken apart and put together.

Ollama does not run a model's chat template; without one of its own it guesses by likeness. What is written here holds
only for templates that put constant text around the words of each turn, which is shown and not assumed: the pieces are
read off marked conversations, joined as the Go program joins them, and compared with the template's own text. The Go
program is executed by the project's tests; Ollama itself was not run on it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.errors import ModelError, TemplateError
from tutelage.models.bundle import Bundle
from tutelage.models.template import ChatTemplate
from tutelage.records import Conversation, assistant, system, user

LONGEST_CONTEXT = 8192
"""Ollama keeps memory for as many tokens; its own default would cut earlier."""
CONVERSATIONS: tuple[Conversation, ...] = (
    (user("Hello"),),
    (system("You answer briefly."), user("Why is the sky blue?")),
    (user("One."), assistant("Two."), user("Three."), assistant("Four."), user("Five?")),
    (system("A"), user("b"), assistant("c"), user("d")),
    (user("  blanks around, and a line\n\nbetween \n"),),
    (system(" {{ .System }} "), user('{{ "a" }} {% if x %} "quoted" \\n \'single\' `ticks`')),
    (user("naïve — “done” 東京 🙂"), assistant("ünd"), user('"""')),
    (user(""), assistant(""), user("x")),
    (user("2 + 2?"), assistant("<think>\nTwo and two.\n</think>\n\n4"), user("3 + 3?")),
)
"""What a template's pieces are compared on, each with the beginning of an answer behind it."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A chat template as constant text.

    ``opening`` stands before the first turn if that is not the system's; ``system``, ``user`` and ``assistant`` are the
    texts before and after the words of such a turn, ``answer`` is where the model begins to write.
    """

    opening: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str

    def join(self, messages: Conversation) -> str:
        """Return the text of ``messages`` and the beginning of an answer, as :meth:`program` writes it."""
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        opening = "" if messages[0].role == "system" else self.opening
        turns = [f"{around[turn.role][0]}{turn.text}{around[turn.role][1]}" for turn in messages]
        return opening + "".join(turns) + self.answer

    def program(self) -> str:
        """Return it as a Go template over Ollama's ``.Messages``, in one line: all text stands in quoted strings."""
        turns = "".join(
            f'{{{{ {"if" if number == 0 else "else if"} eq $turn.Role "{role}" }}}}'
            f"{_go(before)}{{{{ $turn.Content }}}}{_go(after)}"
            for number, (role, (before, after)) in enumerate(
                (("system", self.system), ("user", self.user), ("assistant", self.assistant))
            )
        )
        opening = f'{{{{ if and (eq $at 0) (ne $turn.Role "system") }}}}{_go(self.opening)}{{{{ end }}}}'
        return (
            f"{{{{ range $at, $turn := .Messages }}}}{opening if self.opening else ''}{turns}{{{{ end }}}}{{{{ end }}}}"
            f"{_go(self.answer)}"
        )


def pieces_of(template: ChatTemplate) -> Pieces:
    """Return the constant text of a template.

    Raises
    ------
    ModelError: it does more than to put constant text around the words of each turn: it trims them, folds the system's
        words into the user's, writes the last turn otherwise.
    """
    marks = [f"Zq{letter}7mark" for letter in "abcde"]
    one, two, three, four, five = marks
    try:
        asked = (system(one), user(two))
        before, between, answered, again, last, closing = _cut(
            template.render((*asked, assistant(three), user(four), assistant(five))), marks
        )
        beginning = template.render(asked, add_generation_prompt=True).removeprefix(template.render(asked))
        opening, user_end = _cut(template.render((user(two),)), [two])
        user_begin = again.removeprefix(closing)
        assistant_begin = answered.removeprefix(user_end)
        found = Pieces(
            opening=opening.removesuffix(user_begin),
            system=(before, between.removesuffix(user_begin)),
            user=(user_begin, user_end),
            assistant=(assistant_begin, closing),
            answer=beginning,
        )
        differs = next((turns for turns in CONVERSATIONS if found.join(turns) != _text(template, turns)), None)
        if answered == last and differs is None:
            return found
        received = "" if differs is None else f"{_text(template, differs)!r}, in pieces {found.join(differs)!r}"
    except TemplateError as fault:
        received = str(fault)
    raise ModelError(
        "the chat template cannot be written for Ollama in a way that can be proved",
        received=received or "turns whose surroundings change",
        remedy="leave out --ollama; llama.cpp and vLLM run the model's own template",
    )


def write_modelfile(bundle: Bundle, model: str) -> str:
    """Return the Modelfile of a bundle whose GGUF file is ``model``, a path relative to it.

    Answers are greedy and unpenalized, as they are scored; ``PARAMETER`` lines are what a user changes.
    """
    program = pieces_of(bundle.template).program()
    ends = bundle.tokenizer.convert_ids_to_tokens(list(bundle.template.end_ids))
    context = min(int(bundle.model.config.max_position_embeddings), LONGEST_CONTEXT)
    lines = [
        "# Scores are of greedy answers without a penalty on repetition; Ollama's own settings are others.",
        f"FROM ./{model}",
        f'TEMPLATE """{program}"""',
        *(f'PARAMETER stop "{end}"' for end in ends),
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {context}",
    ]
    return "\n".join(lines) + "\n"


def _text(template: ChatTemplate, messages: Conversation) -> str:
    return template.render(messages, add_generation_prompt=True)


def _cut(text: str, marks: Sequence[str]) -> list[str]:
    """The pieces of ``text`` around ``marks``."""
    pieces = []
    for mark in marks:
        piece, found, text = text.partition(mark)
        if not found:
            raise TemplateError("the chat template leaves a turn out", received=text)
        pieces.append(piece)
    return [*pieces, text]


def _go(text: str) -> str:
    """An action that writes ``text``: JSON's escapes below U+0080 are Go's. Modelfiles lose what is not printable."""
    quoted = json.dumps(text, ensure_ascii=False)
    printable = "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)
    return f"{{{{ {printable} }}}}" if text else ""
