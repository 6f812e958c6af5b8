"""What is wrong with a revision, by program: patterns and counts, which see form and not sense."""

from tutelage.construct.constitution.principles import Principle
from tutelage.construct.traces import of_revising
from tutelage.text.repetition import longest_echo

REPEATED_WORDS = 8
"""Words of a principle in a row, which neither the prompt nor the answer before has, that a revision may not say."""


def fault(revision: str, *, before: str, prompt: str, principle: Principle) -> str:
    """Return what is wrong with a revision of the answer ``before``: a reason to count by, and details; "": nothing.

    That a revision speaks of having been revised is no fault where prompt or answer use the same words.
    """
    if revision.strip() == before.strip():
        return "the critique found a fault, and the revision changes nothing"
    known = f"{prompt}\n{before}"
    if words := of_revising(revision, known):
        return f"the revision speaks of being revised: {words!r}"
    run = longest_echo(principle.text, revision)
    if run >= REPEATED_WORDS and run > longest_echo(principle.text, known):
        return f"the revision repeats the principle: {run} words of it in a row"
    return ""
