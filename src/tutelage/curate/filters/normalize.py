"""One way of writing what looks the same: line ends, Unicode form, characters that nobody sees, white space at ends."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import change, drop
from tutelage.records import Dropped, Example, Message, TextPart
from tutelage.text.fences import fenced_lines

LINE_ENDS = re.compile("\r\n|\r")
MORE_LINE_ENDS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
# A zero-width space parts words in Thai, Lao, Burmese and Khmer. NUL stays, so that validate sees it.
_PARTED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
UNSEEN = re.compile(
    f"[\x01-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u00ad\u2060\ufeff]|(?<![{_PARTED}])\u200b(?![{_PARTED}])"
)
SAID = {"system", "user", "assistant"}
Repair = Callable[[str], str]


class Normalize(RowWise):
    """Writes turns in one way; the ledger counts rows by what was changed in them.

    | what | becomes |
    | --- | --- |
    | line ends | a line feed, also for CR, CR LF, vertical tabs, form feeds and Unicode's own |
    | broken encoding | with ``repair`` alone: "â€™" as the apostrophe that it was (ftfy.fix_encoding) |
    | unseen characters | nothing: control characters, byte order marks, soft hyphens, zero-width spaces |
    | Unicode form | form C, composed |
    | white space at ends | nothing at the end of a line, and no blank lines around a turn |

    Two spaces before another line stay: a line break of Markdown. Lines with tabs between their cells keep those at the
    end, which are empty cells. In fenced code only CR and CR LF become line feeds. Joiners and marks of direction stay;
    so does what a tool said, and the arguments of calls. Quotation marks, dashes and no-break spaces are the author's.
    A row of which no prompt or no answer is left is dropped. Verdicts are those on the text as it was.
    """

    name = "normalize"

    def __init__(self, *, repair: Repair | None = None) -> None:
        self.repair = repair

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept, changed or not, and what is dropped."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        for row in rows:
            found: dict[str, None] = {}
            messages = tuple(self._message(message, found) for message in row.messages)
            if not found:
                kept.append(row)
            elif emptied := _emptied(row.messages, messages):
                dropped.append(drop(row, self.name, f"nothing is left of the {emptied}", ", ".join(found)))
            else:
                kept.append(change(row, self.name, messages, sorted(found)))
        return Judged(kept, dropped, Tally())

    def judge_rejected(self, rows: Sequence[Example]) -> Judged:
        """Judge rejected answers as any others."""
        return self.judge(rows)

    def _message(self, message: Message, found: dict[str, None]) -> Message:
        """The message in one way of writing; what was changed goes to ``found``."""
        if message.role not in SAID:
            return message
        last = len(message.content) - 1
        content = tuple(
            part.model_copy(update={"text": self._text(part.text, found, first=place == 0, last=place == last)})
            if isinstance(part, TextPart)
            else part
            for place, part in enumerate(message.content)
        )
        reasoning = self._text(message.reasoning, found, first=True, last=True)
        return message.model_copy(update={"content": content, "reasoning": reasoning})

    def _text(self, text: str, found: dict[str, None], *, first: bool, last: bool) -> str:
        """The text of a part; ``first`` and ``last``: whether the turn begins and ends with it.

        What one pass takes out may make a fence of what was none, so it is done until nothing changes.
        """
        while (after := self._pass(text, found, first=first, last=last)) != text:
            text = after
        return text

    def _pass(self, text: str, found: dict[str, None], *, first: bool, last: bool) -> str:
        text = _noted(text, LINE_ENDS.sub("\n", text), "line ends", found)
        lines: list[tuple[str, bool]] = []
        for line, is_code in fenced_lines(text):
            if is_code:
                lines.append((line, True))
                continue
            for one in _noted(line, MORE_LINE_ENDS.sub("\n", line), "line ends", found).split("\n"):
                repaired = _noted(one, self.repair(one), "broken encoding", found) if self.repair else one
                seen = _noted(repaired, UNSEEN.sub("", repaired), "unseen characters", found)
                lines.append((_noted(seen, unicodedata.normalize("NFC", seen), "Unicode form", found), False))
        before = "\n".join(line for line, _ in lines)
        return _noted(before, _without_space(lines, first=first, last=last), "white space at ends", found)


def _noted(before: str, after: str, what: str, found: dict[str, None]) -> str:
    if before != after:
        found[what] = None
    return after


def _without_space(lines: Sequence[tuple[str, bool]], *, first: bool, last: bool) -> str:
    """Lines, each with whether it is code, without white space at their ends, nor blank ones where the turn begins
    (``first``) or ends (``last``)."""
    more = [bool(line.strip()) for line, _ in lines[1:]] + [not last]
    ended = [
        line if is_code else _ended(line, before_text=text) for (line, is_code), text in zip(lines, more, strict=True)
    ]
    start, end = 0, len(ended)
    while last and end > start and not ended[end - 1].strip() and not lines[end - 1][1]:
        end -= 1
    while first and start < end and not ended[start].strip() and not lines[start][1]:
        start += 1
    return "\n".join(ended[start:end])


def _ended(line: str, *, before_text: bool) -> str:
    """A line without white space at its end, but for a line break of Markdown and the empty cells of a table."""
    bare = line.rstrip()
    if "\t" in bare.strip():
        return line
    return f"{bare}  " if bare and before_text and line[len(bare) :].endswith("  ") else bare


def _emptied(before: Sequence[Message], after: Sequence[Message]) -> str:
    """What had words and has none any more: the prompt, the answer, or nothing."""
    if before[-1].text.strip() and not after[-1].text.strip() and not after[-1].tool_calls:
        return "answer"
    users = [(old, new) for old, new in zip(before, after, strict=True) if old.role == "user"]
    had, has = (any(message.text.strip() for message in side) for side in zip(*users, strict=True)) if users else (0, 0)
    has_media = any(part.kind != "text" for _, new in users for part in new.content)
    return "prompt" if had and not has and not has_media else ""
