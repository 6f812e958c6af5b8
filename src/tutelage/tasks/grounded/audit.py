"""The audit of a grounded answer: other criteria and other code than the check's.

It does not know the answer. It asks whether the answer ended, is no ramble and no copy, and whether everything in it
can come from the passage: figures and names that stand nowhere in the prompt are invented. Number words are not
looked at, nor is the first word of a sentence.
"""

import re
from collections.abc import Set as AbstractSet

from tutelage.records import Answer, Item, PartVerdict, Verdict, all_of, unscored
from tutelage.tasks.audits import ended, no_echo, not_degenerate
from tutelage.text.words import sentences

_STOP = (
    "a an the and or but of in on at to for from by with as is are was were be been it its they them this that these "
    "those there he she his her who which what when where how why i you we my your so if then than do does did has "
    "have had not no yes sure okay ok answer passage text please here"
)
STOP_WORDS = frozenset(_STOP.split())
NEGATIONS = re.compile(
    r"\b(?:not|no|none|nothing|never|nowhere|neither|cannot|without|un(?:known|stated|specified|disclosed|clear|named|"
    r"mentioned)|missing|absent|silent|omit\w*|lack\w*|fail\w*|left|leaves)\b|n['’]t\b|\bn/a\b",
    re.IGNORECASE,
)
_FREE = "i mr mrs ms dr am pm passage text document snippet source none not unknown usd eur"
FREE_CAPITALS = frozenset(_FREE.split())
FIGURE = re.compile(r"\d+")
CAPITALIZED = re.compile(r"\b[A-Z][^\W\d_]+")
NAME_OR_FIGURE = re.compile(r"\d+|\b[A-Z][^\W\d_]+")


def audit_answer(item: Item, answer: Answer) -> Verdict:
    """Return 1 if the answer ended, is neither degenerate nor an echo, invents nothing and has the right shape."""
    if answer.finish == "error":
        return unscored("The answer never came.")
    prompt = item.prompt
    known = _vocabulary(prompt)
    shape = _no_value(item, answer.text) if item.facet == "absent" else _has_content(item, answer.text)
    parts = (
        ended(answer),
        not_degenerate(answer),
        no_echo(item.passage or prompt, answer),
        _nothing_invented(known, answer.text),
        shape,
    )
    return all_of(parts, "The answer is whole, brief and drawn from the passage.")


def _joined_thousands(text: str) -> str:
    return re.sub(r"(?<=\d)[,\u202f\u00a0'](?=\d{3})", "", text)


def _vocabulary(text: str) -> frozenset[str]:
    """Return the figures and lower-case words of a text."""
    return frozenset(re.findall(r"\d+|[^\W\d_]+", _joined_thousands(text).lower()))


def _later_capitals(text: str) -> list[str]:
    """Return the capitalized words of a text that do not start a sentence."""
    return [match.group() for sentence in sentences(text) for match in CAPITALIZED.finditer(sentence) if match.start()]


def _nothing_invented(known: AbstractSet[str], text: str) -> PartVerdict:
    """Every figure and every name in the answer stands in the passage or the question."""
    figures = [figure for figure in FIGURE.findall(_joined_thousands(text)) if figure not in known]
    names = [name for name in _later_capitals(text) if not _stands_in(name.lower(), known)]
    invented = [*figures, *names]
    reason = f"The passage has no {invented[0]}." if invented else ""
    return PartVerdict(name="nothing_invented", passed=not invented, reason=reason)


def _stands_in(name: str, known: AbstractSet[str]) -> bool:
    if name in FREE_CAPITALS or name in known or name.removesuffix("s") in known:
        return True
    return len(name) == 3 and any(word.startswith(name) for word in known)  # Mon, Tue, Jan, Feb


def _has_content(item: Item, text: str) -> PartVerdict:
    """An answer to a stated question has a figure, or a word beyond stop words."""
    content = [word for word in re.findall(r"\d+|[^\W\d_]+", text.lower()) if word not in STOP_WORDS]
    reason = "" if content else "The answer has no content."
    return PartVerdict(name="content", passed=bool(content), reason=reason)


def _no_value(item: Item, text: str) -> PartVerdict:
    """An answer to an absent question negates, and names nothing from the passage in a sentence that does not."""
    question = _vocabulary(item.prompt.replace(item.passage or "", " "))
    passage = _vocabulary(item.passage or "")
    if not NEGATIONS.search(text):
        return PartVerdict(name="no_value", passed=False, reason="The answer does not say that anything is missing.")
    for sentence in sentences(_joined_thousands(text)):
        if NEGATIONS.search(sentence):
            continue
        for word in NAME_OR_FIGURE.findall(sentence):
            if word.lower() in passage and word.lower() not in question and word.lower() not in STOP_WORDS:
                reason = f"The answer offers {word} as if the passage said so."
                return PartVerdict(name="no_value", passed=False, reason=reason)
    return PartVerdict(name="no_value", passed=True)
