"""The languages that prompts and answers are written in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.step import drop
from tutelage.records import Dropped, Example
from tutelage.text.fences import prose_of
from tutelage.text.language import detect
from tutelage.text.languages import NAMES, near

# What says nothing about the language: addresses, code in a line, tags, masks such as [EMAIL], numbers and signs.
NO_WORDS = re.compile(r"https?://\S+|\S+@\S+|`[^`\n]*`|<[^>\n]{1,200}>|\[[A-Z]{2,6}\]|\b\w*\d\w*|_|[^\w\s'’-]")
WIDE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
WIDE_LETTERS = 3
"""A letter of a script that writes a syllable or a word with one counts as so many."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The language of a text: its code, or nothing where it cannot be told."""

    code: str
    probability: float


def asked_text(row: Example) -> str:
    """Return all that the user says before the answer."""
    return "\n".join(message.text for message in row.prompt if message.role == "user")


def differ(prompt: Spoken, answer: Spoken) -> bool:
    """Return whether both languages are told, and no short text of the one is taken for the other."""
    return bool(prompt.code and answer.code) and answer.code not in {prompt.code, *near(prompt.code)}


class Language(RowWise):
    """Drops rows whose prompt or answer is in another language than those of ``keep``.

    The prompt is all that the user says. Told by py3langid (97 languages) on the prose alone: without fenced code, code
    in a line, addresses, tags, numbers. A text of fewer than ``min_letters`` letters, or whose language is less
    probable than ``min_probability``, is *undetermined*: such a row is kept, and the notes count it. A language that
    short texts of a kept one are taken for (Norwegian for Danish) counts as that one.

    ``answer_as_prompt`` also drops rows whose answer is in another language than their prompt, both being determined;
    translations go with them. A text in two languages is taken for the one there is more of.
    """

    name = "language"

    def __init__(
        self,
        keep: Sequence[str],
        *,
        min_letters: int = 30,
        min_probability: float = 0.9,
        answer_as_prompt: bool = False,
    ) -> None:
        self.keep = tuple(keep)
        self.min_letters = min_letters
        self.min_probability = min_probability
        self.answer_as_prompt = answer_as_prompt
        self._also = {*keep, *(other for code in keep for other in near(code))}

    def judge(self, rows: Sequence[Example]) -> Judged:
        """Return what is kept and what is dropped; the counts are of what was kept, and undetermined of it."""
        kept: list[Example] = []
        dropped: list[Dropped] = []
        tally = Tally()
        for row in rows:
            prompt = self.tell(asked_text(row))
            answer = self.tell(row.target.text)
            if fault := self._fault(prompt, answer):
                dropped.append(drop(row, self.name, *fault))
                continue
            kept.append(row)
            tally["kept"] += 1
            tally.update(side for side, found in (("prompt", prompt), ("answer", answer)) if not found.code)
        return Judged(kept, dropped, tally)

    def notes(self, tally: Tally) -> tuple[str, ...]:
        """Return how much of what was kept is undetermined."""
        return tuple(
            f"{tally[side]:,} of {tally['kept']:,} {side}s that were kept are too short or too unclear to tell"
            for side in ("prompt", "answer")
            if tally[side]
        )

    def tell(self, text: str) -> Spoken:
        """Return the language of a text, or none where it cannot be told."""
        words = " ".join(NO_WORDS.sub(" ", prose_of(text)).split())
        letters = sum(character.isalpha() for character in words) + (WIDE_LETTERS - 1) * len(WIDE.findall(words))
        if letters < self.min_letters:
            return Spoken("", 0.0)
        code, probability = detect(words)
        return Spoken(code if probability >= self.min_probability else "", probability)

    def _fault(self, prompt: Spoken, answer: Spoken) -> tuple[str, str] | None:
        for side, found in (("prompt", prompt), ("answer", answer)):
            if found.code and found.code not in self._also:
                detail = (
                    f"{NAMES.get(found.code, found.code)} ({found.probability:.2f}), kept are {', '.join(self.keep)}"
                )
                return f"{side} in another language", detail
        if self.answer_as_prompt and differ(prompt, answer):
            names = (NAMES.get(found.code, found.code) for found in (answer, prompt))
            return "answer in another language than the prompt", " and ".join(names)
        return None
