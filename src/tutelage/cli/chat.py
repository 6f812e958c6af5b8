"""``tutelage chat``."""

import sys
from pathlib import Path

from tutelage.cli.console import ERR, say, waiting
from tutelage.cli.targets import find_target
from tutelage.completers.local import LocalCompleter
from tutelage.errors import CompletionError
from tutelage.models.load import load_tuned
from tutelage.models.template_file import template_of
from tutelage.records import Conversation, Request, Sampling, assistant, user
from tutelage.records import system as system_turn
from tutelage.seeds import derive_seed


def chat_command(
    given: str, *, adapter: Path | None, max_tokens: int, temperature: float, system: str, offline: bool
) -> None:
    """Answer what is written, turn by turn, until /exit or the end of the input."""
    target = find_target(given, [], adapter)
    recipe = target.recipe
    section = recipe.model if recipe is not None else None
    replaced = template_of(recipe.model, recipe.folder) if recipe is not None else None
    with waiting(f"loading {target.model}"):
        bundle = load_tuned(
            target.model,
            target.weights,
            dtype=section.dtype if section is not None else "auto",
            device=section.device if section is not None else "auto",
            revision=section.revision if section is not None else None,
            offline=offline,
            merge=True,
            template=replaced,
            new_tokens=section.new_tokens if section is not None else (),
        )
    which = f"{target.model} with {target.weights}" if target.weights is not None else f"{target.model}, untuned"
    ERR.print(f"{which} ({target.label})", markup=False, style="bold", soft_wrap=True)
    ERR.print("/reset starts anew, /exit leaves.", style="dim")
    start: Conversation = (system_turn(system),) if system else ()
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    with LocalCompleter(bundle, batch_size=1) as completer:
        _talk(completer, start, sampling)


def _talk(completer: LocalCompleter, start: Conversation, sampling: Sampling) -> None:
    turns = start
    number = 0
    while (line := _read()) is not None:
        if line == "/exit":
            return
        if line == "/reset":
            turns = start
            ERR.print("(a new conversation)", style="dim")
        elif line.startswith("/"):
            ERR.print("There are /reset and /exit.", style="dim")
        elif line:
            number += 1
            asked = (*turns, user(line))
            request = Request(
                id=f"chat/{number}", messages=asked, sampling=sampling, seed=derive_seed(0, "chat", number)
            )
            with waiting("writing"):
                answer = next(iter(completer.complete([request])))
            if answer.finish == "error":
                raise CompletionError("the model could not answer", received=answer.error)
            say(answer.text)
            if not answer.ended:
                ERR.print(f"(cut off at {sampling.max_tokens} tokens)", style="dim")
            turns = (*asked, assistant(answer.text))


def _read() -> str | None:
    """The next line, None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
