"""Which words must occur and which must not."""

import random
from typing import ClassVar, Self

from pydantic import Field

from tutelage.tasks.constraints.constraint import NUMBER_WORDS, Constraint, Scene, counted, listed, share
from tutelage.text.words import normalize

INCLUDE_ONE = (
    "Include the word {words}.",
    "Use the word {words} somewhere in your answer.",
    "The word {words} must appear in your answer.",
    "Make sure to mention the word {words}.",
    "Your text has to contain the word {words}.",
    "Be sure to use the word {words}.",
    "Work the word {words} into your answer.",
    "Don't forget to include the word {words}.",
    "It should have the word {words} in it.",
    "Somewhere in the answer, write the word {words}.",
)
INCLUDE_MANY = (
    "Include the words {words}.",
    "Use all of these words: {words}.",
    "The words {words} must all appear in your answer.",
    "Make sure to mention the words {words}.",
    "Your text has to contain each of the words {words}.",
    "Be sure to use the words {words}.",
    "Work the following words into your answer: {words}.",
    "Don't leave out any of these words: {words}.",
    "It should have the words {words} in it.",
    "Somewhere in the answer, write each of these words: {words}.",
)
INCLUDE_OFTEN = (
    "Use the word {words} at least {times} times.",
    "The word {words} should appear at least {number} times.",
    "Mention the word {words} no fewer than {times} times.",
    "Make the word {words} occur {number} times or more.",
    "Let the word {words} come up at least {number} times.",
    "Write the word {words} {times} times or more.",
    "Make sure to use the word {words} at least {number} times.",
    "The word {words} has to occur at least {times} times.",
    "Repeat the word {words} so that it appears at least {number} times.",
    "I want to read the word {words} no fewer than {number} times.",
)
INCLUDE_CLAUSES = (
    "and include the word {words}",
    "using the word {words}",
    "and mention the word {words}",
    "and make sure the word {words} appears",
    "with the word {words} in it",
)
EXCLUDE_ONE = (
    "Do not use the word {words}.",
    "Avoid the word {words}.",
    "The word {words} must not appear in your answer.",
    "Leave out the word {words}.",
    "Never write the word {words}.",
    "Don't mention the word {words}.",
    "Write it without the word {words}.",
    "The word {words} is forbidden.",
    "You are not allowed to use the word {words}.",
    "Stay away from the word {words}.",
)
EXCLUDE_MANY = (
    "Do not use the words {words}.",
    "Avoid the words {words}.",
    "None of the words {words} may appear in your answer.",
    "Leave out these words: {words}.",
    "Never write any of the words {words}.",
    "Don't use any of these words: {words}.",
    "Write it without the words {words}.",
    "The words {words} are forbidden.",
    "You are not allowed to use the words {words}.",
    "Stay away from these words: {words}.",
)
EXCLUDE_CLAUSES = (
    "without using the word {words}",
    "without the word {words}",
    "and avoid the word {words}",
    "but leave out the word {words}",
    "but do not use the word {words}",
)
GENERIC = (
    "morning", "often", "secret", "garden", "gentle", "simple", "slowly", "window", "bright", "friend",
    "always", "careful", "winter", "quietly", "brave", "together", "perfect", "honest", "curious", "easily",
    "strange", "summer", "patient", "sometimes", "wonderful", "nearly", "favorite", "moment", "travel", "usually",
)  # fmt: skip
TEMPTING = (
    "very", "good", "people", "important", "many", "great", "really", "some", "make", "most",
    "also", "because", "often", "best", "help", "just", "time", "enjoy", "world", "like",
)  # fmt: skip
FUNCTION_WORDS = ("is", "are", "can", "with", "that", "for", "it", "you", "of", "this", "have", "be")


class KeywordsIn(Constraint):
    """Each of ``words`` occurs at least ``times`` times, as a whole word in either case."""

    name: ClassVar[str] = "keywords_in"

    words: tuple[str, ...] = Field(min_length=1)
    times: int = Field(default=1, ge=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        generic = share(GENERIC, scene.split)
        if not scene.hard:
            return cls(words=(rng.choice(scene.cues if rng.random() < 0.7 else generic),))
        if rng.random() < 0.4:
            return cls(words=(rng.choice(scene.cues),), times=rng.randint(2, 3))
        words = [*rng.sample(sorted(set(scene.cues)), 2), rng.choice([w for w in generic if w not in scene.cues])]
        return cls(words=tuple(rng.sample(words, 3)))

    def sentences(self) -> tuple[str, ...]:
        return INCLUDE_OFTEN if self.times > 1 else INCLUDE_ONE if len(self.words) == 1 else INCLUDE_MANY

    def clauses(self) -> tuple[str, ...]:
        return INCLUDE_CLAUSES if self.times == 1 and len(self.words) == 1 else ()

    def values(self) -> dict[str, str | int]:
        return {"words": listed(self.words), "times": self.times, "number": NUMBER_WORDS[self.times]}

    def fault(self, text: str) -> str:
        tokens = normalize(text).split()
        missing = [word for word in self.words if tokens.count(word) < self.times]
        if not missing:
            return ""
        if self.times > 1:
            number = counted(tokens.count(missing[0]), "time")
            return f'The word "{missing[0]}" occurs {number}; at least {self.times} were asked.'
        return (
            f"The word {listed(missing)} is missing."
            if len(missing) == 1
            else f"The words {listed(missing)} are missing."
        )

    def literals(self) -> str:
        return " ".join(self.words)

    def num_words(self) -> int:
        return len(self.words) * self.times


class KeywordsOut(Constraint):
    """None of ``words`` occurs, as a whole word in either case."""

    name: ClassVar[str] = "keywords_out"

    words: tuple[str, ...] = Field(min_length=1)

    @classmethod
    def draw(cls, rng: random.Random, scene: Scene) -> Self:
        asked = scene.literals | set(scene.topic_words)
        tempting = [w for w in (*share(TEMPTING, scene.split), *scene.cues) if w not in asked]
        if not scene.hard:
            return cls(words=(rng.choice(tempting),))
        function_words = [w for w in FUNCTION_WORDS if w not in asked]
        words = [*rng.sample(sorted(set(tempting)), 1), *rng.sample(function_words, 2)]
        return cls(words=tuple(rng.sample(words, 3)))

    def sentences(self) -> tuple[str, ...]:
        return EXCLUDE_ONE if len(self.words) == 1 else EXCLUDE_MANY

    def clauses(self) -> tuple[str, ...]:
        return EXCLUDE_CLAUSES if len(self.words) == 1 else ()

    def values(self) -> dict[str, str | int]:
        return {"words": listed(self.words)}

    def fault(self, text: str) -> str:
        tokens = set(normalize(text).split())
        found = [word for word in self.words if word in tokens]
        if found:
            verb = "was" if len(found) == 1 else "were"
            return f"The {'word' if len(found) == 1 else 'words'} {listed(found)} {verb} used but not allowed."
        return "" if tokens else "The answer is empty."
