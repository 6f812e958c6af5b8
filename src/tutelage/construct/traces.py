"""Traces of how a text was made that it must not show: that it was criticized, revised, rewritten.

The patterns read English, and the commonest words of German, French and Spanish; in other languages they find nothing.
"""

import re

_OF_REVISING = re.compile(
    r"\b(?:the|this|that|your)\s+(?:critique|criticism)\b"
    r"|\b(?:by|following|under|according to|in line with|consistent with)\s+(?:the|this|that|your)\s+principles?\b"
    r"|\b(?:revised|rewritten|reworded|improved|corrected)\s+(?:answer|response|version|reply)\b"
    r"|\b(?:my|the|your)\s+(?:previous|earlier|original|first|last|prior)\s+(?:answer|response|reply)\b"
    r"|\bI(?:\s+have|'ve|’ve)?\s+(?:revised|rewritten|rewrote|reworded|corrected)\b"
    r"|\b(?:überarbeitete|verbesserte|korrigierte|vorherige|ursprüngliche)[rsnm]?\s+(?:Antwort|Fassung)\b"
    r"|\b(?:réponse|version)\s+(?:révisée|corrigée|améliorée|précédente)\b"
    r"|\b(?:respuesta|versión)\s+(?:revisada|corregida|mejorada|anterior)\b",
    re.IGNORECASE,
)
_OF_REWRITING = re.compile(
    r"\b(?:given|original|rewritten|revised|improved|new|above)\s+(?:request|prompt|instruction)s?\b"
    r"|\b(?:ursprüngliche|neue|verbesserte)[rsnm]?\s+(?:Anfrage|Anweisung)\b"
    r"|\binstruction\s+(?:révisée|améliorée|originale)\b|\binstrucción\s+(?:revisada|mejorada|original)\b",
    re.IGNORECASE,
)


def of_revising(answer: str, known: str) -> str:
    """Return the words with which an answer speaks of having been revised, without those in ``known``; "": none."""
    return _first(_OF_REVISING, answer, known)


def of_rewriting(request: str, known: str) -> str:
    """Return the words with which a request speaks of another request, without those in ``known``; "": none."""
    return _first(_OF_REWRITING, request, known)


def _first(pattern: re.Pattern[str], text: str, known: str) -> str:
    there = known.lower()
    return next((match[0] for match in pattern.finditer(text) if match[0].lower() not in there), "")
