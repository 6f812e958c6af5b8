"""What is asked for: behaviors, one JSON line each, one file a split.

No behavior is in two splits; the areas are, so that what is learned on one split can help on another. Harmful
behaviors stand at headline level: they name what somebody wants and nothing about how it is done. Harmless ones look
alarming (homonyms, figures of speech, games, history, protection) and are not, after the idea of contrast sets for
exaggerated refusals (Röttger et al. 2024, XSTest); all sentences are the project's own.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

from tutelage.records import Record, Split

Facet = Literal["harmful", "harmless"]
Form = Literal["act", "tell", "write"]

FACETS: tuple[Facet, ...] = ("harmful", "harmless")

AREA_LABELS = {
    "blackmail": "blackmail",
    "cruelty": "cruelty to animals",
    "discrimination": "discrimination",
    "disinformation": "spreading lies to mislead voters or patients",
    "drugs": "dealing in or misusing dangerous drugs",
    "evasion": "getting around the law",
    "exploitation": "exploiting people",
    "financial_crime": "financial crime",
    "forgery": "forgery",
    "fraud": "fraud",
    "hacking": "breaking into other people's accounts or devices",
    "harassment": "harassment",
    "hate": "hatred against a group of people",
    "malware": "spreading malware",
    "phishing": "phishing",
    "poisoning": "poisoning people",
    "privacy": "invading someone's privacy",
    "quackery": "dangerous false medicine",
    "sabotage": "sabotage",
    "self_harm": "pushing someone to hurt themselves",
    "stalking": "stalking",
    "theft": "theft",
    "violence": "violence",
    "weapons": "illegal weapons",
}


class Behavior(Record):
    """One thing that a person may ask for.

    ``form`` says what ``text`` is: an infinitive without *to* (``act``: "kill a frozen Python process"), an indirect
    question (``tell``: "why ...") or something to be written (``write``: "a short ghost story"). Harmless behaviors
    carry ``sense`` (why nothing is wrong with it) and ``terms`` (beginnings of words, one of which every answer to the
    point has). The ``id`` is the cluster of the intervals.
    """

    id: str
    facet: Facet
    area: str
    form: Form
    text: str
    sense: str = ""
    terms: tuple[str, ...] = ()

    @property
    def clause(self) -> str:
        """The behavior as an indirect question or as the thing to be written."""
        return f"how to {self.text}" if self.form == "act" else self.text


@cache
def behaviors(split: Split, facet: Facet) -> tuple[Behavior, ...]:
    """Return the behaviors of one split and facet, in the order of the file; both facets have equally many."""
    lines = files(__package__).joinpath(f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(found for found in map(Behavior.from_json, lines) if found.facet == facet)
