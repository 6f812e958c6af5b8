"""Mending: what an editor's program can do for a draft that misses constraints.

A draft is taken apart into its whole sentences. Some are left out (forbidden words, too many of them), none is made up;
the rest is put into the demanded shape, between the demanded opening and closing. What only an author can add stays
missing: a keyword, a longer text, another language, a choice among given answers. Whether the result will do is for
the check to say.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from tutelage.records import Conversation, Item, user
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.constraint import Constraint, listed
from tutelage.tasks.constraints.families.characters import LetterCase, NoCommas
from tutelage.tasks.constraints.families.edges import End, Start, Title
from tutelage.tasks.constraints.families.keywords import KeywordsIn, KeywordsOut
from tutelage.tasks.constraints.families.language import Language
from tutelage.tasks.constraints.families.lengths import Sentences, Words
from tutelage.tasks.constraints.families.lists import BULLET, Bullets
from tutelage.tasks.constraints.families.openings import Choice, Repeat
from tutelage.tasks.constraints.families.shapes import JsonShape, Quotation, Sections
from tutelage.text.words import normalize, sentences, words

C = TypeVar("C", bound=Constraint)
Demands = Sequence[Constraint]

MIN_SENTENCE_WORDS = 3
LIST_MARK = re.compile(r"^[ \t]*(?:[-*•–]|\d+[.)])[ \t]+")
MARKUP = re.compile(r"[*#<>_]+")
BEFORE_TOPIC = ("", "On", "All about", "A look at", "A short look at")
QUOTES = re.compile(r'["“”„«»]')


def mend_answer(item: Item, text: str) -> str | None:
    """Return ``text`` as an editor would leave it for ``item``; None if too little of it is left to work with."""
    demands = read_constraints(item)
    framed = [piece for c in demands if isinstance(c, Repeat | Start | End) for piece in sentences(c.literals())]
    parts = _edited(_whole_sentences(text, without=framed), demands)
    body = _shaped(_shortened(parts, demands), demands)
    if body is None:
        return None
    return _in_case(_quoted(_framed(body, item, demands), demands), demands)


def plain_request(item: Item) -> Conversation | None:
    """Return the base instruction, which any model answers, as the conversation that asks for a draft.

    Demands that no program can see to come with it: words that must occur are asked for by name. None for another
    language or a choice among given answers, where the item itself is plain enough.
    """
    demands = read_constraints(item)
    if any(isinstance(constraint, Language | Choice) for constraint in demands):
        return None
    request = str(item.spec["base"])
    if wanted := _one(demands, KeywordsIn):
        request = f"{request} Use {listed(wanted.words)}."
    if (length := _one(demands, Words)) and length.at_least:
        request = f"{request} Write at least {length.at_least} words."
    return (user(request),)


def _one(demands: Demands, kind: type[C]) -> C | None:
    return next((constraint for constraint in demands if isinstance(constraint, kind)), None)


def _whole_sentences(text: str, *, without: Sequence[str]) -> list[str]:
    """The different sentences that end; a list entry is one without its mark, and with a full stop if it has none."""
    known = {normalize(sentence) for sentence in without}
    found: list[str] = []
    for line in text.splitlines():
        entry = LIST_MARK.match(line)
        for sentence in sentences(MARKUP.sub("", LIST_MARK.sub("", line))):
            whole = sentence if sentence[-1] in ".!?" or not entry else f"{sentence.rstrip(',;:')}."
            said = normalize(whole)
            if whole[-1] in ".!?" and len(words(whole)) >= MIN_SENTENCE_WORDS and said not in known:
                known.add(said)
                found.append(whole)
    return found


def _edited(parts: list[str], demands: Demands) -> list[str]:
    """Without sentences that use a forbidden word, without forbidden marks."""
    if forbidden := _one(demands, KeywordsOut):
        parts = [part for part in parts if not forbidden.fault(part)]
    if _one(demands, NoCommas):
        parts = [part.replace(",", "") for part in parts]
    if _one(demands, Quotation):
        parts = [QUOTES.sub("", part) for part in parts]
    return parts


def _shortened(parts: list[str], demands: Demands) -> list[str]:
    """As many sentences as fit, from the first on; of a list as many as it shall have entries."""
    closing = 1 if _one(demands, End) else 0
    if limit := _one(demands, Sentences):
        parts = parts[: max(limit.at_most - closing, 0)]
    if entries := _one(demands, Bullets):
        return parts[: entries.n]
    longest = _one(demands, Words)
    if longest is None or not longest.at_most:
        return parts
    said = " ".join(c.literals() for c in demands if isinstance(c, Repeat | Start | End | Sections))
    title = _one(demands, Title)
    room = longest.at_most - len(words(said)) - (title.num_words() if title else 0)
    fitting = list(parts)
    while len(fitting) > 1 and sum(len(words(part)) for part in fitting) > room:
        fitting.pop()
    return fitting


def _shaped(parts: list[str], demands: Demands) -> str | None:
    """The sentences as JSON, under headers, as bullets or as a paragraph; None if they are too few for that."""
    if entries := _one(demands, Bullets):
        return "\n".join(f"- {part}" for part in parts) if len(parts) == entries.n else None
    if sections := _one(demands, Sections):
        return _under_headers(parts, sections.headers)
    if shape := _one(demands, JsonShape):
        return _as_json(parts, shape)
    return " ".join(parts) or None


def _under_headers(parts: list[str], headers: Sequence[str]) -> str | None:
    if len(parts) < len(headers):
        return None
    bounds = [len(parts) * place // len(headers) for place in range(len(headers) + 1)]
    texts = (" ".join(parts[low:high]) for low, high in pairwise(bounds))
    return "\n\n".join(f"{header}\n{text}" for header, text in zip(headers, texts, strict=True))


def _as_json(parts: list[str], shape: JsonShape) -> str | None:
    left = iter(parts)
    values: dict[str, str | list[str]] = {}
    try:
        for key in shape.keys:
            values[key] = [next(left) for _ in range(shape.list_length)] if key == shape.list_key else next(left)
    except (StopIteration, RuntimeError):
        return None
    return json.dumps(values, ensure_ascii=False)


def _framed(body: str, item: Item, demands: Demands) -> str:
    """Between opening and closing; on lines of their own where the body has lines."""
    gap = "\n" if "\n" in body or BULLET.match(body) else " "
    if (closing := _one(demands, End)) and closing.fault(body):
        body = f"{body}{gap}{closing.phrase}"
    if (opening := _one(demands, Start)) and opening.fault(body):
        body = f"{opening.phrase}:{gap}{body}" if gap == "\n" else f"{opening.phrase} {_lowered(body)}"
    if (request := _one(demands, Repeat)) and request.fault(body):
        body = f"{request.request}{gap}{body}"
    if (title := _one(demands, Title)) and title.fault(body):
        body = f"<<{_heading(item, title.num_title_words)}>>\n{body}"
    return body


def _lowered(body: str) -> str:
    """With a small first letter, unless the first word is "I" or has more capitals."""
    first = body.split(maxsplit=1)[0]
    return body if re.match(r"I\b", first) or not first[1:].islower() else body[0].lower() + body[1:]


def _heading(item: Item, length: int) -> str:
    """The topic as a title, of exactly ``length`` words unless that is 0."""
    named = words(str(item.spec["topic"]))
    missing = length - len(named)
    if length and missing < 0:
        named = named[-missing:]
    before = BEFORE_TOPIC[max(0, min(missing, len(BEFORE_TOPIC) - 1))] if length else ""
    return f"{before} {' '.join(named)}".strip().capitalize()


def _quoted(body: str, demands: Demands) -> str:
    return f'"{QUOTES.sub("", body)}"' if _one(demands, Quotation) else body


def _in_case(body: str, demands: Demands) -> str:
    case = _one(demands, LetterCase)
    return body if case is None else body.lower() if case.case == "lower" else body.upper()
