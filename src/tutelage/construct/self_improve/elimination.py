"""What Evol-Instruct eliminates by program (Xu et al. 2023, section 3.3): rules 2, 3 and 4; rule 1 asks the model.

The words are English, and find nothing in other languages; the stop words are this project's short list of them. In
languages that write no spaces rule 2 counts characters.
"""

import re

from tutelage.text.rouge import units
from tutelage.text.words import normalize

MOST_APOLOGETIC = 80
"""Words below which an answer that is sorry is no answer."""
COPIED = ("given prompt", "rewritten prompt", "created prompt", "given request", "rewritten request", "new request")
"""Words of the question that asks for a new instruction."""
_STOP = (
    "a about above after again all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing down during each few for from further had has have having he her here "
    "hers him his how i if in into is it its just me more most my no nor not now of off on once only or other our "
    "out over own same she should so some such than that the their them then there these they this those through "
    "to too under until up very was we were what when where which while who whom why will with would you your"
)
STOP_WORDS = frozenset(_STOP.split())

_SORRY = re.compile(r"\bsorry\b", re.IGNORECASE)
_COPIED = re.compile(rf"\b(?:{'|'.join(COPIED)})s?\b|\bthe request has ended\b", re.IGNORECASE)


def spoils(answer: str) -> str:
    """Return why an answer says that the instruction cannot be answered; "" if it does not."""
    number = len(units(answer))
    if _SORRY.search(answer) and number < MOST_APOLOGETIC:
        return "the answer is short and sorry"
    if all(word in STOP_WORDS for word in normalize(answer).split()):
        return "the answer has punctuation and stop words alone"
    return ""


def copies(instruction: str, mark: str) -> str:
    """Return the words of the question that an instruction holds, its ``mark`` among them; "" if it holds none."""
    match = _COPIED.search(instruction)
    return match[0] if match else mark if mark in instruction else ""
