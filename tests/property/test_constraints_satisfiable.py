"""No item asks for the impossible: a witness answer is built from the parameters of every generated item."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.records import LEVELS, SPLITS, Answer, Item, Level, Split
from tutelage.tasks.constraints import Constraints
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.constraint import Constraint
from tutelage.tasks.constraints.families.characters import LetterCase, Letters
from tutelage.tasks.constraints.families.edges import End, Postscript, Start, Title
from tutelage.tasks.constraints.families.keywords import KeywordsIn
from tutelage.tasks.constraints.families.language import Language
from tutelage.tasks.constraints.families.lengths import Sentences, Words
from tutelage.tasks.constraints.families.lists import Bullets, Numbered
from tutelage.tasks.constraints.families.marks import Highlights, Placeholders
from tutelage.tasks.constraints.families.openings import Choice, Repeat
from tutelage.tasks.constraints.families.shapes import JsonShape, Paragraphs, Quotation, Sections
from tutelage.text.words import words

TASK = Constraints()
# The English filler is invented, so that it never meets a forbidden word.
SENTENCES = {
    "": "glimmo tarvel quossin brellid nuvarra postil drenko yalmer fistoc weblun hargo sintrel mobbit",
    "es": "las calles del pueblo son muy bonitas porque la gente canta y baila cada noche hasta la mañana",
    "fr": "les rues du village sont très jolies parce que les gens chantent et dansent chaque nuit sans fin",
    "de": "die straßen des dorfes sind sehr schön weil die leute jede nacht bis zum morgen singen und tanzen",
    "it": "le strade del paese sono molto belle perché la gente canta e balla ogni notte fino al mattino",
    "pt": "as ruas da aldeia são muito bonitas porque as pessoas cantam e dançam todas as noites até de manhã",
}
FILLER = {code: sentence.split() for code, sentence in SENTENCES.items()}


class Demands:
    """The constraints of an item, found by class."""

    def __init__(self, item: Item) -> None:
        self.all = read_constraints(item)

    def get(self, kind: type[Constraint]) -> Constraint | None:
        return next((constraint for constraint in self.all if isinstance(constraint, kind)), None)


def required(demands: Demands) -> list[str]:
    """Return the tokens that must stand somewhere in the text."""
    tokens: list[str] = []
    for constraint in demands.all:
        if isinstance(constraint, KeywordsIn):
            tokens += list(constraint.words) * constraint.times
        elif isinstance(constraint, Letters):
            tokens += [constraint.letter * constraint.n]
        elif isinstance(constraint, Highlights):
            tokens += ["*glimmo*"] * constraint.n
        elif isinstance(constraint, Placeholders):
            tokens += ["[glimmo]"] * constraint.n
    return tokens


def witness_json(shape: JsonShape, tokens: list[str]) -> str:
    value: dict[str, object] = dict.fromkeys(shape.keys, "glimmo")
    if shape.list_key:
        value[shape.list_key] = ["glimmo"] * shape.list_length
    if tokens:
        value[shape.keys[0]] = " ".join(tokens)
    return json.dumps(value)


def units(tokens: list[str], number: int, total: int, filler: list[str]) -> list[str]:
    """Return ``number`` runs of words, ``total`` in all, that contain ``tokens``; each has one word at least."""
    pool = list(tokens)
    while len(pool) < max(total, number):
        pool.append(filler[(len(pool) - len(tokens)) % len(filler)])
    return [" ".join(pool[place::number]) for place in range(number)]


def compose(demands: Demands, total: int) -> str:
    """Return an answer whose body has about ``total`` words."""
    get = demands.get
    language = get(Language)
    filler = FILLER[language.code if isinstance(language, Language) else ""]
    tokens = required(demands)
    shape = next((c for c in demands.all if c.slot == "shape"), None)
    end = get(End)
    if isinstance(shape, Bullets):
        body = "\n".join(f"- {unit}" for unit in units(tokens, shape.n, total, filler))
    elif isinstance(shape, Numbered):
        body = "\n".join(f"{n}. {unit}" for n, unit in enumerate(units(tokens, shape.n, total, filler), start=1))
    elif isinstance(shape, Sections):
        parts = units(tokens, len(shape.headers), total, filler)
        body = "\n".join(f"{header}\n{part}" for header, part in zip(shape.headers, parts, strict=True))
    elif isinstance(shape, Paragraphs):
        body = f"\n{shape.marker}\n".join(units(tokens, shape.n, total, filler))
    elif isinstance(shape, Sentences):
        body = " ".join(f"{unit}." for unit in units(tokens, shape.at_most - (end is not None), total, filler))
    else:
        body = units(tokens, 1, total, filler)[0] + "."
    opening = next((c for c in demands.all if c.slot == "opening"), None)
    closing = next((c for c in demands.all if c.slot == "closing"), None)
    if isinstance(opening, Title):
        body = f"<<{' '.join(filler[: opening.num_title_words or 1])}>>\n{body}"
    elif isinstance(opening, Start):
        body = (
            f"{opening.phrase} {body}" if shape is None or isinstance(shape, Sentences) else f"{opening.phrase}\n{body}"
        )
    elif isinstance(opening, Repeat):
        body = f"{opening.request}\n{body}"
    elif isinstance(opening, Choice):
        body = f"{opening.options[0]}\n{body}"
    if isinstance(closing, End):
        body += f" {closing.phrase}" if isinstance(shape, Sentences) else f"\n{closing.phrase}"
    elif isinstance(closing, Postscript):
        body += f"\n{closing.marker} glimmo."
    case = get(LetterCase)
    if isinstance(case, LetterCase):
        body = body.lower() if case.case == "lower" else body.upper()
    return f'"{body}"' if get(Quotation) else body


def witness(item: Item) -> str:
    demands = Demands(item)
    choice, shape = demands.get(Choice), demands.get(JsonShape)
    if isinstance(choice, Choice) and choice.only:
        return choice.options[-1]
    if isinstance(shape, JsonShape):
        return witness_json(shape, required(demands))
    length = demands.get(Words)
    low = length.at_least if isinstance(length, Words) else 0
    least = 14 if demands.get(Language) else 1
    text = compose(demands, least)
    while len(words(text)) < low:
        least += 1
        text = compose(demands, least)
    return text


@settings(deadline=None, max_examples=24)
@given(split=st.sampled_from(SPLITS), level=st.sampled_from(LEVELS), seed=st.integers(0, 2**31 - 1))
def test_every_item_has_an_answer(split: Split, level: Level, seed: int) -> None:
    items = TASK.items(split, level, 40, seed)
    answers = [Answer(request_id=item.id, text=witness(item)) for item in items]
    verdicts = TASK.check(items, answers)
    broken = [(i.prompt, a.text, v.reason) for i, a, v in zip(items, answers, verdicts, strict=True) if not v.passed]
    assert not broken, broken[0]


@settings(deadline=None, max_examples=20)
@given(split=st.sampled_from(SPLITS), level=st.sampled_from(LEVELS), seed=st.integers(0, 2**31 - 1))
def test_unrelated_prose_fails_and_a_verdict_is_the_and_of_its_parts(split: Split, level: Level, seed: int) -> None:
    items = TASK.items(split, level, 20, seed)
    prose = "Well, it varies, as I said: some like it and others do not.\n\nOf course, nobody knows for sure."
    for item, verdict in zip(items, TASK.check(items, [Answer(request_id="", text=prose)] * 20), strict=True):
        assert tuple(part.name for part in verdict.parts) == item.kinds
        assert verdict.passed == all(part.passed for part in verdict.parts)
        assert all(bool(part.reason) != part.passed for part in verdict.parts)
        for part in verdict.parts:
            assert part.passed or part.reason in verdict.reason
