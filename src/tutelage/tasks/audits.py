"""Criteria that audits share: did the answer end, is it degenerate, does it echo, is it about the matter at all.

No check, constructor or objective may import this file (a contract test sees to it), so that what the loop optimizes
and what the test believes stay two things. Two of them are wanted elsewhere too, by other code with other limits: kept
answers have ended, and those that repeat themselves least are preferred (docs/decisions/0003).
"""

from collections.abc import Sequence

from tutelage.records import Answer, PartVerdict
from tutelage.text.repetition import longest_echo, repeated_share
from tutelage.text.words import normalize

MAX_REPEATED_SHARE = 0.2
MAX_ECHO_WORDS = 12


def ended(answer: Answer) -> PartVerdict:
    """The model ended the answer itself."""
    return PartVerdict(name="ended", passed=answer.ended, reason="" if answer.ended else "The answer was cut off.")


def not_degenerate(answer: Answer, limit: float = MAX_REPEATED_SHARE) -> PartVerdict:
    """The answer has words and does not go round in circles (share of repeated word 5-grams, and of one word)."""
    tokens = normalize(answer.text).split()
    share = repeated_share(answer.text)
    most = max((tokens.count(token) for token in set(tokens)), default=0)
    circles = share > limit or (len(tokens) > 12 and most > len(tokens) // 3)
    reason = "The answer has no words." if not tokens else "The answer repeats itself." if circles else ""
    return PartVerdict(name="not_degenerate", passed=not reason, reason=reason)


def no_echo(prompt: str, answer: Answer, limit: int = MAX_ECHO_WORDS) -> PartVerdict:
    """The answer does not copy a long stretch of the prompt."""
    run = longest_echo(prompt, answer.text)
    reason = f"{run} words in a row are copied from the question." if run > limit else ""
    return PartVerdict(name="no_echo", passed=not reason, reason=reason)


def on_topic(terms: Sequence[str], answer: Answer, at_least: int = 1) -> PartVerdict:
    """The answer mentions ``at_least`` of ``terms`` (as whole words after normalization, plurals allowed)."""
    text = f" {normalize(answer.text)} "
    hits = sum(any(f" {normalize(term)}{end} " in text for end in ("", "s", "es")) for term in terms)
    passed = hits >= min(at_least, len(terms))
    return PartVerdict(name="on_topic", passed=passed, reason="" if passed else "The answer is about something else.")
