"""The audit of an answer to a user's row: it ended, goes round in circles nowhere and does not copy the question."""

from tutelage.records import Answer, Item, Verdict, all_of, unscored
from tutelage.tasks.audits import MAX_ECHO_WORDS, ended, no_echo, not_degenerate
from tutelage.text.repetition import longest_echo


def audit_answer(item: Item, answer: Answer) -> Verdict:
    """Return 1 if the answer is whole and an answer of its own; about its being right nothing is known here.

    Copying is judged against the question without its passage, and not where the expert's answer copies as well.
    """
    if answer.finish == "error":
        return unscored("The answer never came.")
    parts = [ended(answer), not_degenerate(answer)]
    question = str(item.spec.get("question", item.prompt))
    if longest_echo(question, item.reference or "") <= MAX_ECHO_WORDS:
        parts.append(no_echo(question, answer))
    return all_of(tuple(parts), "The answer is whole.")
