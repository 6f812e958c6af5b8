"""The check of a grounded answer. Its reason is what a teacher would say."""

import re

from tutelage.records import Answer, Item, Verdict, unscored
from tutelage.tasks.grounded.absence import STATING, claims_absence
from tutelage.tasks.grounded.key import AnswerKey, Rival
from tutelage.tasks.grounded.matching import gives
from tutelage.text.words import normalize, words

MAX_WORDS = 20  # "a few words", with room for one short sentence
MAX_ABSENT_WORDS = 30  # saying what is missing takes a longer sentence
NO_CONTRAST = rf"(?:(?:more|less|later|earlier|fewer)\b|{STATING})"  # "not more than 12", "not stated"
CONTRAST = rf"(?:\bnot(?! {NO_CONTRAST})|\brather than|\binstead of|\bunlike|\bas opposed to)"
CLAUSE_END = r"(?=,(?!\d)|\.(?!\d)|[;)]|\bbut\b|\bit is\b|$)"
CONTRASTED = re.compile(rf"{CONTRAST}\b.*?{CLAUSE_END}", re.IGNORECASE | re.DOTALL)
COMPARED = re.compile(rf"\bthan\b.*?{CLAUSE_END}", re.IGNORECASE | re.DOTALL)
CLAUSE = re.compile(r"(?:[;!?]|[.,:](?!\d)|\b(?:but|and|while|though|although|whereas)\b)\s*", re.IGNORECASE)
GUESS = re.compile(r"\b(?:probably|likely|perhaps|maybe|presumably|my guess|i guess|i think|i assume)\b", re.IGNORECASE)


def check_answer(item: Item, answer: Answer) -> Verdict:
    """Return 1 if the answer is the stated value in a few words or rightly says that there is none, else 0.

    A stated value may be written in any usual format and stand in a short sentence; no other value of the asked kind
    may stand beside it, except as a contrast ("1953, not 1947"). An answer that says the passage does not state it
    must not offer a value or a guess; a value may be named with the one it belongs to. Units are not looked at: "30"
    and "30 km" answer alike.
    """
    if answer.finish == "error":
        return unscored(f"The answer never came: {answer.error}" if answer.error else "The answer never came.")
    text = answer.text.strip()
    if not words(text):
        return Verdict(score=0.0, reason="No answer was given.")
    key = AnswerKey.model_validate(item.spec)
    fault = _absent_fault(key, item, text) if key.gold is None else _stated_fault(key, key.gold, text)
    return Verdict(score=0.0 if fault else 1.0, reason=fault or _praise(key))


def _praise(key: AnswerKey) -> str:
    return "Right: the passage does not state it." if key.gold is None else f"Right and short: {key.gold}."


def _what(key: AnswerKey) -> str:
    """Return what was asked for, in words."""
    return f"the {key.noun} of {key.subject}"


def _stated_fault(key: AnswerKey, gold: str, text: str) -> str:
    """Return what is wrong with an answer to a question that the passage answers; empty if nothing is."""
    given = CONTRASTED.sub(" ", text)
    if key.kind == "entity":
        given = COMPARED.sub(" ", given)
    right = _names(gold, _other(key, gold), given) if key.kind == "entity" else gives(key.kind, gold, given)
    wrong = next((rival for rival in key.rivals if _gives_rival(key, rival, given)), None)
    if not right:
        if claims_absence(text):
            return f"The passage does state it: {_fact(key, gold)}."
        if wrong is not None:
            return _confusion(key, gold, wrong)
        return f"That is not what the passage says: {_fact(key, gold)}."
    if wrong is not None:
        return f"Two values are given, {gold} and {wrong.value}. {_confusion(key, gold, wrong)}"
    if claims_absence(given):
        return f"The answer gives {gold} and says that it is not stated; the passage does state it."
    return _too_long(text, MAX_WORDS)


def _absent_fault(key: AnswerKey, item: Item, text: str) -> str:
    """Return what is wrong with an answer to a question that the passage does not answer; empty if nothing is."""
    if not claims_absence(text):
        return _absence(key)
    if GUESS.search(text):
        return "The answer guesses; it is enough to say that the passage does not state it."
    if key.kind == "entity":
        asserted = _picks(key, text)
    else:
        asserted = next((rival.value for rival in key.rivals if _asserts(key, rival, text)), "")
        asserted = asserted or _new_number(item, text)
    if asserted:
        return f"The answer says that it is not stated and still offers {asserted}. {_absence(key)}"
    return _too_long(text, MAX_ABSENT_WORDS)


def _absence(key: AnswerKey) -> str:
    """Say what the passage does not state, and for whom it does."""
    if key.kind == "entity":
        return f"The passage does not give the {key.noun} of {key.subject}, so the two cannot be compared."
    near = next((rival for rival in key.rivals if rival.noun == key.noun and not rival.superseded), None)
    if near is not None:
        return f"The passage gives {near.value} for {near.owner}; {_what(key)} is not stated."
    return f"The passage does not state {_what(key)}; the answer should say so."


def _confusion(key: AnswerKey, gold: str, wrong: Rival) -> str:
    if key.kind == "entity":
        return f"It is {gold}: compare the two on the {key.noun}."
    if wrong.superseded and wrong.noun == key.noun and wrong.owner == key.subject:
        return f"{wrong.value} is corrected later in the passage; the correction counts: {gold}."
    return f"{wrong.value} is the {wrong.noun} of {wrong.owner}; {_what(key)} is {gold}."


def _fact(key: AnswerKey, gold: str) -> str:
    return f"the answer is {gold}" if key.kind == "entity" else f"{_what(key)} is {gold}"


def _too_long(text: str, limit: int) -> str:
    count = len(words(text))
    return f"The answer has {count} words; a few were asked, {limit} at most." if count > limit else ""


def _gives_rival(key: AnswerKey, rival: Rival, text: str) -> bool:
    if key.kind == "entity":
        return _names(rival.value, key.gold or "", text)
    return gives(key.kind, rival.value, text)


def _other(key: AnswerKey, name: str) -> str:
    return next((candidate for candidate in key.candidates if candidate != name), "")


def _names(name: str, other: str, text: str) -> bool:
    """Return whether ``text`` contains a word of ``name`` that ``other`` does not have."""
    own = set(normalize(name).split()) - set(normalize(other).split())
    return bool(own & set(normalize(text).split()))


def _picks(key: AnswerKey, text: str) -> str:
    """Return the entity that an answer to an open comparison picks although it says that it is open."""
    clauses = (clause for clause in CLAUSE.split(text) if clause)
    bare = (clause for clause in clauses if not claims_absence(clause) and "only" not in clause.lower())
    for clause in bare:
        named = [name for name in key.candidates if _names(name, _other(key, name), clause)]
        if len(named) == 1:
            return named[0]
    return ""


def _asserts(key: AnswerKey, rival: Rival, text: str) -> bool:
    """Return whether a clause gives the value of a rival without saying that it belongs to another."""
    return any(
        gives(key.kind, rival.value, clause)
        and (rival.owner == key.subject or not _names(rival.owner, key.subject, clause))
        for clause in CLAUSE.split(text)
        if clause
    )


def _new_number(item: Item, text: str) -> str:
    """Return a figure in an answer that neither the passage nor the question contains."""
    known = set(re.findall(r"\d+", item.prompt))
    return next((figure for figure in re.findall(r"\d+", text) if figure not in known), "")
