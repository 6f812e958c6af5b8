"""How an answer opens and closes: title, first words, last words, postscript."""

import random
import re
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted, share
from tutelage.text.words import words

TITLE = (
    "Put a title in double angle brackets at the top, like <<My Title>>.",
    "Begin with a title wrapped in double angle brackets, such as <<title>>.",
    "Add a title, written in double angular brackets like <<A Title>>, before the text.",
    "The first line should be a title inside << and >>.",
    "Start with a heading in double angle brackets, for example <<Heading>>.",
    "Give your text a title and write it between << and >> on the first line.",
    "The answer needs a title on top, enclosed in double angle brackets: <<like this>>.",
    "Head the text with its title, set in double angle brackets (<<...>>).",
    "Place a title first, framed as <<title>>.",
    "On top, write a title surrounded by double angle brackets, i.e. <<Title>>.",
)
TITLE_WORDS = (
    "Begin with a title of exactly {number} words in double angle brackets, such as <<...>>.",
    "Put a title in double angle brackets at the top (<<title>>) that has exactly {n} words.",
    "Start with a {number}-word title wrapped in << and >>.",
    "The first line must be a title in double angle brackets (<<...>>) with {n} words exactly.",
    "Head your text with a title of {number} words, enclosed in << and >>.",
    "Put exactly {n} words into a title at the top, inside double angle brackets like <<this>>.",
    "On the first line, write a {number}-word title between << and >>.",
    "Add a title of {n} words before the text and set it in double angle brackets (<<...>>).",
    "Give the text a title with exactly {number} words, wrapped in double angle brackets: <<...>>.",
    "On top there should be a title in double angle brackets, <<...>>, that is {number} words long.",
)
START = (
    'Begin your answer with the words "{phrase}".',
    'Start with "{phrase}".',
    'The first words of your answer must be "{phrase}".',
    'Your reply should open with "{phrase}".',
    'Let your answer start with the exact words "{phrase}".',
    'Your answer has to begin with "{phrase}".',
    'Use "{phrase}" as the opening words.',
    'Make "{phrase}" the very beginning of your text.',
    'Open your answer with this phrase: "{phrase}".',
    'The text must set out with the phrase "{phrase}".',
)
END = (
    'End your answer with "{phrase}"',
    'Finish with the exact sentence "{phrase}"',
    'The last words must be "{phrase}"',
    'Close your reply with the sentence "{phrase}"',
    'Your final sentence should be "{phrase}"',
    'Conclude your answer with this phrase: "{phrase}" Write nothing after it.',
    'Let the text end with "{phrase}" Add nothing after it.',
    'At the very end, write "{phrase}"',
    'The answer should stop with the words "{phrase}"',
    'Your answer must finish with "{phrase}"',
)
POSTSCRIPT = (
    "At the end, add a postscript that starts with {marker}",
    "Finish with a postscript on its own line, beginning with {marker}",
    "Add a postscript starting with {marker} after your answer.",
    "Close with a short {marker} note on a new line.",
)
OPENINGS = (
    "In my view", "First of all", "To be honest", "Well now", "Let me see",
    "As a rule", "Here is my answer:", "I believe that", "Most of all", "Frankly speaking",
    "In short", "Once upon a time", "To begin with", "At first sight", "Generally speaking",
    "Believe it or not", "Let's begin:", "You may not know that", "My thoughts:", "On the whole",
)  # fmt: skip
LONG_OPENINGS = (
    "The first thing that comes to my mind is",
    "There is one thing you should never forget:",
    "When I was asked about this",
    "It may sound odd at first but",
    "What few people notice at once is that",
    "If I had to put it in a few words",
    "Speaking as someone who has tried it",
    "Many years ago someone told me that",
    "This is how I see the matter:",
    "Not everyone will agree with me but",
)
CLOSINGS = (
    "Hope this helps!", "That is all.", "Is there anything else?", "Thank you for reading.", "And that is it.",
    "Have a nice day!", "The end.", "What do you think?", "I rest my case.", "Good luck!",
    "Take care.", "Let me know.", "Enjoy it!", "This concludes my answer.", "See you soon!",
    "Any questions?", "Try it yourself!", "Nothing more to add.", "Time will tell.", "So it goes.",
)  # fmt: skip
LONG_CLOSINGS = (
    "Is there anything else I can help with?",
    "And that is all I have to say about it.",
    "Please tell me whether this was useful to you.",
    "Now you know as much about it as I do.",
    "Let me know if you would like to hear more.",
    "I hope that this answers your question fully.",
    "That is the short version of a long story.",
    "The rest you will have to find out alone.",
    "Write to me again if anything is unclear.",
    "Everything else is a matter of taste and time.",
)
TITLE_LINE = re.compile(r"<<([^<>\n]+)>>")
POSTSCRIPT_LINE = r"^[ \t*_]*{marker}[:*_]*\s*\S"


def plain(text: str) -> str:
    """Return ``text`` in lower case with straight apostrophes and single spaces."""
    return " ".join(text.replace("’", "'").casefold().split())


class Title(Constraint):
    """The answer opens with a title in double angle brackets, of ``num_title_words`` words (0: any number)."""

    name: ClassVar[str] = "title"
    slot: ClassVar[str] = "opening"

    num_title_words: int = Field(default=0, ge=0)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(num_title_words=rng.randint(2, 5) if scene.hard else 0)

    def sentences(self) -> tuple[str, ...]:
        return TITLE_WORDS if self.num_title_words else TITLE

    def values(self) -> dict[str, str | int]:
        return {"n": self.num_title_words, "number": NUMBER_WORDS[self.num_title_words]}

    def fault(self, text: str) -> str:
        lines = text.strip().splitlines()
        found = TITLE_LINE.search(lines[0]) if lines else None
        number = len(words(found[1])) if found else 0
        if not number:
            return "The first line has no title in double angle brackets like <<this>>."
        if self.num_title_words and number != self.num_title_words:
            return f"The title has {counted(number, 'word')}; exactly {self.num_title_words} were asked."
        return ""

    def num_words(self) -> int:
        return self.num_title_words or 3


class Start(Constraint):
    """The answer begins with ``phrase``; case and kind of apostrophe are forgiven."""

    name: ClassVar[str] = "start"
    slot: ClassVar[str] = "opening"
    excludes: ClassVar[frozenset[str]] = frozenset({"letter_case", "quotation", "language"})

    phrase: str = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(phrase=rng.choice(share(LONG_OPENINGS if scene.hard else OPENINGS, scene.split)))

    def sentences(self) -> tuple[str, ...]:
        return START

    def values(self) -> dict[str, str | int]:
        return {"phrase": self.phrase}

    def fault(self, text: str) -> str:
        said, asked = plain(text), plain(self.phrase)
        if said.startswith(asked) and not said[len(asked) : len(asked) + 1].isalnum():
            return ""
        begun = " ".join(text.split()[: len(self.phrase.split())])
        return f'The answer begins with "{begun}"; it should begin with "{self.phrase}".'

    def literals(self) -> str:
        return self.phrase

    def num_words(self) -> int:
        return len(words(self.phrase))


class End(Constraint):
    """The answer ends with ``phrase``; case and the final punctuation mark are forgiven."""

    name: ClassVar[str] = "end"
    slot: ClassVar[str] = "closing"
    excludes: ClassVar[frozenset[str]] = frozenset({"letter_case", "quotation", "language"})

    phrase: str = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(phrase=rng.choice(share(LONG_CLOSINGS if scene.hard else CLOSINGS, scene.split)))

    def sentences(self) -> tuple[str, ...]:
        return END

    def values(self) -> dict[str, str | int]:
        return {"phrase": self.phrase}

    def fault(self, text: str) -> str:
        said, asked = plain(text).rstrip(".!?"), plain(self.phrase).rstrip(".!?")
        if said.endswith(asked) and not said[: -len(asked)][-1:].isalnum():
            return ""
        ended = " ".join(text.split()[-len(self.phrase.split()) :])
        return f'The answer ends with "{ended}"; it should end with "{self.phrase}"'

    def literals(self) -> str:
        return self.phrase

    def num_words(self) -> int:
        return len(words(self.phrase))


class Postscript(Constraint):
    """A line near the end begins with ``marker`` and says something."""

    name: ClassVar[str] = "postscript"
    slot: ClassVar[str] = "closing"
    excludes: ClassVar[frozenset[str]] = frozenset({"letter_case", "quotation", "sentences", "language"})
    test_only: ClassVar[bool] = True

    marker: str = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        return cls(marker="P.P.S." if scene.hard and rng.random() < 0.5 else "P.S.")

    def sentences(self) -> tuple[str, ...]:
        return POSTSCRIPT

    def values(self) -> dict[str, str | int]:
        return {"marker": self.marker}

    def fault(self, text: str) -> str:
        lines = re.findall(POSTSCRIPT_LINE.format(marker=re.escape(self.marker)), text, re.MULTILINE)
        return "" if lines else f"There is no line that starts with {self.marker} and says something."

    def literals(self) -> str:
        return self.marker

    def num_words(self) -> int:
        return 8
