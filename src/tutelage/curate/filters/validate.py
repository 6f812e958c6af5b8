"""Is the row a conversation that can be learned from at all?"""

import math
import re
from collections.abc import Callable, Sequence

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import drop
from tutelage.records import Example, Message

# A tokenizer may turn such text into its control tokens: turns would then begin and end where nobody wrote any.
CONTROL_TOKENS = re.compile(r"<\|[A-Za-z0-9_ ]{1,40}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|</?s>(?!\w)")
BROKEN_CHARACTERS = re.compile("[\x00\ufffd\ud800-\udfff]")


class Validate(RowWise):
    """Drops rows that are empty, out of turn, over-long, broken, or whose numbers are not finite.

    Turns: an optional system turn, then user and assistant in alternation, ending with the assistant; tool turns
    follow an assistant turn with tool calls.
    """

    name = "validate"

    def __init__(self, *, max_target_chars: int = 20_000, max_prompt_chars: int = 100_000) -> None:
        self.max_target_chars = max_target_chars
        self.max_prompt_chars = max_prompt_chars

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and what is dropped."""
        return self._judged(rows, self.fault)

    def judge_rejected(self, rows: Sequence[Example]) -> Judged:
        """Drop rejected answers that are broken or hold control tokens; they may be empty, or too long."""
        return self._judged(rows, lambda row: _broken_text(row) or _not_finite(row))

    def _judged(self, rows: Sequence[Example], fault_of: Callable[[Example], tuple[str, str] | None]) -> Judged:
        faults = [(row, fault_of(row)) for row in rows]
        kept = [row for row, fault in faults if fault is None]
        dropped = [drop(row, self.name, *fault) for row, fault in faults if fault is not None]
        return Judged(kept, dropped, Tally())

    def fault(self, row: Example) -> tuple[str, str] | None:
        """Return the kind and the detail of the first fault of a row, or None."""
        if not row.messages:
            return "no turns", ""
        if row.target.role != "assistant":
            return "no answer at the end", f"the last turn is of the {row.target.role}"
        if not any(message.text.strip() or _has_media(message) for message in row.prompt if message.role == "user"):
            return "empty prompt", ""
        if not row.target.text.strip() and not row.target.tool_calls:
            return "empty answer", ""
        if disorder := _disorder(row.messages):
            return "turns out of order", disorder
        for what, length, limit in (
            ("answer", len(row.target.text), self.max_target_chars),
            ("prompt", sum(len(message.text) for message in row.prompt), self.max_prompt_chars),
        ):
            if length > limit:
                return f"{what} too long", f"{length} characters, at most {limit}"
        return _broken_text(row) or _not_finite(row)


def _has_media(message: Message) -> bool:
    return any(part.kind != "text" for part in message.content)


def _disorder(messages: Sequence[Message]) -> str:
    """What is wrong with the order of the turns, "" if nothing is."""
    turns = messages[1:] if messages[0].role == "system" else messages
    allowed = {"user"}
    for position, message in enumerate(turns, start=len(messages) - len(turns)):
        if message.role not in allowed:
            return f"turn {position} is of the {message.role}, expected {' or '.join(sorted(allowed))}"
        if message.role == "user":
            allowed = {"assistant"}
        elif message.role == "assistant":
            allowed = {"tool"} if message.tool_calls else {"user"}
        else:
            allowed = {"tool", "assistant"}
    return ""


def _broken_text(row: Example) -> tuple[str, str] | None:
    for message in row.messages:
        for text in (message.text, message.reasoning):
            if found := BROKEN_CHARACTERS.search(text):
                return "broken characters", f"U+{ord(found.group()):04X} in a turn of the {message.role}"
            if found := CONTROL_TOKENS.search(text):
                return "control tokens of a chat template", f"{found.group()} in a turn of the {message.role}"
    return None


def _not_finite(row: Example) -> tuple[str, str] | None:
    cost = row.lineage.cost
    for name, value in (("seconds", cost.seconds), ("money", cost.money), ("human_minutes", cost.human_minutes)):
        if value is not None and not math.isfinite(value):
            return "a number that is not finite", f"cost.{name} is {value}"
    return None
