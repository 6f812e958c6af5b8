"""Personal data in a row: masked, or the row dropped, or only counted."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import JsonValue

from tutelage.curate.step import Sifted, change, drop
from tutelage.records import Dropped, Example, Message, TextPart, ToolCall
from tutelage.text.personal import KINDS, Finder, Kind, find_personal

MASKS: dict[Kind, str] = {
    "email": "[EMAIL]",
    "iban": "[IBAN]",
    "card": "[CARD]",
    "national_id": "[ID]",
    "ip": "[IP]",
    "phone": "[PHONE]",
}
NOUNS: dict[Kind, str] = {
    "email": "e-mail address",
    "iban": "IBAN",
    "card": "card number",
    "national_id": "national id",
    "ip": "IP address",
    "phone": "phone number",
}
NOT_FOUND = "names, postal addresses and dates of birth are not looked for"
MAX_LISTED = 20


class Personal:
    """Finds e-mail addresses, account and card numbers, national ids (US, UK), IP and phone numbers in all turns, their
    reasoning and the arguments of calls (:mod:`tutelage.text.personal`).

    ``mask`` writes [EMAIL], [IBAN], [CARD], [ID], [IP], [PHONE] in their place; ``drop`` leaves the row out, and what
    is kept of it among the dropped rows is masked too; ``flag`` keeps it and lists it in the notes. Names, postal
    addresses and dates of birth are not found: what was masked is not anonymous. Numbers of tests ("4111 1111 1111
    1111") are taken for real ones, the reserved ones (example.com, 192.0.2.1, 555-0100) for what they are.
    """

    name = "pii"

    def __init__(
        self,
        *,
        action: Literal["mask", "drop", "flag"] = "mask",
        find: Sequence[Kind] = KINDS,
        phones: Finder | None = None,
    ) -> None:
        self.action = action
        self.kinds = tuple(find)
        self._phones = phones

    def apply(self, rows: Sequence[Example]) -> Sifted:
        """Return what is kept, masked or not, and what is dropped; the notes tell what was not looked for."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        flagged: list[str] = []
        for row in rows:
            counts: Counter[Kind] = Counter()
            messages = tuple(self._message(message, counts) for message in row.messages)
            if not counts:
                kept.append(row)
                continue
            found = [kind for kind in KINDS if counts[kind]]
            masked = change(row, self.name, messages, [f"{NOUNS[kind]} masked" for kind in found])
            match self.action:
                case "mask":
                    kept.append(masked)
                case "drop":
                    detail = ", ".join(f"{counts[kind]} × {NOUNS[kind]}" for kind in found)
                    dropped.append(drop(masked, self.name, "holds personal data", detail))
                case "flag":
                    kept.append(row)
                    flagged.append(row.id)
        return Sifted(kept, dropped, self._notes(flagged))

    def _notes(self, flagged: Sequence[str]) -> tuple[str, ...]:
        if not flagged:
            return (NOT_FOUND,)
        more = f" and {len(flagged) - MAX_LISTED} more" if len(flagged) > MAX_LISTED else ""
        rows = f"{len(flagged):,} row{'' if len(flagged) == 1 else 's'}"
        said = f"{rows} with personal data kept: {', '.join(sorted(flagged)[:MAX_LISTED])}{more}"
        return said, NOT_FOUND

    def _message(self, message: Message, counts: Counter[Kind]) -> Message:
        content = tuple(
            part.model_copy(update={"text": self._masked(part.text, counts)}) if isinstance(part, TextPart) else part
            for part in message.content
        )
        calls = tuple(self._call(call, counts) for call in message.tool_calls)
        reasoning = self._masked(message.reasoning, counts)
        return message.model_copy(update={"content": content, "reasoning": reasoning, "tool_calls": calls})

    def _call(self, call: ToolCall, counts: Counter[Kind]) -> ToolCall:
        arguments = {name: self._value(value, counts) for name, value in call.arguments.items()}
        return call.model_copy(update={"arguments": arguments})

    def _value(self, value: JsonValue, counts: Counter[Kind]) -> JsonValue:
        match value:
            case str():
                return self._masked(value, counts)
            case list():
                return [self._value(one, counts) for one in value]
            case dict():
                return {name: self._value(one, counts) for name, one in value.items()}
            case _:
                return value

    def _masked(self, text: str, counts: Counter[Kind]) -> str:
        parts, last = [], 0
        for found in find_personal(text, self.kinds, phones=self._phones):
            counts[found.kind] += 1
            parts += [text[last : found.start], MASKS[found.kind]]
            last = found.end
        return "".join([*parts, text[last:]])
