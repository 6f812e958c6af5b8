"""The second opinion on an answer: not whether the constraints hold but whether it is an answer at all.

It knows nothing of the families' parameters; only which kinds of demand make a criterion meaningless (a text in
French does not use the English words of its topic; a chosen option has no substance of its own).
"""

import re

from tutelage.records import Answer, Item, PartVerdict, Verdict, all_of
from tutelage.tasks.audits import ended, no_echo, not_degenerate, on_topic
from tutelage.text.words import normalize

MIN_WORDS = 8
REFUSALS = re.compile(
    r"\b(?:as an ai\b|as a language model\b|i(?:'m| am) sorry,? but i\b"
    r"|i (?:can ?not|can't|am unable to) (?:answer|help|assist|provide|write)\b)",
)


def audit_answer(item: Item, answer: Answer) -> Verdict:
    """Return 1 if the answer ended, is no loop, no copy, no refusal, about its topic and more than a few words."""
    kinds = frozenset(item.kinds)
    chosen = kinds == {"choice"}
    parts = [ended(answer)]
    if chosen:
        parts.append(_brief(answer))
        return all_of(tuple(parts), "It is an answer.")
    parts += [not_degenerate(answer), _substantial(item, answer), _willing(answer)]
    if "repeat" not in kinds:
        parts.append(no_echo(item.prompt, answer))
    if "language" not in kinds:
        terms = item.spec.get("terms")
        parts.append(on_topic([str(term) for term in terms] if isinstance(terms, list) else [], answer))
    return all_of(tuple(parts), "It is an answer.")


def _substantial(item: Item, answer: Answer) -> PartVerdict:
    said, asked = normalize(answer.text).split(), normalize(str(item.spec.get("base", ""))).split()
    own = len(said) - (len(asked) if "repeat" in item.kinds else 0)
    passed = own >= MIN_WORDS and len(set(said)) >= MIN_WORDS - 2
    reason = "" if passed else f"{max(own, 0)} words of its own are too few for an answer."
    return PartVerdict(name="substantial", passed=passed, reason=reason)


def _brief(answer: Answer) -> PartVerdict:
    passed = 0 < len(answer.text.split()) <= MIN_WORDS
    return PartVerdict(name="brief", passed=passed, reason="" if passed else "A chosen answer is a few words long.")


def _willing(answer: Answer) -> PartVerdict:
    refused = REFUSALS.search(answer.text.lower().replace("’", "'")) is not None
    return PartVerdict(name="willing", passed=not refused, reason="The answer refuses." if refused else "")
