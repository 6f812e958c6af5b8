"""What is wrong with a request, by program: patterns and counts, which see form and not sense.

The patterns read English, and the commonest words of German, French and Spanish; in other languages they find nothing,
and nothing is said of the request by them.
"""

import re
from collections.abc import Iterator

from tutelage.construct.instructions.form import other_language
from tutelage.records.instructions import STATED, Order
from tutelage.text.languages import NAMES
from tutelage.text.rouge import units
from tutelage.text.words import normalize

Fault = tuple[str, str]
FEWEST_WORDS, MOST_WORDS = 3, 250
"""Of a request, its material aside."""
FEWEST_MATERIAL, MOST_MATERIAL = 40, 500
"""Of the text that a request of faithfulness brings, and of any that one brings, in words."""

_UNSEEN = re.compile(
    r"\battach(?:ed|ment|ments)\b|\bscreenshots?\b|\b(?:uploaded|enclosed)\b"
    r"|\b(?:this|these|the|following|my)\s+(?:image|photo|picture|video|audio|recording|drawing|spreadsheet)s?\s+"
    r"(?:above|below|here|shows?|i (?:sent|took|uploaded))\b"
    r"|\b(?:in|at|from|on)\s+(?:this|the following)\s+(?:image|photo|picture|video|recording|link|website|url|file)\b"
    r"|\b(?:angehängt|beigefügt|im Anhang|ci-joint|en pièce jointe|adjunt[oa]s?)\b|https?://|www\.",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"\b(?:the|this)\s+(?:following|above|below|given|provided|preceding)\s+"
    r"(?:text|passage|article|paragraph|story|poem|email|e-mail|letter|dialogue|conversation|excerpt|sentence|list|code)s?\b"
    r"|\b(?:text|passage|article|paragraph|story|poem|letter|excerpt)s?\s+(?:above|below)\b"
    r"|\b(?:folgende[nrsm]?|obige[nrsm]?)\s+(?:Text|Absatz|Artikel|Abschnitt)(?:es|s)?\b"
    r"|\btexte\s+(?:suivant|ci-dess[ou]+s)\b|\b(?:siguiente\s+texto|texto\s+(?:siguiente|anterior))\b",
    re.IGNORECASE,
)
_LABELED = re.compile(
    r"^\s*(?:#+\s*|\*\*)?(?:answer|response|solution|assistant|output|ai|model answer|expected answer|antwort|lösung|"
    r"réponse|respuesta)\s*(?:\*\*)?\s*:\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
_ASSISTANT = re.compile(
    r"^\s*(?:sure|certainly|of course|absolutely)[,!. ].{0,40}\bhere\b|^\s*here(?:'s| is| are) (?:a|an|the|one|your)\b"
    r".{0,40}\b(?:request|prompt|instruction|question)\b|\bas an? (?:ai|artificial|large language|language model)\b"
    r"|\bhow (?:can|may) i (?:help|assist) you\b|\bi(?:'d| would) be (?:happy|glad) to (?:help|assist)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^\s*(?:user|human|request|prompt|instruction|question|nutzer|utilisateur|usuario)\s*:"
    r"|^\s*(?:the|a) (?:user|persona|person) (?:asks|wants|would|requests|is asking)\b"
    r"|\b(?:ask|tell|request|prompt|instruct) (?:the|an|your) (?:ai|assistant|ai assistant|model|chatbot)"
    r" (?:to|for|about|how)\b"
    r"|^\s*(?:write|create|generate|give me) (?:a|one) (?:request|prompt|instruction) (?:for|that|to|about|of)\b",
    re.IGNORECASE,
)
_BLANK = re.compile(
    r"\[(?:insert|your|name|topic|text|paste|add|city|date)\b[^\]\n]{0,60}\]"
    r"|<(?:insert|your|text|topic)[^>\n]{0,40}>|\{\{.*?\}\}",
    re.IGNORECASE,
)


def faults(request: str, material: str, order: Order) -> Iterator[Fault]:
    """Yield what is wrong with a request and the text that it brings: a reason to count by, and details."""
    said, brought = request.strip(), material.strip()
    yield from faults_of_words(said, order)
    if found := other_language(brought, order.language):
        yield "the text of the request is in another language", f"it reads as {found}"
    yield from _of_material(said, brought, order)


def faults_of_words(said: str, order: Order) -> Iterator[Fault]:
    """Yield what is wrong with the words of a user, whatever stands before them."""
    number = len(units(said))
    if not normalize(said):
        yield "the request is empty", ""
        return
    if number < FEWEST_WORDS:
        yield "the request is too short", f"{number} words, at least {FEWEST_WORDS}"
    if number > MOST_WORDS:
        yield "the request is too long", f"{number} words, at most {MOST_WORDS}"
    if found := other_language(said, order.language):
        yield "the request is in another language", f"it reads as {found}, and {NAMES[order.language]} was ordered"
    for pattern, reason in (
        (_UNSEEN, "the request asks about what a reader of text cannot see"),
        (_LABELED, "the request holds its own answer"),
        (_ASSISTANT, "it is said by an assistant, not to one"),
        (_ABOUT, "it speaks about a request and is none"),
        (_BLANK, "the request has a blank to be filled in"),
    ):
        if match := pattern.search(said):
            yield reason, repr(match[0].strip())


def _of_material(request: str, material: str, order: Order) -> Iterator[Fault]:
    number = len(units(material))
    if order.facet == STATED and number < FEWEST_MATERIAL:
        yield "the text that the answer must come from is too short", f"{number} words, at least {FEWEST_MATERIAL}"
    if number > MOST_MATERIAL:
        yield "the text that the request brings is too long", f"{number} words, at most {MOST_MATERIAL}"
    if not material and (match := _ABSENT.search(request)) and len(units(request)) < FEWEST_MATERIAL:
        yield "the request speaks of a text that it does not bring", repr(match[0].strip())
