"""The language of the answer."""

import random
import re
from typing import ClassVar, Literal, Self

from tutelage.tasks.constraints.constraint import Constraint, Scene
from tutelage.text.language import detect

LANGUAGE = (
    "Answer in {language}.",
    "Your whole answer must be in {language}.",
    "Write your answer in {language}, not in English.",
    "Please reply in {language}.",
    "Give the answer in {language} only.",
    "Use {language} for your entire answer.",
    "Respond in {language}.",
    "The answer has to be written in {language}.",
    "Say it in {language}.",
    "I would like to read your answer in {language}.",
)
LANGUAGE_CLAUSES = (
    "in {language}",
    "in the {language} language",
    "in {language} only",
    "entirely in {language}",
    "in {language}, not in English",
)
NAMES = {"es": "Spanish", "fr": "French", "de": "German", "it": "Italian", "pt": "Portuguese"}
# An identifier takes short texts for a close relative that nobody asks for; a reader would not.
NEAR = {"es": {"gl", "an"}, "fr": {"wa", "oc"}, "de": {"lb"}, "it": set(), "pt": {"gl"}}
MARKUP = re.compile(r"<<[^<>\n]*>>|\[[^\]\n]*\]|\*+")


class Language(Constraint):
    """The text, without a title or placeholders, is in ``code`` by language identification."""

    name: ClassVar[str] = "language"
    excludes: ClassVar[frozenset[str]] = frozenset({"keywords_in", "keywords_out"})

    code: Literal["es", "fr", "de", "it", "pt"]

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        if scene.hard:
            return cls(code=rng.choice(("es", "fr", "de", "it", "pt")))
        return cls(code=rng.choice(("es", "fr", "de")))

    def sentences(self) -> tuple[str, ...]:
        return LANGUAGE

    def clauses(self) -> tuple[str, ...]:
        return LANGUAGE_CLAUSES

    def values(self) -> dict[str, str | int]:
        return {"language": NAMES[self.code]}

    def fault(self, text: str) -> str:
        found, _ = detect(MARKUP.sub(" ", text).lower())
        if found == self.code or found in NEAR[self.code]:
            return ""
        if not found:
            return f"The answer is empty; {NAMES[self.code]} was asked."
        read = {**NAMES, "en": "English"}.get(found, f"something else ({found})")
        return f"The answer reads as {read}; {NAMES[self.code]} was asked."

    def num_words(self) -> int:
        return 10
