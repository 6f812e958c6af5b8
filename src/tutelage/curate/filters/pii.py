"""Personal data in a row: masked, or the row dropped, or only counted."""

import json
from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest
from typing import Literal

from pydantic import JsonValue, ValidationError

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import change, drop
from tutelage.curate.words import reworded
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


class Personal(RowWise):
    """Finds e-mail addresses, account and card numbers, national ids (US, UK), IP and phone numbers in all turns, their
    reasoning and the arguments of calls, and in the words of their lineage (:mod:`tutelage.text.personal`).

    ``mask`` writes [EMAIL], [IBAN], [CARD], [ID], [IP], [PHONE] in their place; ``drop`` leaves a row out whose turns
    hold some, and masks the lineage of others; ``flag`` keeps it and lists it in the notes. Unless rows are only
    flagged, what is kept of dropped rows is masked too, whichever step dropped them and why. Names, postal addresses
    and dates of birth are not found: what was masked is not anonymous. Numbers of tests ("4111 1111 1111 1111") are
    taken for real ones, the reserved ones (example.com, 192.0.2.1, 555-0100) for what they are.
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

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept, masked or not, and what is dropped; the counts are of the ids of flagged rows."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        flagged = Tally()
        for row in rows:
            said: Counter[Kind] = Counter()
            masked, counts = self._row(row, said)
            if not counts:
                kept.append(row)
            elif self.action == "flag":
                kept.append(row)
                flagged[row.id] += 1
            elif self.action == "drop" and said:
                detail = ", ".join(f"{said[kind]} × {NOUNS[kind]}" for kind in KINDS if said[kind])
                dropped.append(drop(masked, self.name, "holds personal data", detail))
            else:
                kept.append(masked)
        return Judged(kept, dropped, flagged)

    def judge_rejected(self, rows: Sequence[Example]) -> Judged:
        """Judge rejected answers as any others."""
        return self.judge(rows)

    def mask_dropped(self, row: Dropped) -> Dropped:
        """Return a dropped row, of any step, without what would be masked; as it is where rows are only flagged."""
        if self.action == "flag":
            return row
        counts: Counter[Kind] = Counter()
        try:
            example = Example.model_validate_json(row.row)
        except ValidationError:  # a pair of answers, or what else a step of one's own keeps of a row
            text = self._json(row.row, counts)
        else:
            masked, found = self._row(example, counts)
            text = masked.to_json() if found else row.row
        return row.model_copy(update={"reason": self._masked(row.reason, counts), "row": text})

    def _row(self, row: Example, said: Counter[Kind]) -> tuple[Example, Counter[Kind]]:
        """A row masked, and what it held; ``said`` counts what its turns held."""
        messages = tuple(self._message(message, said) for message in row.messages)
        counts = said.copy()
        lineage = reworded(row.lineage, lambda text: self._masked(text, counts))
        what = [f"{NOUNS[kind]} masked" for kind in KINDS if counts[kind]]
        return change(row, self.name, messages, what, lineage=lineage), counts

    def notes(self, tally: Tally) -> tuple[str, ...]:
        """Return which rows were flagged, and what was not looked for."""
        if not tally:
            return (NOT_FOUND,)
        count = tally.total()
        more = f" and {count - MAX_LISTED} more" if count > MAX_LISTED else ""
        rows = f"{count:,} row{'' if count == 1 else 's'}"
        listed = nsmallest(MAX_LISTED, map(str, tally.elements()))
        return f"{rows} with personal data kept: {', '.join(listed)}{more}", NOT_FOUND

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

    def _json(self, text: str, counts: Counter[Kind]) -> str:
        """JSON of any kind, masked text by text: as a whole, "\\n" before an address would hide where it begins."""
        try:
            value = json.loads(
                text,
                parse_int=lambda digits: self._number(digits, counts),
                object_pairs_hook=lambda pairs: {self._masked(name, counts): one for name, one in pairs},
            )
        except (ValueError, RecursionError):  # no JSON
            return self._masked(text, counts)
        masked = self._value(value, counts)
        return json.dumps(masked, ensure_ascii=False, separators=(",", ":")) if counts else text

    def _number(self, digits: str, counts: Counter[Kind]) -> int | str:
        masked = self._masked(digits, counts)
        return int(digits) if masked == digits else masked

    def _masked(self, text: str, counts: Counter[Kind]) -> str:
        """``text`` masked until there is nothing to mask: what overlapped with another find may stand alone now."""
        while found := find_personal(text, self.kinds, phones=self._phones):
            parts, last = [], 0
            for one in found:
                counts[one.kind] += 1
                parts += [text[last : one.start], MASKS[one.kind]]
                last = one.end
            text = "".join([*parts, text[last:]])
        return text
