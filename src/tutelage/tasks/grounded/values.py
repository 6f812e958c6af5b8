"""The kinds of values that an attribute can take, and how one is drawn."""

import random
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

ValueKind = Literal["number", "year", "date", "time", "weekday", "person", "place", "thing", "entity"]
KINDS: tuple[ValueKind, ...] = get_args(ValueKind)
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
WRITTEN_OUT = 0.35  # share of small bare numbers that a passage writes as words


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of one attribute: a kind, and bounds or a list of choices where the kind needs them."""

    kind: ValueKind
    low: float = 0
    high: float = 0
    step: float = 1
    form: str = "{}"
    choices: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether the values are written with digits."""
        return self.kind in ("number", "year", "date", "time")

    def draw(self, rng: random.Random) -> str:
        """Return a value as a passage writes it; people and places are drawn from names, not here."""
        if self.kind == "year":
            return str(rng.randint(int(self.low), int(self.high)))
        if self.kind == "date":
            return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"
        if self.kind == "time":
            return f"{rng.randint(5, 11)}:{rng.choice(('00', '10', '15', '20', '30', '40', '45', '50'))}"
        if self.kind == "weekday":
            return rng.choice(WEEKDAYS)
        if self.kind == "thing":
            return rng.choice(self.choices)
        number = round(self.low + self.step * rng.randint(0, round((self.high - self.low) / self.step)), 2)
        if self.form == "{}" and number < len(NUMBER_WORDS) and rng.random() < WRITTEN_OUT:
            return NUMBER_WORDS[int(number)]
        if number == int(number):
            return self.form.format(f"{int(number):,}")
        return self.form.format(f"{number:.2f}" if self.form.endswith("{}") else f"{number:g}")  # £7.90, 7.9 percent


@cache
def parse_domain(written: str) -> Domain:
    """Parse ``number LOW HIGH STEP FORM``, ``year LOW HIGH``, ``thing A|B|C`` or the bare name of another kind."""
    word, _, rest = written.partition(" ")
    kind = next((kind for kind in KINDS if kind == word), None)
    if kind is None:
        raise ValueError(f"{written!r}: {word!r} is not a kind of value")
    if kind == "number":
        low, high, step, form = rest.split(" ", 3)
        return Domain(kind, low=float(low), high=float(high), step=float(step), form=form)
    if kind == "year":
        low, high = rest.split(" ")
        return Domain(kind, low=float(low), high=float(high))
    return Domain(kind, choices=tuple(rest.split("|")) if rest else ())


def canonical(number: str) -> str:
    """Return the bare digits of a number as a passage writes it: "$1,200" and "1,200 mg" are 1200, "twelve" is 12."""
    if number in NUMBER_WORDS:
        return str(NUMBER_WORDS.index(number))
    return "".join(character for character in number if character.isdigit() or character == ".")
